"""Find chunks of a release."""
