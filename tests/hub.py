"""A cache of the model hub as huggingface_hub lays it out, so that pushes can be played without a network."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cache"]


@dataclass(frozen=True)
class Cache:
    """The cache of one repository.

    Attributes:
        folder: The folder of all repositories.
        repository: Owner and name.
    """

    folder: Path
    repository: str

    def push(self, model: Path, branch: str = "main") -> str:
        """Add a snapshot of a model folder and let a branch point at it; returns its commit.

        As in the real cache, a snapshot has links, and the files lie among the blobs.
        """
        place = self.folder / f"models--{self.repository.replace('/', '--')}"
        number = len(list((place / "snapshots").glob("*")))
        commit = hashlib.sha1(f"{self.repository} {number}".encode()).hexdigest()
        for file in sorted(path for path in model.rglob("*") if path.is_file()):
            blob = place / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
            link = place / "snapshots" / commit / file.relative_to(model)
            for parent in (blob.parent, link.parent):
                parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, blob)
            link.symlink_to(blob)
        self.point(branch, commit)
        return commit

    def point(self, branch: str, commit: str) -> None:
        """Let a branch point at a commit."""
        ref = self.folder / f"models--{self.repository.replace('/', '--')}" / "refs" / branch
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)
