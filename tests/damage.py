"""Damage to the files of a store, drawn from a seed: a draw meets the same file of every store made alike."""

from __future__ import annotations

import random
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

__all__ = ["damaged", "files"]

_NAMED_BY_CHANCE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[01]{24}[0-9a-f]+|(?<=rel-)(\d+)-[0-9a-f]{8}")


def files(store: Path) -> dict[str, Path]:
    """The files of a store that hold something, by what they are for and how many alike are older: names are chance."""
    found = [path for path in store.rglob("*") if path.is_file() and path.stat().st_size]
    named: dict[str, Path] = {}
    alike: Counter[str] = Counter()
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns):
        role = _NAMED_BY_CHANCE.sub(r"\1", path.relative_to(store).as_posix())
        alike[role] += 1
        named[f"{role} {alike[role]}"] = path
    return named


def damaged(random_: random.Random, store: Path, *, lost: bool) -> str:
    """Flip a bit of a file, or lose the file; says which.

    Args:
        random_: Where it is drawn from; three draws, whatever the store holds.
        store: The store.
        lost: Lose the file.
    """
    chosen, place, which = [random_.random() for _ in range(3)]
    # Each file draws a lot: another store, with some more files or some fewer, has the same winner nearly always.
    role, file = min(files(store).items(), key=lambda item: sha256(f"{chosen} {item[0]}".encode()).digest())
    name = f"{file.relative_to(store)} ({role})"
    if lost:
        file.unlink()
        return f"lost {name}"
    content = bytearray(file.read_bytes())
    at, bit = int(place * len(content)), int(which * 8)
    content[at] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {at} of {len(content)} of {name}"
