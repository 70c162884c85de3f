"""The flow that evaluates, and the nights that must hold what it measured."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from commands import tidemark, told
from corpus import NOTES, configure, prose, save

from flows.config.schema import Config
from flows.exits import exit_code
from flows.measure import evaluate
from flows.refresh import refresh
from flows.views.quality import evaluation_view
from storage.errors import InputError
from storage.tables.evaluations import Evaluations
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store

NAMES = ("anchor", "buoy", "chart", "dock", "ebb", "flood", "gale", "hull")
SET = {"name": "terms", "path": "judged", "source": "notes"}


def made(base: Path, **sections: Any) -> Config:
    """Eight notes, and a question for each."""
    (base / "judged" / "qrels").mkdir(parents=True, exist_ok=True)
    queries = [json.dumps({"_id": name, "text": f"The {name} of row 1"}) for name in NAMES]
    (base / "judged" / "queries.jsonl").write_text("\n".join(queries))
    lines = "".join(f"{name}\t{name}.md\t1\n" for name in NAMES)
    (base / "judged" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return configure(base, {f"{name}.md": prose(name) for name in NAMES}, evaluation=[SET], **sections)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    refresh(made(folder))
    return folder


def recorded(config: Config) -> list[tuple[Any, ...]]:
    rows = Evaluations(Store(config.store.uri)).all()
    return [(row["release"], row["set"], row["mode"], row["value"], row["questions"]) for row in rows]


def test_a_release_is_measured_and_the_figures_are_kept(base: Path) -> None:
    config = made(base)
    found = evaluate(config)
    assert (found.release, found.outcome) == (1, "passed")
    assert found.sets[0].modes["dense"].metrics["ndcg@10"] == 1.0
    run = Runs(Store(config.store.uri)).all()[0]
    assert (run["kind"], run["outcome"], run["release"]) == ("evaluate", "passed", 1)
    assert run["counts"] == {"sets": 1, "questions": 8, "missing": 0, "unanswerable": 0}
    kept = recorded(config)
    assert {(1, "terms", mode, None, 8) for mode in ("dense", "exact")} <= set(kept)
    assert (1, "terms", "dense", "typos", 8) in kept
    assert "nDCG@10" in drawn(evaluation_view(found))


def test_hand_written_questions_stand_beside_the_configured_ones(base: Path, tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_text('{"query": "The gale of row 0", "documents": ["gale.md", "lost.md"]}\n')
    found = evaluate(made(base), golden=tmp_path / "golden.jsonl", mode="dense", release=1)
    assert [(each.name, each.questions, each.missing) for each in found.sets] == [("terms", 8, 0), ("golden", 1, 1)]
    assert "not in the release: 1 judged document, which" in drawn(evaluation_view(found))


def test_without_questions_it_is_told_how_to_give_some(base: Path) -> None:
    config = Config.from_mapping({"store": {"uri": "store"}, "encoder": {"name": "stub"}, "sources": [NOTES]}, base)
    before = len(Runs(Store(config.store.uri)).all())
    with pytest.raises(InputError, match=r"no questions to judge a release by: name a set under \[\[evaluation\]\]"):
        evaluate(config)
    with pytest.raises(InputError, match="no questions"):
        evaluate(config, own=True)
    assert len(Runs(Store(config.store.uri)).all()) == before


def test_a_night_that_answers_worse_than_the_last_release_is_refused(tmp_path: Path) -> None:
    config = made(tmp_path)
    refresh(config)
    evaluate(config)
    save(tmp_path / "notes", {"new.md": prose("new")})
    assert refresh(config).outcome == "published"
    release = Releases(Store(config.store.uri)).get()
    assert release.audit["quality"]["sets"]["terms"]["change"] == 0.0
    assert recorded(config)[0] in {(2, "terms", "exact", None, 8), (2, "terms", "dense", None, 8)}
    save(tmp_path / "notes", {f"{name}.md": f"Nothing of note, says {name[0]}." for name in NAMES})
    result = refresh(config)
    assert (result.outcome, exit_code(result.outcome), result.release) == ("refused", 5, 2)
    assert re.match(
        r"terms: nDCG@10 fell by 0\.\d+ \[.*\] against the release before, over 8 questions", result.message
    )
    assert recorded(config)[0][0] is None


def test_a_least_quality_holds_from_the_first_night(tmp_path: Path) -> None:
    config = made(tmp_path, quality={"min_ndcg": 0.99})
    assert refresh(config).outcome == "published"
    save(tmp_path / "notes", {f"{name}.md": None for name in NAMES[:3]})
    result = refresh(config)
    assert (result.outcome, result.release) == ("refused", 1)
    assert "is below quality.min_ndcg 0.99" in result.message


def test_a_set_whose_source_is_emptied_answers_nothing_and_no_night_ends_in_an_error(tmp_path: Path) -> None:
    save(tmp_path / "more", {"kept.md": prose("kept")})
    sources = [NOTES, {"name": "more", "kind": "folder", "path": "more"}]
    config = made(tmp_path, sources=sources)
    assert refresh(config).outcome == "published"
    save(tmp_path / "notes", {f"{name}.md": None for name in NAMES})
    result = refresh(config, accept_deletions=True)
    assert (result.outcome, result.release) == ("refused", 1)
    assert "fell by 1.000" in result.message
    loose = made(tmp_path, sources=sources, quality={"max_drop": 1.0})
    save(tmp_path / "notes", {f"{name}.md": None for name in NAMES})
    assert refresh(loose, accept_deletions=True).outcome == "published"
    with pytest.raises(InputError, match="holds no document of source 'notes'"):
        evaluate(loose)


def test_diff_asks_both_releases(base: Path, tmp_path: Path) -> None:
    config = configure(base, {"gale.md": None})
    assert refresh(config).release == 2
    (tmp_path / "golden.jsonl").write_text('{"query": "The gale of row 0", "documents": ["gale.md"]}\n')
    (base / "tidemark.toml").write_text(f'[store]\nuri = "{config.store.uri}"\n[encoder]\nname = "stub"\n')
    found = told(base, "diff", "1", "2", "--queries", str(tmp_path / "golden.jsonl"))
    assert found["counts"]["removed"] == 1
    assert found["queries"]["answers"][0]["a"][0] == {"source": "notes", "document": "gale.md"}
    assert found["queries"]["ndcg@10"] == {"a": 1.0, "b": 0.0}
    shown = tidemark(base, "diff", "1", "2", "--queries", str(tmp_path / "golden.jsonl")).stdout
    assert "1 of 1 questions are answered otherwise" in shown and "release 1 is better" in shown


def test_a_wrong_file_of_questions_is_told_before_anything_is_written(tmp_path: Path) -> None:
    config = made(tmp_path)
    (tmp_path / "judged" / "qrels" / "test.tsv").write_text("nothing\n")
    with pytest.raises(InputError, match=r"test\.tsv, line 1: the header must be"):
        refresh(config)
    assert not (tmp_path / "store").exists()


def drawn(view: object) -> str:
    from rich.console import Console

    console = Console(width=120, record=True, file=io.StringIO())
    console.print(view)
    return console.export_text()
