-- Of a login whose tokens are bound to no key: the successor of `previous` that was given first, good until one of the two is used.
ALTER TABLE logins ADD COLUMN sibling TEXT;
-- The device token that was good before `previous`. Until then it may be a repetition that the network held up, and not somebody's copy.
ALTER TABLE logins ADD COLUMN late TEXT;
ALTER TABLE logins ADD COLUMN late_until BIGINT NOT NULL DEFAULT 0;
