"""From documents to an index: cut, embedded, written, indexed."""
