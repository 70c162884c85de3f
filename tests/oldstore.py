"""The store of format 1 that an earlier version wrote, and what that version answered; see tests/stores/README.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

__all__ = ["FORMAT_1", "answers", "copied"]

FORMAT_1 = Path(__file__).parent / "stores" / "format-1"


def copied(folder: Path) -> Path:
    """A copy of the store with its sources and configuration; every file of it looks touched."""
    shutil.copytree(FORMAT_1, folder / "old")
    return folder / "old"


def answers() -> dict[str, Any]:
    """What the version that wrote the store answered."""
    return dict(json.loads((FORMAT_1 / "answers.json").read_text()))
