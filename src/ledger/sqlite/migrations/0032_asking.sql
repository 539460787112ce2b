-- Devices that asked to be activated under a License that admits only those which Seats name: the last of each License.
CREATE TABLE asking (
    license  TEXT NOT NULL,   -- the UID
    device   TEXT NOT NULL,   -- its id
    name     TEXT,            -- what its client calls it
    asked_at BIGINT NOT NULL, -- when it last asked, to a quarter of an hour
    PRIMARY KEY (license, device)
);
