-- When an installation was last heard of: it began, it used a nonce, or it sent a heartbeat (of those, one in a while is written).
ALTER TABLE activations ADD COLUMN heard_at BIGINT NOT NULL DEFAULT 0;
UPDATE activations SET heard_at = since;
