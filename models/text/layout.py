"""What the files of a sentence-transformers folder say about the encoder, read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import DamagedModel

__all__ = ["SETTINGS", "Layout", "Module", "read_layout"]

SETTINGS = "tidemark_encoder.json"  # written by `export`: the settings that belong to the space
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
WEIGHTED = ("Transformer", "Dense", "StaticEmbedding")
LEGACY_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Types whose positions are rows of a table, and those of them that leave its first rows to the padding.
ABSOLUTE = ("albert", "bert", "distilbert", "electra", "ernie", "mobilebert", "splinter")
AFTER_PADDING = (
    *("camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta"),
    *("xlm-roberta-xl", "xmod"),
)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # the order that sentence-transformers looks in
# What does not change a vector, and what a re-save adds, drops or spells differently.
IDLE_KEYS = {
    "__version__", "architectures", "bos_token_id", "bias", "dtype", "embedding_dimension", "eos_token_id",
    "gradient_checkpointing", "id2label", "in_features", "initializer_factor", "initializer_range", "label2id",
    "module_input_name", "module_output_name", "output_attentions", "output_hidden_states", "problem_type",
    "return_dict", "tie_word_embeddings", "torch_dtype", "torchscript", "transformers_version", "use_cache",
    "word_embedding_dimension",
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    """One link of the chain from tokens to the vector.

    Attributes:
        kind: Class name without its package, which moves between releases: `Transformer`, `Pooling`.
        folder: Where its files are.
        config: Its own JSON file, `{}` if it has none.
    """

    kind: str
    folder: Path
    config: dict[str, Any]

    @property
    def tokenizer(self) -> dict[str, Any]:
        """Its tokenizer_config.json, `{}` if it has none."""
        return _optional(self.folder / "tokenizer_config.json")

    @property
    def positions(self) -> int | None:
        """Tokens that its network has positions for; None where nothing bounds them."""
        named = self.config.get("max_position_embeddings")
        kind = self.config.get("model_type")
        if not isinstance(named, int) or kind not in (*ABSOLUTE, *AFTER_PADDING):
            return None
        if self.config.get("position_embedding_type", "absolute") != "absolute":
            return None
        # RoBERTa and its kin count positions from behind the number of the padding token.
        padding = self.config.get("pad_token_id", 1)
        return named - (padding + 1 if kind in AFTER_PADDING and isinstance(padding, int) else 0)

    @property
    def settings(self) -> dict[str, Any]:
        """The part of the configuration that changes vectors, the same after a re-save."""
        if self.kind == "Pooling":
            return {"modes": list(self.modes), "include_prompt": self.config.get("include_prompt", True)}
        return {
            key: value
            for key, value in sorted(self.config.items())
            if not (value is None or value is False or value in ({}, []))
            and key not in IDLE_KEYS
            and not key.startswith("_")
            and "dropout" not in key
        }

    def refuse_pickles(self, weights: list[Path]) -> None:
        """Refuse a module whose weights are missing, or are there only as pickles.

        Raises:
            DamagedModel: so it is.
        """
        if weights:
            return
        pickles = sorted(file.name for pattern in PICKLES for file in self.folder.glob(pattern))
        if pickles:
            raise DamagedModel(
                f"{self.folder} holds its weights as {pickles[0]}, a pickle, which can run code when it is opened; save"
                " the model as safetensors (SentenceTransformer(...).save_pretrained(...) does) and give that folder"
            )
        if self.kind in WEIGHTED:
            raise DamagedModel(
                f"{self.folder} has no model.safetensors, which its {self.kind} needs; copy the folder again"
            )

    @property
    def modes(self) -> tuple[str, ...]:
        """The ways of pooling, in the order in which they are put side by side; empty for other modules."""
        if self.kind != "Pooling":
            return ()
        named = self.config.get("pooling_mode")
        if named is None:
            named = [mode for key, mode in LEGACY_MODES.items() if self.config.get(key)] or "mean"
        return (named,) if isinstance(named, str) else tuple(named)


@dataclass(frozen=True)
class Layout:
    """What an encoder's folder declares.

    Attributes:
        folder: The encoder's folder.
        modules: From tokens to the vector.
        window: Tokens that it sees of a text, special ones included; 0 where it has no limit.
        lowercase: Texts are lowercased before they are tokenised.
        prompts: Prompts by name.
        settings: What `export` recorded; `{}` in other folders.
    """

    folder: Path
    modules: tuple[Module, ...]
    window: int
    lowercase: bool
    prompts: dict[str, str]
    settings: dict[str, Any]

    @property
    def pooling(self) -> str:
        """The ways of pooling joined by `+`, for example `mean`; `none` where no module pools."""
        modes = [mode for module in self.modules for mode in module.modes]
        return "+".join(modes) or "none"

    @property
    def positions(self) -> int | None:
        """Tokens that the network has positions for, special ones included; None where nothing bounds them."""
        return self.modules[0].positions

    @property
    def normalises(self) -> bool:
        """Whether the chain itself ends in unit vectors."""
        return self.modules[-1].kind == "Normalize"

    @property
    def query_prompt(self) -> str:
        """The model's own prompt for queries."""
        return self.prompts.get("query", "")

    @property
    def document_prompt(self) -> str:
        """The model's own prompt for documents."""
        return next((self.prompts[name] for name in DOCUMENT_PROMPTS if name in self.prompts), "")

    @property
    def tokenizer_file(self) -> Path:
        """The file that defines the tokens.

        Raises:
            DamagedModel: the folder has no `tokenizer.json`.
        """
        for folder in (self.folder, self.modules[0].folder):
            if (folder / "tokenizer.json").is_file():
                return folder / "tokenizer.json"
        raise DamagedModel(
            f"{self.folder} has no tokenizer.json; save the model once with a current sentence-transformers "
            "(SentenceTransformer(...).save_pretrained(...)) and give that folder"
        )


def read_layout(folder: Path) -> Layout:
    """Read modules.json and the configuration of each module; a bare transformer is pooled by its mean.

    Raises:
        DamagedModel: the folder is no encoder, or one of its files is broken.
    """
    folder = folder.resolve()
    listed = folder / "modules.json"
    if listed.is_file():
        modules = tuple(_module(folder, entry) for entry in _load(listed))
    elif (folder / "config.json").is_file():
        # sentence-transformers does the same with a folder of plain transformers.
        modules = (_module(folder, {"type": "Transformer", "path": ""}), Module("Pooling", folder, {}))
    else:
        raise DamagedModel(f"{folder} is not the folder of an encoder: it has neither modules.json nor config.json")
    if not modules:
        raise DamagedModel(f"{listed} names no module")
    first = modules[0]
    sentence = _optional(first.folder / "sentence_bert_config.json")
    prompts = _optional(folder / "config_sentence_transformers.json").get("prompts") or {}
    return Layout(
        folder=folder,
        modules=modules,
        window=_window(first, sentence),
        lowercase=bool(sentence.get("do_lower_case", False)),
        prompts={name: prompt or "" for name, prompt in prompts.items()},
        settings=_optional(folder / SETTINGS),
    )


def _module(folder: Path, entry: dict[str, Any]) -> Module:
    place = (folder / entry.get("path", "")).resolve()
    if not place.is_relative_to(folder):
        raise DamagedModel(f"{folder / 'modules.json'} names {entry['path']!r}, which is not inside the folder")
    package, _, kind = entry["type"].rpartition(".")
    if package and package.partition(".")[0] != "sentence_transformers":
        raise DamagedModel(
            f"{folder / 'modules.json'} names the module {entry['type']!r}, code of the model's own, which Tidemark "
            "does not run: its vectors would be others without it. Choose an encoder of sentence_transformers alone"
        )
    return Module(kind, place, _optional(place / "config.json"))


def _window(first: Module, sentence: dict[str, Any]) -> int:
    """Find the window as sentence-transformers does: its own setting, else the smaller limit of model and tokenizer."""
    if sentence.get("max_seq_length"):
        return int(sentence["max_seq_length"])
    positions = first.config.get("max_position_embeddings") if first.positions is None else first.positions
    limit = first.tokenizer.get("model_max_length")
    # Tokenizers without a limit say 1e30.
    limits = [int(value) for value in (positions, limit) if value is not None and value < 1_000_000]
    return min(limits, default=0)


def _optional(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    content = _load(file)
    if not isinstance(content, dict):
        raise DamagedModel(f"{file} holds no JSON object")
    return content


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedModel(f"{file} is broken: {error}") from error
