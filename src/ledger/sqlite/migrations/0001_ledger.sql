-- The facts. Instants are seconds since 1970-01-01 UTC.

CREATE TABLE licenses (
    uid       TEXT PRIMARY KEY NOT NULL,
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    seats     BIGINT NOT NULL,          -- the limit as last reconciled; the bindings beside it never exceed it
    version   BIGINT NOT NULL           -- rises with each change: of two changes of one version, one wins
);
CREATE INDEX licenses_by_name ON licenses (namespace, name);

CREATE TABLE bindings (
    seat    TEXT PRIMARY KEY NOT NULL,
    license TEXT NOT NULL REFERENCES licenses (uid),
    holder  TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    since   BIGINT NOT NULL,
    UNIQUE (license, holder)
);

-- The exact bytes of each current document.
CREATE TABLE documents (
    subject    TEXT PRIMARY KEY NOT NULL,    -- UID of the License or the Seat
    license    TEXT NOT NULL REFERENCES licenses (uid),
    serial     TEXT NOT NULL UNIQUE,
    digest     TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    jws        TEXT NOT NULL,
    keys_jws   TEXT NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    renew_at   BIGINT
);
CREATE INDEX documents_by_license ON documents (license);

-- Whose a Secret is. The row outlives the need for the Secret until the Secret is known to be gone.
CREATE TABLE secrets (
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    subject   TEXT NOT NULL,
    license   TEXT NOT NULL REFERENCES licenses (uid),
    removing  BOOLEAN NOT NULL,
    PRIMARY KEY (namespace, name)
);
CREATE INDEX secrets_by_license ON secrets (license);

CREATE TABLE authorities (
    uid      TEXT PRIMARY KEY NOT NULL,
    name     TEXT NOT NULL,
    issuer   TEXT NOT NULL UNIQUE,
    root     TEXT NOT NULL,
    signing  TEXT NOT NULL,
    serial   BIGINT NOT NULL,
    keys_jws TEXT NOT NULL,
    jwks     TEXT NOT NULL
);

-- Who is meant by a reference in the audit. Erasing a row erases the person; the chain still verifies.
CREATE TABLE people (
    identity  TEXT PRIMARY KEY NOT NULL,
    reference TEXT NOT NULL UNIQUE
);

-- Each commit is one link: hash = SHA-256(previous hash, sequence, instant, entries).
CREATE TABLE audit (
    sequence BIGINT PRIMARY KEY NOT NULL,
    at       BIGINT NOT NULL,
    entries  TEXT NOT NULL,
    hash     TEXT NOT NULL
);
