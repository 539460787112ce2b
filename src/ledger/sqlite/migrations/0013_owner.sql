-- The UID of the namespace of the Usher that this ledger belongs to; NULL while nobody of a version that knows of it has led.
ALTER TABLE ledger_meta ADD COLUMN cluster TEXT;
-- The word of domain::witness::Loss: the ledger was found lost, and nothing is done with it until an incarnation begins.
ALTER TABLE ledger_meta ADD COLUMN lost TEXT;
-- Drawn by whoever took the lead: two who raised the epochs of two copies to one number are told apart.
ALTER TABLE ledger_meta ADD COLUMN leader TEXT NOT NULL DEFAULT '';
