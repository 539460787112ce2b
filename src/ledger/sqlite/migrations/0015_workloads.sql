-- Of an activation that a pod has made: whose slot it is (service account and top-level owner), which one, and the UID of the pod that has it.
-- NULL of any other. Activations of one slot have one holder, and are one place.
ALTER TABLE activations ADD COLUMN owner TEXT;
ALTER TABLE activations ADD COLUMN slot TEXT;
ALTER TABLE activations ADD COLUMN pod TEXT;
CREATE INDEX activations_by_owner ON activations (license, owner, holder) WHERE owner IS NOT NULL;
