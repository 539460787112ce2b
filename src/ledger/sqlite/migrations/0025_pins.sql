-- All that is pinned to one person, under whatever License.
CREATE INDEX bindings_by_pin ON bindings (issuer, subject) WHERE issuer IS NOT NULL;
