-- claims.db: what a supplier has earned, and what became of it.  A file of its own beside state.db,
-- which the ledger's writer has for itself.  Amounts of tokens are 16 bytes, big-endian.
CREATE TABLE meta (
	name TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (			-- who pays, through whom, for what
	number INTEGER PRIMARY KEY,
	application BLOB NOT NULL,
	gateway BLOB NOT NULL,
	service TEXT NOT NULL,
	UNIQUE (application, gateway, service)
) STRICT;

CREATE TABLE sessions (
	number INTEGER PRIMARY KEY,
	session BLOB NOT NULL UNIQUE,
	application BLOB NOT NULL,
	service TEXT NOT NULL,
	start INTEGER NOT NULL
) STRICT;

CREATE TABLE terms (			-- of an account in a session, once the registry was asked
	account INTEGER NOT NULL,
	start INTEGER NOT NULL,
	price INTEGER NOT NULL,		-- u64, token units per CU
	allowance BLOB NOT NULL,
	opens INTEGER NOT NULL,		-- heights at which a claim is accepted: [opens, closes)
	closes INTEGER NOT NULL,
	PRIMARY KEY (account, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
	number INTEGER PRIMARY KEY,
	lane BLOB NOT NULL UNIQUE,
	gateway BLOB NOT NULL,
	day INTEGER NOT NULL,			-- yyyymmdd: the file that holds its leaves
	cursor INTEGER NOT NULL DEFAULT 0,	-- leaves below are in `earned`; all are cosigned
	last_leaf BLOB,				-- SHA-256 of the leaf before the cursor
	size INTEGER NOT NULL DEFAULT 0,	-- leaves when they were last counted, with the tail
	closed INTEGER NOT NULL DEFAULT 0,
	done INTEGER NOT NULL DEFAULT 0,	-- 1: nothing of it changes any more
	broken INTEGER NOT NULL DEFAULT 0,	-- 1: its leaves do not fit together
	cosigned_size INTEGER NOT NULL DEFAULT 0,
	cosigned_root BLOB,
	cosigned_time INTEGER,
	cosigned_signature BLOB
) STRICT;
CREATE INDEX lanes_open ON lanes (number) WHERE done = 0;

CREATE TABLE earned (			-- one row a lane and session
	lane INTEGER NOT NULL,
	session INTEGER NOT NULL,
	account INTEGER NOT NULL,
	start INTEGER NOT NULL,
	cu INTEGER NOT NULL,		-- below the lane's cursor
	tail_cu INTEGER NOT NULL,	-- at and above it, under no cosigned head
	first_seq INTEGER NOT NULL,	-- of leaves that cost
	last_seq INTEGER NOT NULL,
	mark_seq INTEGER NOT NULL,	-- of the last mark; -1: none
	mark_leaves INTEGER NOT NULL,	-- of the session, that cost, since then
	claimed_cu INTEGER NOT NULL DEFAULT 0,
	claim INTEGER,			-- the claim in whose range it lies
	open INTEGER NOT NULL,		-- 1: something may still become of it
	PRIMARY KEY (lane, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX earned_open ON earned (account, start) WHERE open = 1;
CREATE INDEX earned_account ON earned (account, start);
CREATE INDEX earned_tail ON earned (lane) WHERE tail_cu > 0;
CREATE INDEX earned_claim ON earned (claim) WHERE claim IS NOT NULL;

CREATE TABLE marks (			-- where to begin to look for a unit
	lane INTEGER NOT NULL,
	session INTEGER NOT NULL,
	cu INTEGER NOT NULL,		-- of the session in the lane, before the leaf
	seq INTEGER NOT NULL,
	PRIMARY KEY (lane, session, cu)
) STRICT, WITHOUT ROWID;
