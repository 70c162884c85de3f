"""A tiny real encoder: two layers of BERT, a tokenizer made from docstrings, in the layout of sentence-transformers."""

from __future__ import annotations

import argparse
import collections
import inspect
import json
import textwrap
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

__all__ = ["build", "docstrings", "nudge"]

WIDTH = 32
INNER = 64
LAYERS = 2
POSITIONS = 128
WINDOW = 64
VOCABULARY = 1000
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def build(folder: Path, seed: int = 0, prompts: dict[str, str] | None = None) -> Path:
    """Write the model: a network of 32 dimensions, window 64, with mean pooling and unit vectors."""
    folder.mkdir(parents=True)
    vocabulary = _write_tokenizer(folder)
    save_file(_weights(np.random.default_rng(seed), vocabulary), folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "max_position_embeddings": POSITIONS,
        "layer_norm_eps": 1e-12,
        "type_vocab_size": 2,
        "vocab_size": vocabulary,
        "pad_token_id": 0,
    }
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(kinds.items())
    ]
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    write(folder / "config.json", config)
    write(folder / "modules.json", modules)
    write(folder / "1_Pooling" / "config.json", pooling)
    (folder / "2_Normalize").mkdir()
    write(folder / "sentence_bert_config.json", {"max_seq_length": WINDOW, "do_lower_case": False})
    write(folder / "config_sentence_transformers.json", {"prompts": prompts or {}, "default_prompt_name": None})
    return folder


def nudge(folder: Path, scale: float = 1.5) -> None:
    """Change weights in place, as a fine-tune under the same path does: same files, same sizes, other vectors."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = "encoder.layer.0.attention.output.dense.weight"
    save_file({**tensors, name: tensors[name] * np.float32(scale)}, file, {"format": "pt"})


def docstrings() -> list[str]:
    """Some English that is always there."""
    members = [getattr(module, name) for module in (argparse, collections, json, textwrap) for name in dir(module)]
    found = {text for member in members if (text := inspect.getdoc(member)) and len(text) > 40}
    return sorted(found)


def write(file: Path, content: object) -> None:
    """Write JSON, and the folder that it is in."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _write_tokenizer(folder: Path) -> int:
    """Make a WordPiece tokenizer from docstrings, write it and return the size of its vocabulary."""
    normaliser = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = [word for text in docstrings() for word, _ in splitter.pre_tokenize_str(normaliser.normalize_str(text))]
    letters = sorted({letter for word in words for letter in word})
    # The library's own trainer breaks ties at random: another tokenizer, and so another space, in every process.
    common = [word for word, _ in sorted(collections.Counter(words).items(), key=lambda item: (-item[1], item[0]))]
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *common]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces[:VOCABULARY]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normaliser
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As in the packaged model: a truncation that is not the model's window.
    tokenizer.enable_truncation(32)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{name.strip('[]').lower()}_token": name for name in SPECIAL}
    write(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": WINDOW, **names})
    return len(vocabulary)


def _weights(random: np.random.Generator, vocabulary: int) -> dict[str, np.ndarray]:
    """Draw weights with the names and shapes of BERT, large enough that texts differ."""

    def drawn(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": drawn(vocabulary, WIDTH),
        "embeddings.position_embeddings.weight": drawn(POSITIONS, WIDTH) / 10,
        "embeddings.token_type_embeddings.weight": drawn(2, WIDTH) / 10,
        "pooler.dense.weight": drawn(WIDTH, WIDTH),
        "pooler.dense.bias": drawn(WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        places = [*(f"attention.self.{part}" for part in ("query", "key", "value")), "attention.output.dense"]
        sides = {
            **dict.fromkeys(places, (WIDTH, WIDTH)),
            "intermediate.dense": (INNER, WIDTH),
            "output.dense": (WIDTH, INNER),
        }
        for place, shape in sides.items():
            tensors[f"{layer}.{place}.weight"] = drawn(*shape)
            tensors[f"{layer}.{place}.bias"] = drawn(shape[0])
    for norm in norms:
        # Small biases: what all texts share would hide how they differ.
        tensors[f"{norm}.weight"] = np.float32(1) + drawn(WIDTH) / 3
        tensors[f"{norm}.bias"] = drawn(WIDTH) / 30
    return tensors
