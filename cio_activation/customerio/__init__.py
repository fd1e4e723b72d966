"""Customer.io: exports, segments and attributes, landed in the raw layer; the only source of truth about people."""
