-- Signed statements of how far the audit chain had grown: each seals the links up to its own.
CREATE TABLE checkpoints (
    sequence BIGINT PRIMARY KEY NOT NULL,    -- of the link that was the last one
    hash     TEXT NOT NULL,                  -- of that link
    at       BIGINT NOT NULL,
    jws      TEXT NOT NULL,
    anchor   BOOLEAN NOT NULL                -- the links up to this one were pruned; at most one row, the first
);
CREATE INDEX checkpoints_by_instant ON checkpoints (at);
