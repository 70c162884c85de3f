"""Learning: questions and pairs, how well a release answers, a better encoder, and the gate that it must pass."""
