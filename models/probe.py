"""A functional probe: proof that an encoder still gives the vectors that its space stands for."""

from __future__ import annotations

import numpy as np

from models.encoder import Encoder, Vectors
from models.errors import ProbeMismatch
from models.space import Space

__all__ = ["PROBE_TEXTS", "TOLERANCE", "compare", "confirm", "probe"]

# Threads and batch shapes move vectors by 1.5e-7, weights through float16 by 2e-4, bfloat16 by 1e-3.
TOLERANCE = 1e-5

# One of each that an encoder treats in its own way: scripts, code, numbers, symbols, short, and beyond the window.
PROBE_TEXTS: tuple[str, ...] = (
    "The tide mark shows how high the water stood last night.",
    "water",
    "def median(values: list[float]) -> float:\n    return sorted(values)[len(values) // 2]",
    "Größere Änderungen gehören überprüft; l'été dernier, où étiez-vous?",
    "海の潮は月に引かれる。 Приливы зависят от Луны.",
    "3.14159 kg/m² ≈ 12·10⁻³, 2024-02-29T23:59:60Z",
    "Émigré café naïve — “quotes” … 🌊",
    "How do I undo the last commit without losing my changes?",
    " ".join(f"Line {number}: nothing here but one more sentence about the sea." for number in range(60)),
)


def probe(encoder: Encoder) -> Vectors:
    """Embed the fixed texts, as documents and as queries: shape (2 * texts, dimension)."""
    return np.concatenate([encoder.encode_documents(PROBE_TEXTS), encoder.encode_queries(PROBE_TEXTS)])


def confirm(stored: Vectors, encoder: Encoder, tolerance: float = TOLERANCE) -> float:
    """Check that an encoder gives the stored vectors of its space.

    Args:
        stored: What `probe` gave when the space was first used.
        encoder: The encoder now.
        tolerance: Largest difference of a coordinate that is still the same space.

    Returns:
        The largest difference.

    Raises:
        ProbeMismatch: the vectors differ.
    """
    return compare(stored, probe(encoder), encoder.space, tolerance)


def compare(stored: Vectors, found: Vectors, space: Space, tolerance: float = TOLERANCE) -> float:
    """Check that vectors of the same texts are the same.

    Args:
        stored: What the encoder of the space gave before, of shape (texts, dimension).
        found: What it gives now.
        space: The space.
        tolerance: Largest difference of a coordinate that is still the same space.

    Returns:
        The largest difference.

    Raises:
        ProbeMismatch: the vectors differ.
    """
    if found.shape != stored.shape:
        raise ProbeMismatch(
            f"space {space.id} ({space.name}): the stored probe has the shape {stored.shape}, this encoder gives "
            f"{found.shape}; another release of Tidemark stored it: rebuild the index"
        )
    difference = float(np.abs(found - stored).max(initial=0))
    # Written so that nan is a mismatch too.
    if not difference <= tolerance:
        raise ProbeMismatch(
            f"space {space.id} ({space.name}): the same files give other vectors than before, by up to "
            f"{difference:.1e} where {tolerance:.0e} is allowed. Something beside the files changed: the precision "
            "(bfloat16, float16, TF32) or the versions of torch, tokenizers or sentence-transformers. Bring that back, "
            "or rebuild the index in a new store; mixing both would make distances wrong"
        )
    return difference
