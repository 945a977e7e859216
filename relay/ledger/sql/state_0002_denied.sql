-- Units of leaves that a gateway denied to have got, as far as they are still owed (protocol.md [P5]).
CREATE TABLE denied (
	application BLOB NOT NULL,
	peer BLOB NOT NULL,
	cu INTEGER NOT NULL,
	PRIMARY KEY (application, peer)
) STRICT, WITHOUT ROWID;
