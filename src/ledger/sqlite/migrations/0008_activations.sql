-- What the runtime goes by, as last reconciled: JSON of domain::license::Contract. NULL until a look has told it.
ALTER TABLE licenses ADD COLUMN contract TEXT;

-- What lets devices activate: the key itself is in a Secret and nowhere else.
CREATE TABLE activation_keys (
    license TEXT NOT NULL REFERENCES licenses (uid),
    name    TEXT NOT NULL,
    hash    TEXT NOT NULL UNIQUE,
    used    BIGINT NOT NULL DEFAULT 0,      -- how many devices have activated by it
    PRIMARY KEY (license, name)
);
