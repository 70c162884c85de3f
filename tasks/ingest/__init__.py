"""What comes in: listed, compared, read, normalised."""
