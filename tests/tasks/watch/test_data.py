"""What is said of the documents that arrive."""

from __future__ import annotations

import math
from datetime import timedelta

import polars as pl
import pytest
from corpus import prose
from watched import CONFIG, START, brought, past

from tasks.watch.config import DriftConfig
from tasks.watch.data import measure_data
from tasks.watch.figures import Figure
from tasks.watch.judge import PastNight
from tasks.watch.night import Night

ENGLISH = "The harbour lies behind the mole, and the pilot waits there for the flood before he takes a ship in. Row {}."
GERMAN = "Der Hafen liegt hinter der Mole, und dort wartet der Lotse auf die Flut, bevor er ein Schiff holt. Zeile {}."


def rows(count: int, text: str = ENGLISH, source: str = "notes") -> list[tuple[str, str, str]]:
    return [(source, f"n{at}", text.format(at)) for at in range(count)]


def measured(night: Night, history: list[PastNight] | None = None, **known: object) -> dict[str, Figure]:
    """Name to figure of the source `notes`."""
    found, _ = measure_data(night, known, history or [], CONFIG)
    return {each.name: each for each in found if each.source == "notes"}


def test_counts_are_exact_and_a_silent_source_counts_as_nothing() -> None:
    night = brought(rows(9), sources=("notes", "mail"), known=("notes", "mail"), deleted={"notes": 2})
    found, _ = measure_data(night, {}, [], DriftConfig(sample=50))
    counts = {(each.source, each.name): each.value for each in found}
    assert counts[("notes", "documents")] == counts[("notes", "chunks")] == 9
    assert counts[("mail", "documents")] == counts[("mail", "deleted")] == 0
    assert counts[("notes", "deleted")] == 2


def test_the_first_load_of_a_source_is_no_night() -> None:
    assert "documents" not in measured(brought(rows(9), known=()))
    assert {"length", "languages", "alike"} <= set(measured(brought(rows(9), known=())))


def test_too_few_documents_say_nothing_of_shares() -> None:
    assert set(measured(brought(rows(3)))) == {"documents", "chunks"}
    assert set(measured(brought([]))) == {"documents", "chunks"}


def test_lengths_are_of_whole_texts_and_know_their_error() -> None:
    texts = [("notes", f"n{at}", "word " * 1_000 * (1 + at % 2)) for at in range(8)]
    found = measured(brought(texts))["length"]
    assert found.value == pytest.approx(math.sqrt(5_000 * 10_000))
    assert found.error == pytest.approx(math.log(2) / 2 / math.sqrt(7))
    assert found.detail["longest"] == ["n1", "n3", "n5"]


def test_another_language_is_a_distance_from_the_nights_before() -> None:
    before = past(0, [measured(brought(rows(8)))["languages"]])
    assert before.figures[0].figure.value == 0.0
    same, mixed, other = (
        measured(brought(some, 1), [before])["languages"]
        for some in (rows(8), rows(4) + [("notes", f"g{at}", GERMAN.format(at)) for at in range(4)], rows(8, GERMAN))
    )
    assert (same.value, mixed.value, other.value) == (0.0, 0.5, 1.0)
    assert other.detail["counts"] == {"de": 8}
    assert (mixed.detail["more"], mixed.detail["documents"]) == ("de", ["g0", "g1", "g2"])


def test_licences_and_ages_are_watched_where_there_are_any() -> None:
    now = START + timedelta(days=1)
    facts = {"licence": " MIT ", "timestamp": now - timedelta(days=10)}
    found = measured(brought(rows(8), 1, facts=facts))
    assert found["licences"].detail["counts"] == {"mit": 8}
    assert found["age"].value == pytest.approx(10)
    assert "age" not in measured(brought(rows(8)))


def test_repeated_and_refused_documents_are_shares_with_an_error() -> None:
    rules = {"source": ["notes", "notes", "mail"], "rule": ["too-short", "empty", "empty"]}
    refused = pl.DataFrame({"document": ["x", "y", "z"]} | rules)
    found = measured(brought(rows(8), duplicates=("n1", "n2"), refused=refused))
    assert (found["duplicates"].value, found["duplicates"].detail["documents"]) == (0.25, ["n1", "n2"])
    assert found["refused"].value == 0.2
    assert found["refused"].detail == {"of": 10, "rules": {"empty": 1, "too-short": 1}}
    assert found["refused"].error > 0


def test_as_many_refused_by_another_rule_are_a_distance_from_the_nights_before() -> None:
    def night(number: int, *rules: str, before: list[PastNight] | None = None) -> dict[str, Figure]:
        names = [f"x{at}" for at in range(len(rules))]
        refused = pl.DataFrame({"source": "notes", "document": names, "rule": rules})
        return measured(brought(rows(8), number, refused=refused), before)

    before = past(0, [night(0, *["empty"] * CONFIG.least)["refusals"]])
    same, other = (night(1, *[rule] * CONFIG.least, before=[before])["refusals"] for rule in ("empty", "no-mail"))
    assert (same.value, other.value) == (0.0, 1.0)
    assert (other.detail["more"], other.detail["documents"]) == ("no-mail", ["x0", "x1", "x2"])
    assert "refusals" not in night(1, "empty")


def test_new_words_are_those_that_the_source_never_had() -> None:
    night = brought(rows(8))
    figures, learned = measure_data(night, {}, [], CONFIG)
    assert "new_words" not in {each.name for each in figures}  # without a vocabulary every word is new
    assert measured(night, notes=learned["notes"])["new_words"].value == 0.0
    other = measured(brought(rows(8, GERMAN)), notes=learned["notes"])["new_words"]
    assert other.value > 0.9
    assert {"der", "hafen"} <= set(other.detail["words"])


def test_a_flood_of_near_equal_texts_is_alike() -> None:
    assert measured(brought(rows(8)))["alike"].value == 1.0
    apart = [("notes", f"n{at}", prose(name)) for at, name in enumerate(("gull", "crab", "eel", "seal", "hake"))]
    words = [("notes", f"w{at}", " ".join(f"{chr(97 + at)}{chr(97 + n)}x" for n in range(20))) for at in range(6)]
    assert measured(brought(words))["alike"].value == 0.0
    assert measured(brought(apart))["alike"].detail["of"] == 5


def test_only_a_sample_of_the_texts_is_looked_at() -> None:
    found, learned = measure_data(brought(rows(90)), {}, [], DriftConfig(sample=50))
    again, _ = measure_data(brought(rows(90)[::-1]), {}, [], DriftConfig(sample=50))
    assert {each.detail.get("of") for each in found if each.name in ("length", "alike")} == {50}
    assert [(each.name, each.value) for each in found] == [(each.name, each.value) for each in again]
    assert learned
