-- The facts, as the migrations of SQLite up to the one of this number leave them. Instants are seconds since 1970-01-01 UTC.

CREATE TABLE ledger_meta (                  -- one row: what this ledger is, and who may write
    one         BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    incarnation BIGINT NOT NULL,            -- rises when the ledger was lost or restored, and is made true again
    since       BIGINT NOT NULL,            -- when this incarnation began
    epoch       BIGINT NOT NULL,            -- rises when somebody takes the lead: who led before commits nothing more
    commits     BIGINT NOT NULL,            -- how many commits there were; whoever writes holds this row
    restored    BOOLEAN NOT NULL            -- a backup was put here, and nobody has led since
);
INSERT INTO ledger_meta (one, incarnation, since, epoch, commits, restored) VALUES (1, 1, 0, 0, 0, FALSE);

CREATE TABLE licenses (
    uid          TEXT PRIMARY KEY NOT NULL,
    namespace    TEXT NOT NULL,
    name         TEXT NOT NULL,
    seats        BIGINT NOT NULL,           -- the limit as last reconciled; the bindings beside it never exceed it
    version      BIGINT NOT NULL,           -- rises with each change: of two changes of one version, one wins
    product      TEXT NOT NULL DEFAULT '',
    provisioning TEXT NOT NULL DEFAULT 'Named',
    max_per_user BIGINT,                    -- of the product, in the namespace; NULL is unlimited
    contract     TEXT,                      -- what the runtime goes by: JSON of domain::license::Contract
    incarnation  BIGINT NOT NULL DEFAULT 1, -- in which one these facts were last known to be true
    turn         BIGINT NOT NULL DEFAULT 0  -- rises whenever a place is taken or given back
);
CREATE INDEX licenses_by_name ON licenses (namespace, name);
CREATE INDEX licenses_by_product ON licenses (namespace, product);

CREATE TABLE bindings (
    seat    TEXT PRIMARY KEY NOT NULL,
    license TEXT NOT NULL REFERENCES licenses (uid),
    holder  TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    since   BIGINT NOT NULL,
    UNIQUE (license, holder)
);
CREATE INDEX bindings_by_ordinal ON bindings (license, ordinal);

CREATE TABLE cooling (                      -- seats that were freed and are not given to somebody else yet
    license    TEXT NOT NULL REFERENCES licenses (uid),
    holder     TEXT NOT NULL,
    freed_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,             -- `exp` of the last document that the holder had
    PRIMARY KEY (license, holder)
);

CREATE TABLE documents (                    -- the exact bytes of each current document
    subject    TEXT PRIMARY KEY NOT NULL,   -- UID of the License or the Seat
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
CREATE INDEX documents_by_key ON documents (key_id);

CREATE TABLE secrets (                      -- whose a Secret is, until it is known to be gone
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    subject   TEXT NOT NULL,
    license   TEXT NOT NULL REFERENCES licenses (uid),
    removing  BOOLEAN NOT NULL,
    PRIMARY KEY (namespace, name)
);
CREATE INDEX secrets_by_license ON secrets (license);

CREATE TABLE authorities (                  -- one that is gone stays known: made again, it goes on with its keys
    uid         TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    root        TEXT NOT NULL,
    gone        BOOLEAN NOT NULL,
    version     BIGINT NOT NULL,
    serial      BIGINT NOT NULL,            -- of the key set that is wanted; it only rises
    keys_jws    TEXT,                       -- the set that the root has signed
    rotated_for TEXT                        -- the last wish for a successor that was acted upon
);
CREATE UNIQUE INDEX authorities_by_issuer ON authorities (issuer) WHERE NOT gone;
CREATE UNIQUE INDEX authorities_by_root ON authorities (root) WHERE NOT gone;

CREATE TABLE keys (                         -- for good: a key that was revoked must never be taken for a new one
    kid       TEXT PRIMARY KEY NOT NULL,
    authority TEXT NOT NULL,
    ordinal   BIGINT NOT NULL,
    public    TEXT NOT NULL,
    state     TEXT NOT NULL,                -- see domain::rotation
    since     BIGINT,                       -- when it came into that state
    last_exp  BIGINT,                       -- the last exp under it, of documents that were replaced since, too
    wanted    BIGINT,                       -- its not-after in the set that is wanted
    vouched   BIGINT,                       -- its not-after in the set that the root has signed
    burnt     BIGINT,                       -- how many documents were under it when it was revoked
    UNIQUE (authority, ordinal)
);

CREATE TABLE people (                       -- who is meant by a reference in the audit
    identity  TEXT PRIMARY KEY NOT NULL,
    reference TEXT NOT NULL UNIQUE
);

CREATE TABLE audit (                        -- hash = SHA-256(previous hash, sequence, instant, entries)
    sequence BIGINT PRIMARY KEY NOT NULL,
    at       BIGINT NOT NULL,
    entries  TEXT NOT NULL,
    hash     TEXT NOT NULL
);

CREATE TABLE checkpoints (                  -- signed statements of how far the audit chain had grown
    sequence BIGINT PRIMARY KEY NOT NULL,   -- of the link that was the last one
    hash     TEXT NOT NULL,                 -- of that link
    at       BIGINT NOT NULL,
    jws      TEXT NOT NULL,
    anchor   BOOLEAN NOT NULL               -- the links up to this one were pruned; at most one row, the first
);
CREATE INDEX checkpoints_by_instant ON checkpoints (at);

CREATE TABLE activation_keys (              -- what lets devices activate: the key itself is in a Secret
    license TEXT NOT NULL REFERENCES licenses (uid),
    name    TEXT NOT NULL,
    hash    TEXT NOT NULL UNIQUE,
    used    BIGINT NOT NULL DEFAULT 0,      -- how many devices have activated by it
    PRIMARY KEY (license, name)
);

CREATE TABLE activations (
    id         TEXT PRIMARY KEY NOT NULL,
    license    TEXT NOT NULL REFERENCES licenses (uid),
    holder     TEXT NOT NULL,
    device     TEXT NOT NULL,
    token      TEXT NOT NULL,               -- its hash
    begun_by   TEXT NOT NULL,               -- the idempotency key of the call that began it, hashed
    state      TEXT NOT NULL,
    version    BIGINT NOT NULL,
    chain      TEXT NOT NULL,               -- JSON of domain::chain::Chain
    answer     TEXT NOT NULL,
    since      BIGINT NOT NULL,
    ordinal    BIGINT NOT NULL,             -- the turn in which it began: who began later has the higher one
    expires_at BIGINT NOT NULL,             -- `exp` of its last document: from then on it holds no place
    ended_at   BIGINT,
    recovery   BOOLEAN NOT NULL,            -- it was superseded, and that counts
    UNIQUE (license, begun_by)
);
CREATE INDEX activations_by_holder ON activations (license, holder, state);
CREATE INDEX activations_by_end ON activations (license, state, expires_at);

CREATE TABLE forks (                        -- each nonce that was used twice, once
    activation  TEXT NOT NULL REFERENCES activations (id),
    incarnation BIGINT NOT NULL,
    sequence    BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (activation, incarnation, sequence)
);
