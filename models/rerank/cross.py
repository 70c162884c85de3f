"""Cross-encoders: a network that reads question and passage together, from the hub, a folder, or trained here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from models.config import EncoderConfig, locate
from models.encoder import Encoder
from models.errors import DamagedModel, ModelError, UnknownModel
from models.links import refuse_links
from models.rerank.base import SETTINGS_FILE, Candidate, OnQuestions, Scores, Side, read_settings, write_settings
from models.weights import list_tensors, weight_files

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

__all__ = ["WINDOW", "Cross", "adopt", "check", "load"]

WINDOW = 256  # tokens of question and passage together; the time of a query grows with it
OFFSET = 2  # positions that RoBERTa keeps before the first token: it declares 514 for 512
BATCH = 32
TOGETHER = 16  # questions whose pairs are sorted by length at once: between them it tells how far it is
COPIED = ("*.json", "*.txt", "*.model")
HEADS = ("classifier", "score", "classification_head")  # what transformers call the layer that makes one number
OWN = "sentence_transformers."


@dataclass(frozen=True)
class Cross:
    """A cross-encoder, run by sentence-transformers.

    Attributes:
        name: What it is called.
        network: The network.
    """

    sides: ClassVar[tuple[Side, ...]] = ()
    name: str
    network: CrossEncoder

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any], encoder: Callable[[], Encoder] | None) -> Self:
        """Load the network: from local files, as safetensors, without their code.

        Raises:
            ModelError: the folder holds no cross-encoder.
        """
        del encoder
        check(folder)
        return cls(str(settings.get("name", folder.name)), load(folder, int(settings.get("window", WINDOW))))

    def rerank(self, question: str, candidates: Sequence[Candidate]) -> Scores:
        """Score each candidate by the network's one number: shape (n,)."""
        return self._predicted([(question, candidate.text) for candidate in candidates])

    def rerank_all(
        self, questions: Sequence[str], candidates: Sequence[Sequence[Candidate]], told: OnQuestions | None = None
    ) -> list[Scores]:
        """Score the candidates of many questions, pairs of one length together: that leaves little padding."""
        scores = list[Scores]()
        for at in range(0, len(questions), TOGETHER):
            some = [*zip(questions[at : at + TOGETHER], candidates[at : at + TOGETHER], strict=True)]
            pairs = [(question, candidate.text) for question, found in some for candidate in found]
            flat = self._predicted(pairs)
            scores += np.split(flat, np.cumsum([len(found) for _, found in some])[:-1])
            if told is not None:
                told(len(scores))
        return scores

    def _predicted(self, pairs: list[tuple[str, str]]) -> Scores:
        if not pairs:
            return np.empty(0)
        scores = self.network.predict(pairs, batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(scores, dtype=np.float64)


def adopt(name: str, destination: Path, revision: str | None = None, window: int | None = None) -> str:
    """Copy a cross-encoder into a folder that the store can keep.

    Args:
        name: A folder, or a name of the hub.
        destination: A folder that does not exist.
        revision: Commit, tag or branch of the hub.
        window: Tokens of question and passage together that it sees; what the folder says if None.

    Returns:
        The id of the folder.

    Raises:
        UnknownModel: there is no such model.
        ModelError: it is no cross-encoder.
    """
    try:
        located = locate(EncoderConfig(name=name, revision=revision))
    except UnknownModel as error:
        raise UnknownModel(str(error).replace("encoder.", "reranker.")) from error
    if located is None:
        raise UnknownModel(f"reranker.name {name!r}: a stub is no cross-encoder; give a folder or a hub name")
    refuse_links(located.folder)
    check(located.folder)
    places = [located.folder, *(file.parent for file in located.folder.glob("*/config.json"))]
    for place in places:
        files = [file for pattern in COPIED for file in sorted(place.glob(pattern))] + weight_files(place)
        for file in files:
            target = destination / file.relative_to(located.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    # A folder that was trained here says itself what it is called and how far it reads.
    said = read_settings(destination) if (destination / SETTINGS_FILE).is_file() else {}
    shown = Path(name).name if Path(name).is_absolute() else name
    settings = {"name": said.get("name", shown), "window": window or said.get("window", WINDOW)}
    kept = {"recipe": said["recipe"]} if "recipe" in said else {}
    return write_settings(destination, "cross", settings | kept)


def load(folder: Path, window: int) -> CrossEncoder:
    """Load a network of one number a passage from a folder; one without a head gets a random one, to be trained."""
    from sentence_transformers import CrossEncoder
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    positions = _json(folder / "config.json").get("max_position_embeddings")
    network: CrossEncoder = CrossEncoder(
        str(folder),
        num_labels=1,
        max_length=window if positions is None else min(window, positions - OFFSET * (positions > 512)),
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
    return network


def check(folder: Path) -> None:
    """Confirm that a folder holds a cross-encoder whose head was trained.

    Raises:
        ModelError: it is a dual encoder, or a bare transformer: opened as a cross-encoder it would start with a random
            head, and order at random.
        DamagedModel: it has no configuration or no safetensors, or it names code of its own.
    """
    modules = _json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    foreign = [str(module["type"]) for module in modules if not str(module["type"]).startswith(OWN)]
    if foreign:
        raise DamagedModel(f"{folder / 'modules.json'} names {foreign[0]}, code of the model's own, which is not run")
    if any(str(module["type"]).endswith(".Pooling") for module in modules):
        raise ModelError(
            f"{folder} is a dual encoder, which embeds question and passage apart: as a cross-encoder it would start "
            "with a random head; train one from it, or give a model for sequence classification"
        )
    config = _json(folder / "config.json")
    architectures = config.get("architectures") or ["none"]
    if not str(architectures[0]).endswith("ForSequenceClassification"):
        raise ModelError(
            f"{folder} is of the architecture {architectures[0]}, not one for sequence classification: its head would "
            "be random; give a cross-encoder"
        )
    _check_head(folder, config)


def _check_head(folder: Path, config: Mapping[str, Any]) -> None:
    files = weight_files(folder)
    if not files:
        raise DamagedModel(f"{folder} has no model.safetensors; save the model as safetensors and give that folder")
    if not any(tensor.name.startswith(HEADS) for file in files for tensor in list_tensors(file)):
        raise ModelError(f"{folder}: its weights have no head ({', '.join(HEADS)}): it would start at random")
    # transformers count labels in this map, and take two where there is none.
    labels = len(config.get("id2label") or {}) or int(config.get("num_labels", 2))
    if labels != 1:
        raise ModelError(f"{folder} gives {labels} numbers a passage, not one: give a cross-encoder that ranks")


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DamagedModel(f"{file} cannot be read ({error.strerror}): give the folder of a cross-encoder") from error
    except ValueError as error:
        raise DamagedModel(f"{file} is broken: {error}") from error
