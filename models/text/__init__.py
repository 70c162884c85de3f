"""Text encoders: networks, tokenizers and what identifies them."""
