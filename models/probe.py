"""A functional probe: proof that an encoder still gives the vectors that its space stands for."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

import numpy as np

from models.encoder import Encoder, Vectors
from models.errors import ProbeMismatch
from models.space import Space

__all__ = ["CANARY_TEXTS", "PROBE_TEXTS", "TOLERANCE", "Change", "change", "compare", "confirm", "kernels", "probe"]

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

# What a night asks the encoder before it writes: the texts of the probe and more of each kind.
CANARY_TEXTS: tuple[str, ...] = (
    *PROBE_TEXTS,
    ".",
    "0",
    "SELECT source, count(*) FROM documents WHERE created >= '2026-01-01' GROUP BY source;",
    'fn main() { let x: Option<&str> = None; println!("{:?}", x.unwrap_or("nothing")); }',
    "Traceback (most recent call last): KeyError: 'harbour' in line 4711 of /srv/app/plan.py",
    "第三章 安装与配置 请先阅读说明书 再打开电源。 これは試験です。",
    "حدث المد العالي في الميناء قبل الفجر. גאות ושפל. η παλίρροια ανεβαίνει.",
    "नमस्ते दुनिया, यह एक परीक्षण है। สวัสดีชาวโลก 안녕하세요 세계",
    "Don't — can't; e.g. the U.S.A., 5 a.m., i.e. \u00a0\u200btabs\tand   blanks",
    "Proof: ∀x, x² ≥ 0 ⇒ √x² = |x|; p ≈ 0.05, n=10⁶, ½ of ⅓, ∑ᵢ wᵢ = 1",
    "tide " * 200,
    " ".join(str(number * 7919 % 10_007) for number in range(80)),
)


@dataclass(frozen=True)
class Change:
    """How far vectors of the same texts lie apart.

    Attributes:
        difference: Largest difference of a coordinate.
        cosine: Smallest cosine similarity of a text's two vectors.
        at: The text of the largest difference.
    """

    difference: float
    cosine: float
    at: int

    def within(self, tolerance: float = TOLERANCE) -> bool:
        """Whether both are of one space; written so that nan is not."""
        return self.difference <= tolerance


def change(stored: Vectors, found: Vectors) -> Change:
    """Measure how far vectors of the same texts lie apart.

    Args:
        stored: What an encoder gave, of shape (texts, dimension), texts above 0.
        found: What it gives now, of the same shape.

    Raises:
        ValueError: The shapes differ.
    """
    if stored.shape != found.shape:
        raise ValueError(f"vectors of shape {found.shape} cannot be compared with those of shape {stored.shape}")
    apart = np.abs(found - stored).max(axis=1)
    lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(found, axis=1)
    cosines = np.einsum("nd,nd->n", stored, found, dtype=np.float64) / np.maximum(lengths, 1e-12)
    return Change(float(apart.max()), float(cosines.min()), int(np.nan_to_num(apart, nan=np.inf).argmax()))


def kernels() -> dict[str, str]:
    """What computes vectors on this machine, beside the libraries; torch is asked only where it is loaded."""
    found = {"processor": platform.machine()}
    torch = sys.modules.get("torch")
    if torch is not None:
        found |= {"kernels": torch.backends.cpu.get_cpu_capability(), "cuda": str(torch.version.cuda)}
        found["float32 products"] = torch.get_float32_matmul_precision()
        if torch.cuda.is_available():
            found["device"] = torch.cuda.get_device_name()
    return found


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
