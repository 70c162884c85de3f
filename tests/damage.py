"""Damage to the files of a store, drawn from a seed: a draw meets the same file of every store made alike."""

from __future__ import annotations

import random
import re
from pathlib import Path

__all__ = ["damaged", "files"]

_NAMED_BY_CHANCE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[01]{24}[0-9a-f]+|(?<=rel-)(\d+)-[0-9a-f]{8}")


def files(store: Path) -> list[Path]:
    """The files of a store that hold something, in the order of what they are for: names are drawn by chance."""
    found = [path for path in store.rglob("*") if path.is_file() and path.stat().st_size]
    return sorted(found, key=lambda path: (_role(path.relative_to(store)), path.stat().st_mtime_ns))


def damaged(random_: random.Random, store: Path, *, lost: bool) -> str:
    """Flip a bit of a file, or lose the file; says which.

    Args:
        random_: Where it is drawn from; three draws, whatever the store holds.
        store: The store.
        lost: Lose the file.
    """
    draws = [random_.random() for _ in range(3)]
    found = files(store)
    file = found[int(draws[0] * len(found))]
    name = str(file.relative_to(store))
    if lost:
        file.unlink()
        return f"lost {name}"
    content = bytearray(file.read_bytes())
    at, bit = int(draws[1] * len(content)), int(draws[2] * 8)
    content[at] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {at} of {len(content)} of {name}"


def _role(path: Path) -> str:
    return _NAMED_BY_CHANCE.sub(r"\1", path.as_posix())
