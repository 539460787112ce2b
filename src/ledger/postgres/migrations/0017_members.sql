-- Which groups people are in at their providers, as last proven: what is a JSON list in `principals.member_of`, one row each.
CREATE TABLE memberships (
    member_of TEXT NOT NULL,
    provider  TEXT NOT NULL,
    issuer    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    PRIMARY KEY (member_of, provider, issuer, subject),
    FOREIGN KEY (issuer, subject) REFERENCES principals (issuer, subject) ON DELETE CASCADE
);
CREATE INDEX memberships_by_person ON memberships (issuer, subject);
-- When somebody was proven first: whoever came first goes first.
ALTER TABLE principals ADD COLUMN met_at BIGINT NOT NULL DEFAULT 0;

-- Who has asked for a License that gives seats to whoever signs in.
CREATE TABLE admissions (
    license TEXT NOT NULL REFERENCES licenses (uid) ON DELETE CASCADE,
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    since   BIGINT NOT NULL,
    PRIMARY KEY (license, issuer, subject),
    FOREIGN KEY (issuer, subject) REFERENCES principals (issuer, subject) ON DELETE CASCADE
);
CREATE INDEX admissions_by_person ON admissions (issuer, subject);
CREATE INDEX admissions_by_time ON admissions (since);
