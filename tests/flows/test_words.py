"""Words through the nights: every release answers by them as it did, and their weight is chosen once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from corpus import NOTES, configure, prose, save

from flows.audit import audit
from flows.config.schema import Config
from flows.refresh import refresh
from flows.rollback import rollback
from storage.errors import InputError
from storage.outcome import Outcome
from storage.reader import Reader
from storage.tables.chunks import ChunkTable
from storage.tables.releases import Releases
from storage.tables.store import Store
from storage.tables.words import text_statistics
from tasks.learn import fusion as stage
from tasks.search.search import Search

FILES: dict[str, str | bytes | None] = {f"{name}.md": prose(name) for name in ("anchor", "buoy", "chart", "tide")}
ASKED = ["anchor row", "tide", "pilot", "dry column"]


def words(config: Config, release: int | None = None) -> pl.DataFrame:
    return Reader.open(config.store.uri, release).words(ASKED, 50)


def documents(found: pl.DataFrame, query: int) -> set[str]:
    return set(found.filter(query=query)["document"])


def parts(config: Config) -> int:
    """Parts of the full-text index of the current release."""
    store = Store(config.store.uri)
    release = Releases(store).get()
    found = text_statistics(ChunkTable(store, release.chunks, release.tag))
    assert found is not None and found.coverage == 1.0
    return found.parts


def test_each_release_answers_by_words_as_it_did_through_nights_deletions_and_rollbacks(tmp_path: Path) -> None:
    config = configure(tmp_path, FILES, releases={"keep": 3})
    refresh(config)
    first = words(config)
    assert [documents(first, 1), documents(first, 2)] == [{"tide.md"}, set()]
    save(tmp_path / "notes", {"tide.md": None, "pilot.md": prose("pilot")})
    refresh(config, accept_deletions=True)
    second = words(config)
    assert [documents(second, 1), documents(second, 2)] == [set(), {"pilot.md"}]
    assert words(config, 1).equals(first)
    assert parts(config) == 2  # the night wrote its own rows, and no index anew
    rollback(config, to=1)
    assert words(config).equals(first)
    save(tmp_path / "notes", {"reef.md": prose("reef")})
    refresh(config, accept_deletions=True)  # starts from the version that the rollback brought back
    fourth = words(config)
    assert [documents(fourth, 1), documents(fourth, 2)] == [set(), {"pilot.md"}]
    assert audit(config).outcome is Outcome.PASSED
    Store(config.store.uri).vacuum(Releases(Store(config.store.uri)).get().chunks, timedelta(0))
    assert (words(config).equals(fourth), words(config, 3).equals(first)) == (True, True)
    assert refresh(config).outcome is Outcome.UNCHANGED


def test_a_release_without_words_gets_them_the_next_night_that_publishes(tmp_path: Path) -> None:
    config = configure(tmp_path, FILES, index={"text": False})
    refresh(config)
    with pytest.raises(InputError, match="release 1 has no full-text index"):
        words(config)
    config = configure(tmp_path)
    assert refresh(config).outcome is Outcome.UNCHANGED
    save(tmp_path / "notes", {"pilot.md": prose("pilot")})
    assert refresh(config).release == 2
    assert documents(words(config), 1) == {"tide.md"}
    assert Releases(Store(config.store.uri)).get().text.index.text == "icu/split"


def judged(base: Path, answers: dict[str, str], split: str = "dev") -> dict[str, Any]:
    """A folder of judged questions, and the section that names it."""
    lines = [json.dumps({"_id": str(number), "text": question}) for number, question in enumerate(answers)]
    rows = [f"{number}\t{document}\t1" for number, document in enumerate(answers.values())]
    save(
        base / "judged",
        {
            "queries.jsonl": "\n".join(lines),
            f"qrels/{split}.tsv": "\n".join(["query-id\tcorpus-id\tscore", *rows]),
        },
    )
    return {"name": "own", "path": "judged", "source": NOTES["name"]}


def test_dev_questions_choose_the_weight_once_for_encoder_and_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"what of the tide and whatever else there may be": "tide.md", "buoys, if you please": "buoy.md"}
    config = configure(tmp_path, FILES, evaluation=[judged(tmp_path, answers)])
    refresh(config)
    first = Releases(Store(config.store.uri)).get().text.fusion
    assert first is not None and first.weight > 0  # the stub knows letters, not stems
    assert (first.questions, first.hybrid >= max(first.dense, first.text - 1e-9)) == (2, True)
    assert Search(config.store.uri).mode() == "hybrid"
    with monkeypatch.context() as patch:
        patch.setattr(stage, "weigh", lambda *_: pytest.fail("an ordinary night fits nothing"))
        save(tmp_path / "notes", {"pilot.md": prose("pilot")})
        refresh(config)
        assert Releases(Store(config.store.uri)).get().text.fusion == first
    judged(tmp_path, {"anchor": "anchor.md"})
    save(tmp_path / "notes", {"reef.md": prose("reef")})
    refresh(config)
    other = Releases(Store(config.store.uri)).get().text.fusion
    assert other is not None and (other.questions, other.fingerprint != first.fingerprint) == (1, True)
    config = configure(tmp_path)
    save(tmp_path / "notes", {"ebb.md": prose("ebb")})
    refresh(config)
    assert Releases(Store(config.store.uri)).get().text.fusion is None


def test_questions_that_only_judge_choose_nothing_and_wrong_ones_are_told_first(tmp_path: Path) -> None:
    config = configure(tmp_path, FILES, evaluation=[judged(tmp_path, {"tide": "tide.md"}, "test")])
    refresh(config)
    assert Releases(Store(config.store.uri)).get().text.fusion is None
    assert Search(config.store.uri).mode() == "dense"
    save(tmp_path / "judged", {"qrels/dev.tsv": "no header"})
    with pytest.raises(InputError, match=r"dev\.tsv, line 1: the header must be"):
        refresh(config)
