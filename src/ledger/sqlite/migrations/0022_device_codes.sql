-- Devices that wait until somebody has signed in for them elsewhere. Who has, is in the pass of the same hash.
CREATE TABLE device_codes (
    hash       TEXT PRIMARY KEY NOT NULL, -- of the device code
    user_code  TEXT NOT NULL UNIQUE,      -- the hash of the code that people type
    device     TEXT NOT NULL,             -- what it says of itself, and what is seen of it: JSON
    answer     TEXT NOT NULL,             -- None, No, Yes
    asked_at   BIGINT,                    -- when it last asked for that
    pause      BIGINT NOT NULL,           -- so long it must wait in between, in seconds
    expires_at BIGINT NOT NULL
);
CREATE INDEX device_codes_by_end ON device_codes (expires_at);
