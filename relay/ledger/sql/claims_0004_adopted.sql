-- Claims that were adopted from the registry before all that their records name is in the books.
ALTER TABLE claims ADD COLUMN lacks INTEGER NOT NULL DEFAULT 0;	-- 1: rows or heads
CREATE INDEX claims_lacking ON claims (number) WHERE lacks = 1;
