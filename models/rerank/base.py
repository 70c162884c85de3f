"""What a re-ranker is, the folder that keeps one, and the table of kinds."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from models.encoder import Encoder, Vectors
from models.errors import DamagedModel, ModelError
from models.space import digest

__all__ = [
    "RERANKERS",
    "SETTINGS_FILE",
    "SIDES",
    "Candidate",
    "OnQuestions",
    "Reranker",
    "RerankerClass",
    "Scores",
    "Side",
    "TokenEncoder",
    "identify",
    "open_reranker",
    "read_settings",
    "scaled",
    "token_encoder",
    "write_settings",
]

Scores = npt.NDArray[np.float64]
OnQuestions: TypeAlias = Callable[[int], None]
Side = Literal["dense", "words"]
SIDES: tuple[Side, ...] = ("dense", "words")  # of a first stage

SETTINGS_FILE = "tidemark_reranker.json"
FORMAT = 1
# Kinds by the name that the settings of a folder say. A row and its module are all that another kind takes.
RERANKERS: dict[str, str] = {
    "late": "models.rerank.late:LateInteraction",
    "fusion": "models.rerank.fusion:LogisticFusion",
    "cross": "models.rerank.cross:Cross",
}
MANIFEST = "tidemark.json"  # what a store adds to the folder that it keeps
SAFE = (".safetensors", ".json", ".txt", ".model", ".md")  # nothing that runs code when it is opened


@dataclass(frozen=True)
class Candidate:
    """A passage that a first stage found.

    Attributes:
        text: Its text.
        dense: Its similarity to the question by vectors; None where only its words were found.
        words: Its BM25 score; None where only its vector was found.
    """

    text: str
    dense: float | None = None
    words: float | None = None


class Reranker(Protocol):
    """Orders the candidates of one question once more."""

    @property
    def name(self) -> str:
        """What it is called, for people."""

    @property
    def sides(self) -> Collection[Side]:
        """The sides of a first stage whose scores it reads: only these have to be asked for a candidate's score."""

    def rerank(self, question: str, candidates: Sequence[Candidate]) -> Scores:
        """Score the candidates of a question.

        Returns:
            Shape (n,), in the order of the candidates, finite; comparable within this question only.
        """

    def rerank_all(
        self, questions: Sequence[str], candidates: Sequence[Sequence[Candidate]], told: OnQuestions | None = None
    ) -> list[Scores]:
        """Score the candidates of many questions at once, as trials do: faster than one question after the other.

        Args:
            questions: The questions.
            candidates: Those of each question.
            told: Called now and then with how many questions are done.

        Returns:
            Of each question what `rerank` gives, but for the last digits of float32: other texts share its batches.
        """


class RerankerClass(Protocol):
    """What a class of the table of re-rankers offers."""

    def open(self, folder: Path, settings: Mapping[str, Any], encoder: Callable[[], Encoder] | None) -> Reranker:
        """Load it.

        Args:
            folder: Its folder.
            settings: The content of its settings file.
            encoder: Opens the encoder of the release that it serves; called only by a kind that needs it.

        Raises:
            ModelError: the folder is damaged, or it needs an encoder that it is not given.
        """


@runtime_checkable
class TokenEncoder(Protocol):
    """An encoder that also gives a vector a token."""

    def encode_tokens(self, texts: Sequence[str], task: Literal["document", "query"]) -> list[Vectors]:
        """Embed each token of each text: shapes (tokens, width), unit norm, at least one token a text."""


def token_encoder(encoder: Encoder | None) -> TokenEncoder:
    """Return the encoder as one that gives token vectors.

    Raises:
        ModelError: there is none, or it does not give them.
    """
    if isinstance(encoder, TokenEncoder):
        return encoder
    name = "no encoder" if encoder is None else f"the encoder {encoder.space.name}"
    raise ModelError(f"late interaction needs vectors of tokens, and {name} gives none: choose another re-ranker")


def write_settings(folder: Path, kind: str, settings: Mapping[str, Any]) -> str:
    """Write the file that tells the kind of a re-ranker's folder.

    Returns:
        The id of the folder as it is now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "kind": kind, **settings}
    (folder / SETTINGS_FILE).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return identify(folder)


def identify(folder: Path) -> str:
    """Give the identity of a re-ranker: a digest of the names and contents of its files, 32 hex characters.

    Raises:
        DamagedModel: it is no folder of a re-ranker, or it holds what could run code.
    """
    read_settings(folder)
    return digest({file.relative_to(folder).as_posix(): _sha256(file) for file in _files(folder)})


def open_reranker(folder: Path, encoder: Callable[[], Encoder] | None = None) -> Reranker:
    """Load the re-ranker of a folder.

    Args:
        folder: The folder, as `write_settings` completed it.
        encoder: Opens the encoder of the release that it serves; called only where late interaction asks that one for
            token vectors.

    Raises:
        DamagedModel: it is no folder of a re-ranker, its kind is not known here, or it holds what could run code.
        ModelError: it needs an encoder that gives token vectors.
    """
    settings = read_settings(folder)
    _files(folder)
    target = RERANKERS.get(str(settings.get("kind")))
    if target is None:
        raise DamagedModel(
            f"{folder / SETTINGS_FILE}: there is no kind {settings.get('kind')!r} of re-ranker; known are "
            f"{', '.join(RERANKERS)}"
        )
    module, _, name = target.partition(":")
    kind: RerankerClass = getattr(importlib.import_module(module), name)
    return kind.open(folder, settings, encoder)


def read_settings(folder: Path) -> dict[str, Any]:
    """Read the settings of a re-ranker's folder.

    Raises:
        DamagedModel: they are missing or broken, or of a format that this version does not know.
    """
    file = folder / SETTINGS_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DamagedModel(f"{folder} is not the folder of a re-ranker: it has no {SETTINGS_FILE}") from error
    except ValueError as error:
        raise DamagedModel(f"{file} is broken: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DamagedModel(f"{file} is not of format {FORMAT}; use the version of Tidemark that wrote it")
    return content


def scaled(values: Sequence[float | None]) -> Scores:
    """Scale the scores of one question to 0 to 1; one that is missing counts as the least.

    Returns:
        Shape (n,); where all that are known are equal, 1 for them if another is missing, else 0.
    """
    raw = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known = raw[~np.isnan(raw)]
    if not len(known) or known.max() == known.min():
        # Where all that were found score the same, being found is still more than not being found.
        return np.where(np.isnan(raw), 0.0, float(len(known) < len(raw)))
    found: Scores = np.nan_to_num((raw - known.min()) / (known.max() - known.min()), nan=0.0)
    return found


def _files(folder: Path) -> list[Path]:
    """List the files of a re-ranker, none of which runs code when it is opened."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    unsafe = next((file for file in files if file.suffix not in SAFE), None)
    if unsafe is not None:
        raise DamagedModel(f"{unsafe}: a re-ranker is safetensors, JSON and text; remove that file or save it anew")
    return files


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
