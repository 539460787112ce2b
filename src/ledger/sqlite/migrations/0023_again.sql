-- By what a provider is asked again about whoever goes on: its refresh token, sealed under a key that is not here. NULL if it gave none.
ALTER TABLE logins ADD COLUMN again TEXT;
-- When it was last asked, and whether its answer was lost.
ALTER TABLE logins ADD COLUMN asked_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE logins ADD COLUMN in_doubt BOOLEAN NOT NULL DEFAULT FALSE;
-- What a provider last said of somebody (`proven_at`) was that it does not let them in any more.
ALTER TABLE principals ADD COLUMN denied BOOLEAN NOT NULL DEFAULT FALSE;
