-- Whose a seat is that is held by an address: the first whom their provider proves to have it. NULL until somebody came.
ALTER TABLE bindings ADD COLUMN issuer TEXT;
ALTER TABLE bindings ADD COLUMN subject TEXT;
CREATE INDEX bindings_by_holder ON bindings (holder);
-- Of a person's activations: on which device.
ALTER TABLE activations ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';

-- People, as their providers prove them.
CREATE TABLE principals (
    issuer    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    provider  TEXT NOT NULL,
    name      TEXT NOT NULL,
    email     TEXT,                       -- NULL if none counts
    no_email  TEXT,                       -- then why: JSON of domain::principal::NoAddress
    member_of TEXT NOT NULL,              -- groups at the provider: a JSON list
    proven_at BIGINT NOT NULL,            -- the last time
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX principals_by_email ON principals (email);
CREATE INDEX principals_by_proof ON principals (proven_at);

-- What is good once, and for minutes: a sign-in that is under way, somebody who has yet to say yes, a code.
CREATE TABLE passes (
    hash       TEXT PRIMARY KEY NOT NULL, -- of what its bearer shows
    content    TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_by   TEXT                       -- of a code: the login that it began
);
CREATE INDEX passes_by_end ON passes (expires_at);

-- Devices on which somebody is signed in. One that has ended has no row.
CREATE TABLE logins (
    id           TEXT PRIMARY KEY NOT NULL,
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    device       TEXT NOT NULL,           -- what the client calls it
    family       TEXT NOT NULL UNIQUE,    -- the hash of what all of its device tokens share
    current      TEXT NOT NULL,           -- the hash of the last device token
    previous     TEXT,                    -- of the one before, good until the last one is used
    access       TEXT NOT NULL UNIQUE,    -- of the access token
    access_until BIGINT NOT NULL,
    since        BIGINT NOT NULL,
    used_at      BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL,
    incarnation  BIGINT NOT NULL,         -- of the ledger: who signed in before it was restored signs in again
    version      BIGINT NOT NULL
);
CREATE INDEX logins_by_person ON logins (issuer, subject, used_at);
CREATE INDEX logins_by_end ON logins (ends_at);
