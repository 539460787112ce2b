-- What a License says beside its seats, as last reconciled. Of a License of the first slice it is told with the next look.
ALTER TABLE licenses ADD COLUMN product TEXT NOT NULL DEFAULT '';
ALTER TABLE licenses ADD COLUMN provisioning TEXT NOT NULL DEFAULT 'Named';
ALTER TABLE licenses ADD COLUMN max_per_user BIGINT;          -- of the product, in the namespace; NULL is unlimited
CREATE INDEX licenses_by_product ON licenses (namespace, product);

-- Seats that were freed and are not given to somebody else yet.
CREATE TABLE cooling (
    license    TEXT NOT NULL REFERENCES licenses (uid),
    holder     TEXT NOT NULL,
    freed_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,          -- `exp` of the last document that the holder had
    PRIMARY KEY (license, holder)
);
