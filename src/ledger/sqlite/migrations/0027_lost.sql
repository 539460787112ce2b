-- A new incarnation has begun, and not every License has been made true again: what is not known may have been lost.
ALTER TABLE ledger_meta ADD COLUMN rebuilding BOOLEAN NOT NULL DEFAULT FALSE;
-- So many places cool for this holder; after a loss, all that were free then do, for nobody knows whose they were.
ALTER TABLE cooling ADD COLUMN places BIGINT NOT NULL DEFAULT 1;
-- The thumbprint of the key that the nonces of the activations here are by; NULL until somebody has found it.
ALTER TABLE ledger_meta ADD COLUMN nonce_key TEXT;
