"""Vectors of fewer bits: written out of those that there are, judged against them, kept by nights, and undone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import configure, night, prose, rows, save

from flows.audit import audit
from flows.config.schema import Config
from flows.exits import exit_code
from flows.plan import plan
from flows.rollback import rollback
from storage.tables.chunks import ChunkTable
from storage.tables.index import statistics
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from tasks.search.search import Search

NAMES = [f"word{number}" for number in range(40)]
SETS = [{"name": "terms", "path": "judged", "source": "notes"}]
HALF = {"precision": "float16", "min_rows": 256}


def current(config: Config) -> Release:
    return Releases(Store(config.store.uri)).get()


def chunks(release: Release, config: Config) -> ChunkTable:
    return ChunkTable(Store(config.store.uri), release.chunks, release.tag)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one release of some 300 chunks in float32 with a binary index, and questions for its notes."""
    base = tmp_path_factory.mktemp("smaller")
    (base / "judged" / "qrels").mkdir(parents=True)
    # Two words a question, each of a document of its own: whoever looks into one cell of the index misses one of them.
    pairs = {f"{a} {b}": (a, b) for a, b in zip(NAMES[::2], NAMES[1::2], strict=True)}
    queries = [json.dumps({"_id": text, "text": text}) for text in pairs]
    (base / "judged" / "queries.jsonl").write_text("\n".join(queries))
    lines = "".join(f"{text}\t{name}.md\t1\n" for text, names in pairs.items() for name in names)
    (base / "judged" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    files: dict[str, str | bytes | None] = {f"{name}.md": prose(name, 8) for name in NAMES}
    night(configure(base, files, index={"min_rows": 256}))
    return base


@pytest.fixture
def base(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_float16_is_made_of_the_stored_vectors_and_nights_keep_it(base: Path) -> None:
    config = configure(base, index=HALF, evaluation=SETS)
    before, first = rows(config), current(config)
    forecast = plan(config)
    assert (forecast.counts["embedded"], forecast.causes) == (0, {"precision": len(NAMES)})
    result = night(config)
    second = current(config)
    assert (result.outcome, result.counts["embedded"], result.space) == ("published", 0, first.space)
    assert "float16, binary:" in result.message and "against exact search in float32 over 20" in result.message
    assert (second.text.index.precision, second.text.index.kind) == ("float16", "IVF_RQ")
    told = second.audit["compression"]
    dimension = chunks(second, config).dimension
    assert told["bytes"][0] - told["bytes"][1] == pytest.approx(2 * dimension, rel=0.1)
    assert told["message"] in second.message and all(took > 0 for took in told["milliseconds"])
    after = {row["id"]: row["vector"] for row in rows(config)}
    rounded = {row["id"]: np.array(row["vector"], np.float32).astype(np.float16).tolist() for row in before}
    assert after == rounded
    assert audit(config, deep=True).failed == []
    assert night(config).outcome == "unchanged"

    save(base / "notes", {"new.md": prose("lighthouse", 8)})
    third = night(config)
    assert third.outcome == "published" and third.counts["embedded"] > 0
    assert "compression" not in current(config).audit  # judged once
    ((_, hits),) = Search(config.store.uri).find(["row 3 of the lighthouse"], 3)
    assert {hit.document for hit in hits} == {"new.md"}
    assert hits[0].score == pytest.approx(1, abs=0.5)
    assert rollback(config, 1).release == 4
    assert current(config).text.index.precision == "float32"
    assert audit(config).failed == []


def test_plain_lancedb_reads_float16_as_the_readme_says(base: Path) -> None:
    import lancedb  # two seconds, which no other test needs

    config = configure(base, index=HALF)
    result = night(config)
    assert "recall@10" in result.message and "without judged questions" in result.message
    release = current(config)
    table = lancedb.connect(config.store.uri).open_table(release.chunks)
    table.checkout(release.tag)
    row = rows(config)[7]
    query = np.array(row["vector"], np.float32)
    asked, index = table.search(query).distance_type("cosine").where("source = 'notes'"), release.text.index
    found = asked.nprobes(index.nprobes).refine_factor(index.refine_factor).limit(5).to_list()
    assert found[0]["_distance"] == pytest.approx(0, abs=1e-3)
    assert row["id"] in {each["id"] for each in found} or found[4]["_distance"] < 1e-3


def test_back_to_float32_takes_the_whole_vectors_that_are_kept(base: Path) -> None:
    half, full = configure(base, index=HALF), configure(base, index={"min_rows": 256})
    night(half)
    save(base / "notes", {"new.md": prose("lighthouse")})
    fresh = night(half).counts["embedded"]
    back = night(full)
    # What only float16 releases hold is embedded again: a rounded vector is never passed off as a whole one.
    assert (back.outcome, back.counts["embedded"]) == ("published", fresh)
    assert current(full).text.index.precision == "float32"
    assert audit(full).failed == []


@pytest.mark.parametrize(("kind", "lance"), [("int8", "IVF_SQ"), ("flat", "IVF_FLAT")])
def test_another_kind_of_index_is_built_beside_the_same_vectors(base: Path, kind: str, lance: str) -> None:
    config = configure(base, index={"min_rows": 256, "kind": kind}, evaluation=SETS)
    assert plan(config).outcome == "published"
    result = night(config)
    release = current(config)
    assert (result.outcome, result.counts["embedded"], release.text.index.kind) == ("published", 0, lance)
    assert f"float32, {kind}:" in result.message
    assert audit(config).failed == []
    assert night(config).outcome == "unchanged"
    save(base / "notes", {"new.md": prose("lighthouse", 8)})
    assert night(config).outcome == "published"
    ((_, hits),) = Search(config.store.uri).find(["row 3 of the lighthouse"], 3)
    assert {hit.document for hit in hits} == {"new.md"}
    found = statistics(chunks(current(config), config))
    assert found is not None and (found.kind, found.coverage) == (lance, 1.0)
    assert rollback(config, 1).release == 4
    assert current(config).text.index.kind == "IVF_RQ"


COARSE: dict[str, Any] = {"min_rows": 256, "kind": "int8", "nprobes": 1, "refine_factor": 1}


def test_what_loses_more_is_refused_by_name(base: Path) -> None:
    config = configure(base, index=COARSE | {"recall_floor": 0.0}, evaluation=SETS)
    result = night(config)
    assert (result.outcome, result.release, exit_code(result.outcome)) == ("refused", 1, 5)
    assert result.message.startswith("float32, int8:")
    assert result.message.endswith("quality.max_compression_loss allows 0.005")
    assert current(config).text.index.kind == "IVF_RQ"


def test_without_questions_the_recall_of_the_index_decides(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.build.index.EFFORTS", (1,))
    config = configure(base, index=COARSE | {"recall_floor": 1.0})
    result = night(config)
    assert (result.outcome, result.release) == ("refused", 1)
    assert "of the nearest neighbours, below index.recall_floor; name another index.kind" in result.message
