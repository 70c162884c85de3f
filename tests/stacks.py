"""Encoders of every kind of stack, made of a tiny one: those that are computed here, and those that are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tiny import write


def chain(folder: Path, *modules: str) -> None:
    """Write modules.json: `path:Kind` each."""
    parts = [module.partition(":") for module in modules]
    entries = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, _, kind in parts]
    write(folder / "modules.json", [{"idx": i, "name": str(i), **entry} for i, entry in enumerate(entries)])


def add_dense(folder: Path, **changes: object) -> None:
    random = np.random.default_rng(1)
    write(folder / "2_Dense/config.json", {"in_features": 32, "out_features": 8, "bias": True, **changes})
    weights = {"linear.weight": random.normal(size=(8, 32)), "linear.bias": random.normal(size=8)}
    save_file({k: v.astype(np.float32) for k, v in weights.items()}, folder / "2_Dense/model.safetensors")


def pooled(*modes: str) -> Callable[[Path], None]:
    return lambda folder: write(folder / "1_Pooling/config.json", {"embedding_dimension": 32, "pooling_mode": modes})


def with_dense(folder: Path) -> None:
    add_dense(folder, activation_function="torch.nn.modules.activation.Tanh")
    chain(folder, ":Transformer", "1_Pooling:Pooling", "2_Dense:Dense", "2_Normalize:Normalize")


def as_roberta(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    write(folder / "config.json", {**config, "model_type": "roberta", "architectures": ["RobertaModel"]})


def lowercased(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    write(folder / "tokenizer.json", {**content, "normalizer": None})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": True})
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    write(folder / "tokenizer_config.json", {**settings, "tokenizer_class": "PreTrainedTokenizerFast"})


OWN: dict[str, Callable[[Path], object]] = {
    "mean": lambda folder: None,
    **{mode: pooled(mode) for mode in ("cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")},
    "cls+mean": pooled("cls", "mean"),
    "dense": with_dense,
    "bare": lambda folder: (folder / "modules.json").unlink(),
    "roberta": as_roberta,
    "lowercase": lowercased,
}


def unusual_norm(folder: Path) -> None:
    (folder / "2_LayerNorm").mkdir()
    write(folder / "2_LayerNorm/config.json", {"dimension": 32})
    norm = {"norm.weight": np.linspace(0.5, 2, 32, dtype=np.float32), "norm.bias": np.zeros(32, dtype=np.float32)}
    save_file(norm, folder / "2_LayerNorm/model.safetensors")
    chain(folder, ":Transformer", "1_Pooling:Pooling", "2_LayerNorm:LayerNorm")


def static(folder: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    (folder / "0_Static").mkdir()
    shutil.move(folder / "tokenizer.json", folder / "0_Static/tokenizer.json")
    table = np.random.default_rng(2).normal(size=(1000, 24)).astype(np.float32)
    save_file({"embedding.weight": table}, folder / "0_Static/model.safetensors")
    chain(folder, "0_Static:StaticEmbedding", "2_Normalize:Normalize")


FOREIGN: dict[str, Callable[[Path], object]] = {
    "layer norm": unusual_norm,
    "static": static,
    "prompts not pooled": lambda folder: write(
        folder / "1_Pooling/config.json", {"embedding_dimension": 32, "include_prompt": False}
    ),
}
