-- One row: what this ledger is, and who may write.
CREATE TABLE ledger_meta (
    one         BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    incarnation BIGINT NOT NULL,        -- rises when the ledger was lost or restored, and is made true again
    since       BIGINT NOT NULL,        -- when this incarnation began
    epoch       BIGINT NOT NULL,        -- rises when somebody takes the lead: who led before commits nothing more
    commits     BIGINT NOT NULL,        -- how many commits there were: the witness in the cluster keeps up with it
    restored    BOOLEAN NOT NULL        -- `usher ledger restore` put this file here, and nobody has led since
);
-- A ledger that was there before this table has commits behind it.
INSERT INTO ledger_meta (one, incarnation, since, epoch, commits, restored)
SELECT 1, 1, 0, 0, COALESCE(MAX(sequence), 0), FALSE FROM audit;

-- In which incarnation a License's facts were last known to be true. Older: compare with its Secrets first.
ALTER TABLE licenses ADD COLUMN incarnation BIGINT NOT NULL DEFAULT 1;
