"""A bridge serves a new encoder from mapped vectors, says so, and gives way to the vectors of the encoder itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import told
from corpus import configure, context, encoder, found, night, prose, rows, save
from killing import Child, Orders, reembedded
from nights import VALUES, answer, mapping, state

from flows import bridge as module
from flows.audit import audit
from flows.config.schema import Config
from flows.exits import exit_code
from flows.plan import plan
from flows.reembed import reembed
from flows.rollback import rollback
from models.config import EncoderConfig
from models.encoder import resolve
from storage.catalogue import catalogue
from storage.errors import InputError
from storage.reader import Reader
from storage.tables.releases import Release, Releases
from storage.tables.store import Store
from tasks.build.bridge import fit_bridge

NAMES = [f"word{number}" for number in range(30)]
SETS = [{"name": "terms", "path": "judged", "source": "notes"}]
OTHER = "stub:7"
# What stands before every question of the champion: it finds these documents, whatever is asked.
NOISE = " ".join(f"The {name} of row 1." for name in NAMES[:3] * 3)
POOR = {"name": "stub", "query_prompt": NOISE + " "}


def current(config: Config) -> Release:
    return Releases(Store(config.store.uri)).get()


def judged(base: Path, **sections: Any) -> Config:
    return configure(base, **{"encoder": POOR, "evaluation": SETS, "quality": {"max_latency": 100}} | sections)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one release whose encoder answers badly, and a question for each note."""
    base = tmp_path_factory.mktemp("bridge")
    (base / "judged" / "qrels").mkdir(parents=True)
    queries = [json.dumps({"_id": name, "text": f"The {name} of row 1"}) for name in NAMES]
    (base / "judged" / "queries.jsonl").write_text("\n".join(queries))
    lines = "".join(f"{name}\t{name}.md\t1\n" for name in NAMES)
    (base / "judged" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    save(base / "notes", {f"{name}.md": prose(name, 4) for name in NAMES})
    night(judged(base))
    return base


@pytest.fixture
def base(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_bridge_serves_until_the_reembedding_replaces_it(base: Path) -> None:
    config = judged(base)
    first, before = current(config), rows(config)
    space = resolve(EncoderConfig(name=OTHER)).space.id
    result = reembed(config, encoder=OTHER, bridge=True)
    second = current(config)
    assert (result.outcome, result.release, result.space, result.counts["embedded"]) == ("published", 2, space, 0)
    assert "bridged: vectors are mapped by one matrix" in result.message and "nDCG@10 on terms" in result.message
    assert second.text.bridge is not None and second.text.bridge.parent == first.space
    assert second.text.encoder.root == first.space
    assert {row["id"]: row["text"] for row in rows(config)} == {row["id"]: row["text"] for row in before}
    assert found(config, "The word5 of row 1", 1)[0].document == "word5.md"
    assert audit(config, deep=True).failed == []
    assert [one.bridged for one in catalogue(Store(config.store.uri)) if one.space == space] == [[2]]
    assert reembed(config, encoder=OTHER, bridge=True).outcome == "unchanged"
    assert night(config).outcome == "unchanged"

    save(base / "notes", {"new.md": prose("lighthouse", 4)})
    third = night(config)
    assert (third.outcome, third.causes) == ("published", {"new": 1})
    assert current(config).text.bridge == second.text.bridge
    opened = resolve(EncoderConfig(name=OTHER)).open()
    for row in rows(config):  # what is new is embedded, not mapped
        if row["document"] == "new.md":
            np.testing.assert_allclose(row["vector"], opened.encode_documents([row["text"]])[0], atol=1e-5)
    assert audit(config).failed == []

    forecast = plan(config, encoder=OTHER)
    assert (forecast.outcome, forecast.causes) == ("published", {"bridge": len(NAMES) + 1})
    assert forecast.counts["embedded"] == 0  # all contents were in the sample, or came since
    done = reembed(config, encoder=OTHER)
    last = current(config)
    assert (done.outcome, done.release, last.text.bridge) == ("published", 4, None)
    every = rows(config)
    vectors = opened.encode_documents([row["text"] for row in every])
    np.testing.assert_allclose(np.array([row["vector"] for row in every]), vectors, atol=1e-5)
    assert reembed(config, encoder=OTHER).outcome == "unchanged"
    assert rollback(config, 1).release == 5
    assert (current(config).space, current(config).text.bridge) == (first.space, None)


def test_what_gains_nothing_is_refused_like_any_challenger(base: Path) -> None:
    good = judged(base, encoder={"name": OTHER})
    night(good, accept_encoder=True)
    result = reembed(good, encoder="stub:2", bridge=True)
    assert (result.outcome, result.release, exit_code(result.outcome)) == ("refused", 2, 5)
    assert "at least +0.010 is asked" in result.message
    assert current(good).text.bridge is None


def test_without_questions_somebody_must_approve(base: Path) -> None:
    config = judged(base, evaluation=[])
    result = reembed(config, encoder=OTHER, bridge=True)
    assert (result.outcome, result.release, exit_code(result.outcome)) == ("needs-approval", 1, 3)
    assert f"`tidemark reembed --encoder {OTHER} --bridge --yes`" in result.message
    assert reembed(config, encoder=OTHER, bridge=True, yes=True).outcome == "published"


def test_a_killed_bridge_goes_on_with_what_was_embedded(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = judged(base)

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "finish", killed)  # the mapped table is written, and nothing of it published
        with pytest.raises(KeyboardInterrupt):
            reembed(config, encoder=OTHER, bridge=True)
    assert current(config).seq == 1
    with context(config) as run:
        assert run.base is not None
        assert fit_bridge(run, run.base, resolve(EncoderConfig(name=OTHER))).embedded == 0
    assert night(config).outcome == "unchanged"
    assert reembed(config, encoder=OTHER, bridge=True).outcome == "published"
    assert audit(config).failed == []


def unjudged(base: Path) -> dict[str, Any]:
    """The configuration of a process of its own, without judged questions."""
    return mapping(base / "store", base / "notes", encoder=POOR["name"]) | {"encoder": POOR}


def bridging(base: Path, at: int | str | None = None) -> Child:
    """A process that publishes a bridge."""
    return Child(reembedded, unjudged(base), base, OTHER, True, orders=Orders(at, values=VALUES))


@pytest.mark.parametrize("every", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_bridge_can_be_killed_at_each_commit(whole: Path, tmp_path: Path, every: bool) -> None:
    def copied(name: str) -> Path:
        return Path(shutil.copytree(whole, tmp_path / name))

    base = copied("undisturbed")
    old = answer(Reader.open(str(base / "store")))
    with bridging(base) as child:
        end = child.end()
    assert end.value is not None, end.failure
    release = Releases(Store(base / "store")).get()
    assert release.text.bridge is not None
    reached, new = state(base / "store", release), answer(Reader.open(str(base / "store")))
    published = end.moments.index("after commit execute releases 1")
    commits = [
        at
        for at, moment in enumerate(end.moments[: published + 3])
        if moment.startswith(("after commit", "after file")) and "leases" not in moment
    ]
    chosen = commits if every else [commits[len(commits) // 2], *commits[-3:-1]]
    assert len(commits) >= 10
    for at in chosen:
        case = copied(f"at-{at}")
        with bridging(case, at) as child:
            assert child.end().killed
        reader = Reader.open(str(case / "store"))
        assert (reader.release.seq, answer(reader)) == ((2, new) if at >= published else (1, old)), end.moments[at]
        with bridging(case) as child:
            again = child.end()
        assert again.value is not None, again.failure
        assert again.value.outcome == ("unchanged" if at >= published else "published")
        assert state(case / "store", Releases(Store(case / "store")).get()) == reached, end.moments[at]
        assert audit(Config.from_mapping(unjudged(case), case)).failed == []


def test_wrong_input_is_told(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    night(config)
    with pytest.raises(InputError, match="give it or --dimensions, not both"):
        reembed(config, bridge=True, dimensions=4)
    with pytest.raises(InputError, match="a matrix wants 50 or more"):
        reembed(config, encoder=OTHER, bridge=True, yes=True)
    assert current(config).seq == 1


def test_releases_and_models_say_what_is_bridged(base: Path) -> None:
    config = judged(base, evaluation=[])
    reembed(config, encoder=OTHER, bridge=True, yes=True)
    (base / "tidemark.toml").write_text('[store]\nuri = "store"\n[encoder]\nname = "stub"\n')
    newest, oldest = told(base, "releases")
    assert (newest["bridged"], oldest["bridged"]) == (Releases(Store(config.store.uri)).get(1).space, None)
    assert [one["bridged"] for one in told(base, "models") if 2 in one["releases"]] == [[2]]
    assert encoder(config).space.id == oldest["space"]
