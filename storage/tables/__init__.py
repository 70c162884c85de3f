"""The Lance tables of a store: everything that knows Lance."""
