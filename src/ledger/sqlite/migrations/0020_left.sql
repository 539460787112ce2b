-- The groups that somebody was in before these last changed: Licenses that name one of them are concerned, too. A JSON list.
ALTER TABLE principals ADD COLUMN was_in TEXT NOT NULL DEFAULT '[]';
