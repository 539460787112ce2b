-- What the Seat of a binding carries, as it was last reconciled: a JSON list of names. NULL: all that needs no seat (domain::features).
ALTER TABLE bindings ADD COLUMN features TEXT;
-- Whether its assignments are suspended: then nothing is granted.
ALTER TABLE bindings ADD COLUMN suspended BOOLEAN NOT NULL DEFAULT FALSE;
