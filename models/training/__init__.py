"""Training: a better encoder out of pairs of questions and passages."""
