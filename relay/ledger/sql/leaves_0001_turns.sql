-- leaves-<day>.db: the lanes opened on one UTC day.  A turn is one row, so leaves and the head that
-- signs them cannot come apart, and a relay of a large batch costs bytes, not rows.
CREATE TABLE turns (
	id INTEGER PRIMARY KEY,		-- lane number << 20 | seq of the first leaf
	count INTEGER NOT NULL,
	root BLOB,			-- of the lane after this turn; NULL inside an adoption
	signature BLOB,			-- the supplier's, over the checkpoint of that size
	places BLOB,			-- 8 bytes a leaf: evidence segment << 40 | offset, 0 none
	salts BLOB NOT NULL,		-- 16 bytes a leaf, private
	leaves BLOB NOT NULL		-- 192 bytes a leaf
) STRICT;

CREATE TABLE tiles (
	id INTEGER PRIMARY KEY,		-- lane number << 20 | level << 16 | index
	root BLOB NOT NULL,		-- of its 256 hashes: an entry of the tile above
	hashes BLOB NOT NULL
) STRICT;

CREATE TABLE parts (
	id INTEGER PRIMARY KEY,		-- lane number << 20 | seq of a leaf of a stream
	stream INTEGER NOT NULL,
	part INTEGER NOT NULL
) STRICT;
CREATE INDEX parts_stream ON parts (stream, part, id);

CREATE TABLE sessions (
	session BLOB PRIMARY KEY,
	application BLOB NOT NULL,
	service TEXT NOT NULL,
	start INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
