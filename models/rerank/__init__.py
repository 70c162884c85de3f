"""Re-rankers: what orders the best candidates of a search once more."""
