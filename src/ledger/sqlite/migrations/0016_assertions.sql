-- Assertions of SAML that were used, until nobody could show them any more: each is good once.
CREATE TABLE assertions (
    hash       TEXT PRIMARY KEY NOT NULL, -- of the provider's entity id and the assertion's id
    expires_at BIGINT NOT NULL
);
CREATE INDEX assertions_by_end ON assertions (expires_at);
