"""Tokenizers: spans, counts and identity."""

from __future__ import annotations

import inspect
import json
import random
import shutil
import textwrap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.encoder import TextTokenizer
from models.errors import DamagedModel
from models.text import tokenizer as module
from models.text.tokenizer import PIECE_CHARACTERS, WORD, Tokenizer, WordTokenizer

TEXTS = st.text(st.sampled_from("ab\u00e9\u00df \n\t.,_-[]MASK\u5929\u5730\u3002\U0001f600\u200b\u20ac5"), max_size=60)


@pytest.fixture(scope="session")
def tokenizer(tiny_model: Path) -> Tokenizer:
    return Tokenizer.from_folder(tiny_model)


def changed(model: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Tokenizer:
    folder.mkdir()
    content = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return Tokenizer.from_folder(folder)


@given(st.lists(st.integers(0, 12), max_size=20))
def test_groups_hold_every_text_once_and_no_more_than_their_size(sizes: list[int]) -> None:
    texts = ["x" * size for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH_CHARACTERS", 10)
        groups = list(module._groups(texts))
    assert [text for group, _ in groups for text in group] == texts
    assert [size for _, known in groups for size in known.tolist()] == sizes
    assert all(len(group) == 1 or sum(known) <= 10 for group, known in groups)
    for (_, known), (_, later) in pairwise(groups):  # nothing more would have fitted
        assert sum(known) + later[0] > 10


def test_spans_are_those_of_the_words_and_their_parts() -> None:
    spans = WordTokenizer().spans(["Tide, mark!", ""])
    assert [span.tolist() for span in spans] == [[[0, 4], [4, 5], [6, 10], [10, 11]], []]


def test_every_character_is_to_the_count_what_it_is_to_the_pattern_of_words() -> None:
    characters = list(map(chr, range(0x20000)))
    assert WordTokenizer().count(characters) == [len(WORD.findall(each)) for each in characters]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=st.lists(TEXTS, max_size=5))
@pytest.mark.parametrize("words", [False, True])
def test_spans_lie_in_order_inside_the_text_and_are_as_many_as_counted(
    tokenizer: Tokenizer, words: bool, texts: list[str]
) -> None:
    which: TextTokenizer = WordTokenizer() if words else tokenizer
    spans = which.spans(texts)
    assert which.count(texts) == [len(span) for span in spans]
    for text, span in zip(texts, spans, strict=True):
        assert span.dtype == np.int64
        assert span.shape == (len(span), 2)
        assert (np.diff(span.ravel()) >= 0).all()
        assert not len(span) or (span[0, 0] >= 0 and span[-1, 1] <= len(text))


def test_source_code_is_counted_as_the_library_counts_it(tokenizer: Tokenizer, tiny_model: Path) -> None:
    import tokenizers

    inner = tokenizers.Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    inner.no_truncation()
    inner.no_padding()
    texts = [inspect.getsource(module) for module in (textwrap, json, random)]
    expected = [len(inner.encode(text, add_special_tokens=False)) for text in texts]
    assert max(map(len, texts)) > PIECE_CHARACTERS
    assert tokenizer.count(texts) == expected
    assert tokenizer.count(texts) == expected, "again, from what it remembers"
    assert [len(span) for span in tokenizer.spans(texts)] == expected


def test_special_tokens_truncation_and_padding_are_off(tiny_model: Path, tmp_path: Path) -> None:
    def pad(content: dict[str, Any]) -> None:
        content["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
        content["padding"] = {
            "strategy": {"Fixed": 4},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        }

    padded = changed(tiny_model, tmp_path / "padded", pad)
    assert padded.count(["", "a", "a b c d e f g h"]) == [0, 1, 8]
    assert padded.digest == Tokenizer.from_folder(tiny_model).digest


def test_the_digest_is_that_of_the_content_and_not_of_the_place(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "elsewhere")
    digest = Tokenizer.from_folder(tmp_path / "elsewhere").digest
    assert digest == Tokenizer.from_folder(tiny_model).digest
    assert len(digest) == 32
    assert digest != WordTokenizer.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["model"]["vocab"].update({"tidemark": len(content["model"]["vocab"])}),
        lambda content: content["model"].update(max_input_chars_per_word=7),
        lambda content: content["normalizer"].update(lowercase=not content["normalizer"]["lowercase"]),
        lambda content: content.update(pre_tokenizer={"type": "Whitespace"}),
        lambda content: content.update(normalizer={"type": "Lowercase"}),
    ],
)
def test_every_part_that_changes_tokens_changes_the_digest(
    tiny_model: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    other = changed(tiny_model, tmp_path / "other", change)
    assert other.digest != Tokenizer.from_folder(tiny_model).digest
    assert other.count(["Some words, some more."]) == [len(other.spans(["Some words, some more."])[0])]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_missing_or_broken_file_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DamagedModel, match=r"tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
