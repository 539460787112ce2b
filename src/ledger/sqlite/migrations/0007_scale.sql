-- Who was bound last, and a License's bindings in order, are found without reading all of them.
CREATE INDEX bindings_by_ordinal ON bindings (license, ordinal);
