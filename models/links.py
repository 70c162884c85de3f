"""A model's folder holds all that belongs to it: what leads out of it is not read, copied or published."""

from __future__ import annotations

from pathlib import Path

from models.errors import DamagedModel

__all__ = ["inside", "refuse_links"]


def inside(folder: Path, name: str) -> Path:
    """The path of a file that another file of a folder names.

    Raises:
        DamagedModel: It is not inside the folder.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name:
        raise DamagedModel(f"{folder} names the file {name!r}, which is not inside the folder; copy the folder again")
    return folder / name


def refuse_links(folder: Path) -> None:
    """Refuse a model folder with links that lead out of it.

    The cache of the hub is made of such links, to files of the same model beside the folder, and is taken.

    Raises:
        DamagedModel: There is one.
    """
    real = folder.resolve()
    blobs = real.parent.parent / "blobs" if real.parent.name == "snapshots" else real
    for path in folder.rglob("*"):
        if path.is_symlink() and not any(path.resolve().is_relative_to(root) for root in (real, blobs)):
            raise DamagedModel(
                f"{path} is a link to {path.resolve()}, outside of the model's folder: copy the files themselves there"
            )
