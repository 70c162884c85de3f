"""What may stay: judged, told apart, gated."""
