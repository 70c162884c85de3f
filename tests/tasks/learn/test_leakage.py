"""The leakage check finds each kind of leak, and nothing where there is none."""

from __future__ import annotations

import polars as pl
import pytest

from storage.hashing import digest
from tasks.learn.leakage import find_leaks
from tasks.verdict import Refused

BODY = "the pilot of harbour {0} reads chart {0} while the {1} comes in over the reef and the wind is from the {1}"


def clean(count: int = 12) -> list[dict[str, str]]:
    splits = ["train", "train", "dev", "test"]
    return [
        {
            "id": digest(f"pair {n}"),
            "question": f"Where does pilot {n} go?",
            "content_hash": digest(f"content {n}"),
            "passage": " ".join(f"{word}{n}" for word in BODY.split()),
            "split": splits[n % 4],
        }
        for n in range(count)
    ]


def leaks(rows: list[dict[str, str]]) -> dict[str, int]:
    frame = pl.DataFrame(rows)
    return find_leaks(frame.iter_slices(5)).counts


def test_a_clean_split_passes() -> None:
    found = find_leaks([pl.DataFrame(clean())])
    assert found.counts == {"pairs": 12}
    found.enforce()
    assert find_leaks([]).reasons == ()


def test_a_question_in_other_words_of_case_and_stops_leaks() -> None:
    rows = clean()
    rows[2]["question"] = "where does PILOT 0 go"
    assert leaks(rows) == {"pairs": 12, "question": 1}


def test_a_document_leaks_by_its_content() -> None:
    rows = clean()
    rows[3]["content_hash"] = rows[5]["content_hash"]
    assert leaks(rows) == {"pairs": 12, "content": 1}


def test_a_passage_leaks_also_when_a_word_of_it_was_changed() -> None:
    rows = clean()
    words = rows[0]["passage"].split()
    rows[7]["passage"] = " ".join(["Another", *words[1:]])
    assert leaks(rows) == {"pairs": 12, "passage": 1}
    rows[7]["passage"] = rows[0]["passage"]
    assert leaks(rows) == {"pairs": 12, "passage": 1}


def test_dev_and_test_may_share_what_they_want() -> None:
    rows = clean()
    rows[3] |= {name: rows[2][name] for name in ("question", "content_hash", "passage")}
    assert leaks(rows) == {"pairs": 12}


def test_a_leak_refuses_the_run_with_figures_and_examples() -> None:
    rows = clean()
    for at in (2, 6, 10):
        rows[at]["question"] = rows[at - 2]["question"]
    with pytest.raises(Refused, match=r"3 questions are asked in training and in judging too, for example 'Where does"):
        find_leaks([pl.DataFrame(rows)]).enforce()
