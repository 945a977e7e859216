-- Sums of what the books no longer have row by row: of lanes whose leaves have been dropped.
CREATE TABLE folded (
	application BLOB NOT NULL,
	service TEXT NOT NULL,
	part TEXT NOT NULL,		-- of struct claims_income, or the reason of a loss
	cu INTEGER NOT NULL,
	value BLOB NOT NULL,
	PRIMARY KEY (application, service, part)
) STRICT, WITHOUT ROWID;
