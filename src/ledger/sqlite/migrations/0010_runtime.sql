-- Rises whenever a place of the License is taken or given back: who counts places says in which turn, and of two in one turn one wins.
ALTER TABLE licenses ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;

-- Installations. The state is a column, and not in the chain, for places are counted by it.
CREATE TABLE activations (
    id         TEXT PRIMARY KEY NOT NULL,
    license    TEXT NOT NULL REFERENCES licenses (uid),
    holder     TEXT NOT NULL,
    device     TEXT NOT NULL,
    token      TEXT NOT NULL,             -- its hash
    begun_by   TEXT NOT NULL,             -- the idempotency key of the call that began it, hashed
    state      TEXT NOT NULL,
    version    BIGINT NOT NULL,
    chain      TEXT NOT NULL,             -- JSON of domain::chain::Chain
    answer     TEXT NOT NULL,
    since      BIGINT NOT NULL,
    ordinal    BIGINT NOT NULL,           -- the turn in which it began: who began later has the higher one
    expires_at BIGINT NOT NULL,           -- `exp` of its last document: from then on it holds no place
    ended_at   BIGINT,
    recovery   BOOLEAN NOT NULL,          -- it was superseded, and that counts
    UNIQUE (license, begun_by)
);
CREATE INDEX activations_by_holder ON activations (license, holder, state);
CREATE INDEX activations_by_end ON activations (license, state, expires_at);

-- Each nonce that was used twice, once.
CREATE TABLE forks (
    activation  TEXT NOT NULL REFERENCES activations (id),
    incarnation BIGINT NOT NULL,
    sequence    BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (activation, incarnation, sequence)
);
