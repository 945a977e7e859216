-- state.db: whose ledger this is, its lanes and the newest cosigned head of each.
CREATE TABLE meta (
	name TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
	number INTEGER PRIMARY KEY,		-- key of its rows in the day file, never used twice
	lane BLOB NOT NULL UNIQUE,
	peer BLOB NOT NULL,
	day INTEGER NOT NULL,			-- yyyymmdd: leaves-<day>.db holds it
	opened_ms INTEGER NOT NULL,
	state INTEGER NOT NULL,			-- 1 unclosed, 2 closed
	dropped INTEGER NOT NULL DEFAULT 0,	-- 1: the day file is gone
	final_size INTEGER,			-- of a closed lane
	adopted_from INTEGER,			-- leaves at and above came from the peer
	cosigned_size INTEGER NOT NULL DEFAULT 0,
	cosigned_root BLOB,
	cosigned_time INTEGER,
	cosigned_signature BLOB
) STRICT;
CREATE INDEX lanes_unclosed ON lanes (number) WHERE state != 2;
CREATE INDEX lanes_peer ON lanes (peer, number);

CREATE TABLE peers (
	peer BLOB PRIMARY KEY,
	cosignatures INTEGER NOT NULL		-- counted up to 4
) STRICT, WITHOUT ROWID;
