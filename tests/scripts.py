"""Scripts in a process of their own: what a fresh interpreter imports, and what it says."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["run"]


def run(script: str) -> str:
    """What a script prints."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
