"""Model folders beside the tables, one a space: a release keeps its own encoder."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Protocol

from storage.cache import cache_folder, made
from storage.errors import InputError
from storage.tables.store import Store

__all__ = ["Registry", "refuse_pickles"]

_MANIFEST = "tidemark.json"
_CARD = "README.md"  # for people alone: it may be written anew, so the manifest does not name it
# What can run code when it is opened, or belongs to a training and not to its model.
_PICKLES = frozenset({".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})


class Registry:
    """The `models/` folder of a store, addressed by space id; each model's manifest names its files and their SHA-256.

    Args:
        store: The store, on this machine or in an object store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._models: _Models = _Bucket(f"{store.uri}/models") if store.folder is None else _Folder(store.folder)

    def has(self, space: str) -> bool:
        """Whether the encoder of a space is kept, whole."""
        return self._models.has(space)

    def spaces(self) -> list[str]:
        """The spaces whose encoders are kept, whole or not."""
        return self._models.spaces()

    def keep(self, space: str, folder: Path) -> None:
        """Copy a model folder in; the manifest comes last, so that a half copy is never taken for a model.

        Raises:
            InputError: The folder holds pickles, as optimizers and old weights are saved.
        """
        refuse_pickles(folder)
        if self.has(space):
            return
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        named = sorted(files.keys() - {_MANIFEST, _CARD})
        self._models.put(space, folder, {name: _sha256(files[name]) for name in named})
        if _CARD in files:
            self.describe(space, files[_CARD].read_text(encoding="utf-8"))

    def describe(self, space: str, card: str) -> None:
        """Write the model card of a kept model, or write it anew."""
        self._models.write(space, _CARD, card)

    def size(self, space: str) -> int:
        """Bytes of the files of a kept model, its card and its manifest not counted."""
        sizes = self._models.sizes(space)
        return sum(sizes.get(name, 0) for name in self._models.manifest(space))

    def digests(self, space: str) -> dict[str, str]:
        """File of a kept model to its SHA-256, as when it was kept."""
        return self._models.manifest(space)

    def fetch(self, space: str) -> Path:
        """A local folder with the encoder of a space; copied to a cache where the store is remote.

        Raises:
            InputError: The store holds no encoder of that space.
        """
        if not self.has(space):
            raise InputError(f"{self.store.uri}: the encoder of space {space} is not in models/; restore that folder")
        return self._models.fetch(space)

    def drop(self, space: str) -> None:
        """Remove the encoder of a space, or what is left of it; its manifest goes first."""
        if space in self.spaces():
            self._models.remove(space)

    def sweep(self) -> None:
        """Remove what killed runs had copied half; only for the holder of the lease, for nobody else writes here."""
        self._models.sweep()

    def missing(self, space: str) -> list[str]:
        """Look for the kept files without reading them; returns which are not there, empty when all are."""
        if not self.has(space):
            return [f"models/{space} is missing"]
        try:
            manifest = self._models.manifest(space)
        except InputError as error:
            return [str(error)]
        there = self._models.names(space)
        return [f"models/{space}/{name} is missing" for name in manifest if name not in there]

    def damage(self, space: str) -> list[str]:
        """Compare the kept files with their manifest; returns what is wrong, empty when all is well."""
        if not self.has(space):
            return [f"models/{space} is missing"]
        try:
            manifest = self._models.manifest(space)
        except InputError as error:
            return [str(error)]
        wrong = []
        for name, wanted in manifest.items():
            found = self._models.digest(space, name)
            if found != wanted:
                wrong.append(f"models/{space}/{name} is {'missing' if found is None else 'changed'}")
        return wrong


def refuse_pickles(folder: Path) -> None:
    """Refuse a model folder that holds what can run code when it is opened.

    Raises:
        InputError: It does; the text names the files.
    """
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in _PICKLES)
    if found:
        raise InputError(
            f"{folder} holds {', '.join(found)}: pickles, which can run code when they are opened. Save the model as "
            "safetensors alone, without optimizer and checkpoints, and give that folder"
        )


class _Models(Protocol):
    """Where model folders lie."""

    def spaces(self) -> list[str]: ...

    def has(self, space: str) -> bool: ...

    def put(self, space: str, folder: Path, manifest: Mapping[str, str]) -> None: ...

    def sweep(self) -> None: ...

    def fetch(self, space: str) -> Path: ...

    def manifest(self, space: str) -> dict[str, str]: ...

    def names(self, space: str) -> set[str]: ...

    def digest(self, space: str, name: str) -> str | None: ...

    def remove(self, space: str) -> None: ...

    def write(self, space: str, name: str, text: str) -> None: ...

    def sizes(self, space: str) -> dict[str, int]: ...


class _Folder:
    """Models beside a local store; readers load them where they are."""

    def __init__(self, store: Path) -> None:
        self.root = store / "models"

    def spaces(self) -> list[str]:
        return [path.name for path in self.root.glob("[!.]*")]

    def has(self, space: str) -> bool:
        return (self.root / space / _MANIFEST).is_file()

    def put(self, space: str, folder: Path, manifest: Mapping[str, str]) -> None:
        staging = self.root / f".{space}-{secrets.token_hex(4)}"
        shutil.copytree(folder, staging)
        (staging / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        if (self.root / space).exists():  # left half done by a kill: no manifest in it
            shutil.rmtree(self.root / space)
        staging.replace(self.root / space)

    def sweep(self) -> None:
        for half in self.root.glob(".*"):
            shutil.rmtree(half) if half.is_dir() else half.unlink()

    def fetch(self, space: str) -> Path:
        return self.root / space

    def manifest(self, space: str) -> dict[str, str]:
        return _manifest(space, (self.root / space / _MANIFEST).read_bytes())

    def names(self, space: str) -> set[str]:
        root = self.root / space
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}

    def digest(self, space: str, name: str) -> str | None:
        file = self.root / space / name
        return _sha256(file) if file.exists() else None

    def remove(self, space: str) -> None:
        (self.root / space / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.root / space)

    def write(self, space: str, name: str, text: str) -> None:
        half = self.root / f".{space}-{secrets.token_hex(4)}"
        half.write_text(text, encoding="utf-8")
        half.replace(self.root / space / name)

    def sizes(self, space: str) -> dict[str, int]:
        root = self.root / space
        return {path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*") if path.is_file()}


class _Bucket:
    """Models in an object store, copied to this machine's cache when they are needed."""

    def __init__(self, url: str) -> None:
        from storage.remote import filesystem, reached

        self.files, self.root = filesystem(url)
        self.reached = partial(reached, url)

    def spaces(self) -> list[str]:
        with self.reached():
            found = self.files.ls(self.root, detail=False) if self.files.exists(self.root) else []
        return [str(path).rpartition("/")[2] for path in found]

    def has(self, space: str) -> bool:
        with self.reached():
            return bool(self.files.exists(self._path(space, _MANIFEST)))

    def put(self, space: str, folder: Path, manifest: Mapping[str, str]) -> None:
        with self.reached():
            for name in manifest:
                self.files.put_file(str(folder / name), self._path(space, name))
            self.files.pipe_file(self._path(space, _MANIFEST), json.dumps(manifest, indent=1).encode())

    def sweep(self) -> None:
        """Nothing: a file appears whole, and files without a manifest are a space that nothing uses."""

    def fetch(self, space: str) -> Path:
        kept = cache_folder() / space
        if (kept / _MANIFEST).exists():
            return kept
        with tempfile.TemporaryDirectory(dir=made(kept.parent)) as half:
            model = Path(half) / "model"
            for name in (*self.manifest(space), _MANIFEST):
                self._copy(space, name, model / name)
            with suppress(OSError):  # another process was faster: what it put there is the same
                model.replace(kept)
        return kept

    def manifest(self, space: str) -> dict[str, str]:
        with self.reached():
            content = self.files.cat_file(self._path(space, _MANIFEST))
        return _manifest(space, content)

    def names(self, space: str) -> set[str]:
        root = f"{self.root}/{space}/"
        with self.reached():
            return {str(path).removeprefix(root) for path in self.files.find(root)}

    def digest(self, space: str, name: str) -> str | None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                return _sha256(self._copy(space, name, Path(folder) / "copy"))
            except FileNotFoundError:
                return None

    def remove(self, space: str) -> None:
        with self.reached():
            files = self.files.find(f"{self.root}/{space}")
            for path in sorted(files, key=lambda path: not path.endswith(f"/{_MANIFEST}")):
                self.files.rm_file(path)

    def write(self, space: str, name: str, text: str) -> None:
        with self.reached():
            self.files.pipe_file(self._path(space, name), text.encode())

    def sizes(self, space: str) -> dict[str, int]:
        root = f"{self.root}/{space}/"
        with self.reached():
            found = self.files.find(f"{self.root}/{space}", detail=True)
        return {str(path).removeprefix(root): int(facts["size"]) for path, facts in found.items()}

    def _copy(self, space: str, name: str, file: Path) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        with self.reached():
            self.files.get_file(self._path(space, name), str(file))
        return file

    def _path(self, space: str, name: str) -> str:
        return f"{self.root}/{space}/{name}"


def _manifest(space: str, content: bytes) -> dict[str, str]:
    """Read a manifest; a file that it names outside of the model's folder is neither read nor written.

    Raises:
        InputError: It is damaged.
    """
    try:
        named = dict(json.loads(content))
        inside = all(not Path(name).is_absolute() and ".." not in Path(name).parts for name in named)
    except (ValueError, TypeError):
        inside = False
    if not inside:
        raise InputError(f"models/{space}/{_MANIFEST} is damaged; restore that folder")
    return named


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
