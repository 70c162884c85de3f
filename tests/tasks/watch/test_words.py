"""Words that were never seen, and texts that say nearly the same."""

from __future__ import annotations

import zlib

import numpy as np
import polars as pl

from tasks.watch.words import alike, new_words, running

LINES = "the pilot enters the harbour at {} when the tide turns and every boat of the fleet lies at its buoy"


def texts(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(f"{source}/{name}", source, name, text) for source, name, text in rows],
        schema={"key": pl.String, "source": pl.String, "id": pl.String, "text": pl.String},
        orient="row",
    )


def vocabulary(*words: str) -> np.ndarray:
    return np.array(sorted(zlib.crc32(word.encode()) for word in words), dtype=np.uint32)


def test_a_share_of_each_text_is_new_to_its_source() -> None:
    words = running(texts(("a", "1", "Tide and tide, MOON 17!"), ("a", "2", "moon"), ("b", "1", "tide")))
    found = new_words(words, {"a": vocabulary("tide", "and")})
    assert found["a"].share == (1 / 3 + 1) / 2
    assert (found["a"].examples, found["a"].documents) == (("moon",), ("2", "1"))
    assert list(found["a"].hashes) == list(vocabulary("moon"))
    assert found["b"].share == 1.0


def test_what_was_learned_is_new_no_more() -> None:
    words = running(texts(("a", "1", "ebb and flood"), ("a", "2", "Größe 東京")))
    learned = new_words(words, {})["a"].hashes
    assert len(learned) == 5
    assert new_words(words, {"a": learned})["a"].share == 0.0


def test_texts_without_a_word_are_left_out() -> None:
    assert running(texts(("a", "1", "12 3.4 -- x"))).is_empty()
    assert new_words(running(texts(("a", "1", ""))), {}) == {}
    assert alike(running(texts(("a", "1", "")))).is_empty()


def test_texts_that_differ_in_a_word_are_alike_and_others_are_not() -> None:
    other = "quite another sentence about cheese from the valley that nobody else in this town has ever thought of"
    same = [("a", str(at), LINES.format(name)) for at, name in enumerate(("dawn", "noon", "night"))]
    found = alike(
        running(texts(*same, ("a", "other", other), ("b", "far", LINES.format("dusk")), ("a", "short", "tide")))
    )
    assert dict(found.select("id", "alike").iter_rows()) == {
        **dict.fromkeys(("0", "1", "2"), True),
        "other": False,
        "far": False,  # the only one of its source
    }
