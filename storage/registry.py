"""Model folders beside the tables, one a space: a release keeps its own encoder."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from storage.errors import InputError
from storage.store import Store

__all__ = ["Registry"]

_MANIFEST = "tidemark.json"


class Registry:
    """The `models/` folder of a store, addressed by space id."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def has(self, space: str) -> bool:
        """Whether the encoder of a space is kept, whole."""
        files, root = self._filesystem()
        return bool(files.exists(f"{root}/{space}/{_MANIFEST}"))

    def keep(self, space: str, folder: Path) -> None:
        """Copy a model folder in; the manifest comes last, so that a half copy is never taken for a model."""
        if self.has(space):
            return
        manifest = {p.relative_to(folder).as_posix(): _sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}
        local = self.store.folder
        if local is not None:
            for half in (local / "models").glob(f".{space}-*"):  # of a killed run: the lease leaves room for one
                shutil.rmtree(half)
            staging = local / "models" / f".{space}-{secrets.token_hex(4)}"
            shutil.copytree(folder, staging)
            (staging / _MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
            target = local / "models" / space
            if target.exists():  # left half done by a kill: no manifest in it
                shutil.rmtree(target)
            staging.replace(target)
            return
        files, root = self._filesystem()
        for name in manifest:
            files.put_file(str(folder / name), f"{root}/{space}/{name}")
        files.pipe_file(f"{root}/{space}/{_MANIFEST}", json.dumps(manifest).encode())

    def fetch(self, space: str) -> Path:
        """A local folder with the encoder of a space; copied to a cache where the store is remote.

        Raises:
            InputError: The store holds no encoder of that space.
        """
        if not self.has(space):
            raise InputError(f"{self.store.uri}: the encoder of space {space} is not in models/; restore that folder")
        local = self.store.folder
        if local is not None:
            return local / "models" / space
        cache = Path(os.environ.get("TIDEMARK_CACHE", Path.home() / ".cache" / "tidemark")) / space
        if not (cache / _MANIFEST).exists():
            files, root = self._filesystem()
            cache.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache.parent) as half:
                files.get(f"{root}/{space}/", f"{half}/model", recursive=True)
                with suppress(OSError):  # another process was faster: what it put there is the same
                    (Path(half) / "model").replace(cache)
        return cache

    def drop(self, space: str) -> None:
        """Remove the encoder of a space; the manifest goes first, so that the rest is never taken for a model."""
        if not self.has(space):
            return
        files, root = self._filesystem()
        files.rm_file(f"{root}/{space}/{_MANIFEST}")
        files.rm(f"{root}/{space}", recursive=True)

    def damage(self, space: str) -> list[str]:
        """Compare the kept files with their manifest; returns what is wrong, empty when all is well."""
        if not self.has(space):
            return [f"models/{space} is missing"]
        folder = self.fetch(space)
        manifest = json.loads((folder / _MANIFEST).read_text())
        return [
            f"models/{space}/{name} is {'changed' if (folder / name).exists() else 'missing'}"
            for name, wanted in manifest.items()
            if not (folder / name).exists() or _sha256(folder / name) != wanted
        ]

    def _filesystem(self) -> tuple[Any, str]:
        import fsspec

        files, root = fsspec.core.url_to_fs(f"{self.store.uri}/models")
        return files, root


def _sha256(path: Path) -> str:
    from hashlib import file_digest

    with path.open("rb") as stream:
        return file_digest(stream, sha256).hexdigest()
