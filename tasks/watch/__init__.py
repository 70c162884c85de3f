"""Watching: whether the data, the questions, the encoder or the quality of an index moved, and who should know."""
