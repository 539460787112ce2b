-- Signing keys, one row each, for good: a key that was revoked must never be taken for a new one.

-- An Authority that is gone stays known: made again under its name and issuer, it goes on with its keys.
CREATE TABLE authorities_with_keys (
    uid         TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    root        TEXT NOT NULL,
    gone        BOOLEAN NOT NULL,
    version     BIGINT NOT NULL,          -- rises with each change: of two changes of one version, one wins
    serial      BIGINT NOT NULL,          -- of the key set that is wanted; it only rises
    keys_jws    TEXT,                     -- the set that the root has signed
    rotated_for TEXT                      -- the last wish for a successor that was acted upon
);
INSERT INTO authorities_with_keys (uid, name, issuer, root, gone, version, serial, keys_jws)
    SELECT uid, name, issuer, root, FALSE, 1, serial, keys_jws FROM authorities;

CREATE TABLE keys (
    kid       TEXT PRIMARY KEY NOT NULL,
    authority TEXT NOT NULL,
    ordinal   BIGINT NOT NULL,
    public    TEXT NOT NULL,
    state     TEXT NOT NULL,              -- see domain::rotation
    since     BIGINT,                     -- when it came into that state
    last_exp  BIGINT,                     -- the last exp under it, of documents that were replaced since, too
    wanted    BIGINT,                     -- its not-after in the set that is wanted
    vouched   BIGINT,                     -- its not-after in the set that the root has signed
    burnt     BIGINT,                     -- how many documents were under it when it was revoked
    UNIQUE (authority, ordinal)
);
-- The one key of each Authority of the first slice: it signs since the Authority was made.
INSERT INTO keys (kid, authority, ordinal, public, state, since, last_exp, wanted, vouched)
    SELECT signing, uid, 1, json_extract(jwks, '$.keys[0].x'), 'signing',
           COALESCE((SELECT MIN(at) FROM audit WHERE entries LIKE '%"establish"%' AND entries LIKE '%' || signing || '%'), 0),
           (SELECT MAX(expires_at) FROM documents WHERE key_id = signing), 253402300799, 253402300799
    FROM authorities;

DROP TABLE authorities;
ALTER TABLE authorities_with_keys RENAME TO authorities;
CREATE UNIQUE INDEX authorities_by_issuer ON authorities (issuer) WHERE NOT gone;
CREATE UNIQUE INDEX authorities_by_root ON authorities (root) WHERE NOT gone;
CREATE INDEX documents_by_key ON documents (key_id);
