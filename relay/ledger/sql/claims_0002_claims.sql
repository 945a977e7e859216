-- What became of it: claims, the cosigned heads that they name, and what is lost.
CREATE TABLE claims (
	number INTEGER PRIMARY KEY,
	id BLOB NOT NULL UNIQUE,
	account INTEGER NOT NULL,
	from_start INTEGER NOT NULL,
	to_start INTEGER NOT NULL,
	records_n INTEGER NOT NULL,
	cu INTEGER NOT NULL,
	value BLOB NOT NULL,
	state INTEGER NOT NULL,		-- enum claims_state
	prepared_ms INTEGER NOT NULL,
	changed_ms INTEGER NOT NULL,
	recorded INTEGER,		-- heights
	challenge INTEGER,
	due INTEGER,
	settled INTEGER,
	burned BLOB,
	reason TEXT NOT NULL DEFAULT '',
	signature BLOB NOT NULL,
	bytes BLOB NOT NULL,
	proof_signature BLOB,
	proof BLOB,
	records BLOB
) STRICT;
CREATE INDEX claims_range ON claims (account, from_start);
CREATE INDEX claims_open ON claims (number) WHERE state <= 3;

CREATE TABLE heads (			-- cosigned heads that records name
	lane INTEGER NOT NULL,
	size INTEGER NOT NULL,
	root BLOB NOT NULL,
	time INTEGER NOT NULL,
	signature BLOB NOT NULL,	-- the gateway's
	claim INTEGER NOT NULL,		-- the last that names it
	PRIMARY KEY (lane, size)
) STRICT, WITHOUT ROWID;

CREATE TABLE lost (			-- units that nobody will ever pay
	lane INTEGER NOT NULL,
	session INTEGER NOT NULL,
	reason TEXT NOT NULL,
	account INTEGER NOT NULL,
	start INTEGER NOT NULL,
	cu INTEGER NOT NULL,
	value BLOB NOT NULL,
	claim INTEGER,
	noted_ms INTEGER NOT NULL,
	PRIMARY KEY (lane, session, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX lost_account ON lost (account, start);
