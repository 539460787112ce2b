-- Up to which instant sessions of the License were counted as ended when another one was opened: they stay ended, also if the clock goes back.
ALTER TABLE licenses ADD COLUMN sessions_clock BIGINT NOT NULL DEFAULT 0;
-- The turn from which on sessions are good: those that were opened before ended when the License was suspended.
ALTER TABLE licenses ADD COLUMN sessions_from BIGINT NOT NULL DEFAULT 0;

-- Sessions. Whose they are, their activations say. One is open while it is not closed, its last instant has not passed, its activation holds a place, and its License was not suspended since.
CREATE TABLE sessions (
    id         TEXT PRIMARY KEY NOT NULL,
    license    TEXT NOT NULL REFERENCES licenses (uid),
    activation TEXT NOT NULL REFERENCES activations (id),
    request    TEXT NOT NULL,             -- the hash of the request that opened it
    turn       BIGINT NOT NULL,           -- the License's, when it was opened
    since      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,           -- the last instant at which it is open
    closed     BOOLEAN NOT NULL,
    beyond     BOOLEAN NOT NULL           -- it was opened although a limit was reached
);
CREATE INDEX sessions_by_license ON sessions (license, expires_at);
CREATE INDEX sessions_by_activation ON sessions (activation);
CREATE INDEX sessions_by_end ON sessions (expires_at);
