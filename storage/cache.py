"""Where this machine keeps what it needs of stores that lie elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Where this machine keeps what it needs of remote stores: `TIDEMARK_CACHE`, else below the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TIDEMARK_CACHE") or Path(base) / "tidemark")
