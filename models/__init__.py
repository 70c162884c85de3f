"""Networks: encoders, their identity and their tokenizers."""
