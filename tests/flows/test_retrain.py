"""A retraining publishes what is proved to help, refuses the rest by the name of the bar, and can be undone."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import lessons
import numpy as np
import polars as pl
import pytest
from commands import tidemark
from endpoint import serving

from flows import retrain as module
from flows.audit import audit
from flows.config.schema import Config
from flows.exits import exit_code
from flows.hold import hold, unhold
from flows.reembed import reembed
from flows.refresh import refresh
from flows.retrain import RetrainResult, retrain
from flows.rollback import rollback
from models.errors import ModelError
from storage.errors import InputError, LeaseHeld
from storage.lock import alone_in
from storage.reader import Reader
from storage.tables.evaluations import Evaluations
from storage.tables.models import Models
from storage.tables.pairs import PairTable, write
from storage.tables.releases import Release, Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.learn.train import trainings

LEARNING = {"steps": 24}
GENERAL = {"name": "common", "path": "common", "source": "other", "role": "general"}
SOURCES = [*lessons.SETTINGS["sources"], {**lessons.SETTINGS["sources"][0], "name": "other", "path": "other.jsonl"}]


def made(base: Path, learning: dict[str, Any] | None = None, **sections: Any) -> Config:
    found: Config = lessons.configured(base, sources=SOURCES, learning=LEARNING | (learning or {}), **sections)
    return found


@pytest.fixture(scope="module")
def begun(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release 1: documents that are told apart by rare words, and some that are by common ones."""
    base = tmp_path_factory.mktemp("begun")
    common = lessons.fill(base, tiny_model, 140)
    random, texts, rows = Random(3), {}, []
    for number, words in enumerate(itertools.islice(itertools.combinations(common, 4), 0, 200, 4)):
        texts[f"o{number}"] = " ".join(random.sample(words, 4))
        rows.append({"id": f"o{number}", "text": " ".join(words)})
    lessons.write_rows(base / "other.jsonl", rows)
    lessons.judge(base / "common", texts, {"test": {name: name for name in texts}})
    assert refresh(made(base)).outcome == "published"
    return base


@pytest.fixture(scope="module")
def waiting(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RetrainResult]:
    """The same, and a challenger that is trained, passes the gate and waits for approval."""
    base = Path(shutil.copytree(begun, tmp_path_factory.mktemp("waiting") / "base", symlinks=True))
    return base, retrain(made(base, {"approval": True}))


@pytest.fixture
def trained(waiting: tuple[Path, RetrainResult], tmp_path: Path) -> Path:
    """A copy of it: whoever trains the same there only reads what was trained."""
    return Path(shutil.copytree(waiting[0], tmp_path / "base", symlinks=True))


@pytest.fixture
def untrained(begun: Path, tmp_path: Path) -> Path:
    """A copy of release 1."""
    return Path(shutil.copytree(begun, tmp_path / "base", symlinks=True))


def current(base: Path) -> Release:
    return Releases(Store(base / "store")).get()


def add(base: Path, text: str) -> None:
    """Write one more document."""
    file = base / "docs.jsonl"
    file.write_text(file.read_text() + json.dumps({"id": "late", "text": text}) + "\n")


def untouched(base: Path, found: RetrainResult, *, models: int = 1) -> None:
    """Readers have the release of before, the refused model is kept and says so, and no work folder is left."""
    assert (found.outcome, found.release, exit_code(found.outcome)) == ("refused", 1, 5)
    assert current(base).seq == 1
    row = Runs(Store(base / "store")).get(found.run)
    assert (row["kind"], row["outcome"], row["release"], row["message"]) == ("retrain", "refused", 1, found.message)
    known = [(each.space, each.metrics["verdict"]) for each in Models(Store(base / "store")).all()]
    assert known == ([(found.challengers[0].space, "refused")] if models else [])
    assert not (base / "store" / ".work").exists()


def test_what_helps_waits_while_somebody_holds_the_store(trained: Path) -> None:
    config, store = made(trained, {"approval": True}), Store(trained / "store")
    hold(store, "the judges are asked")
    held = retrain(config, yes=True)
    assert (held.outcome, exit_code(held.outcome), held.release) == ("held", 3, 1)
    assert "the judges are asked" in held.message
    assert current(trained).seq == 1
    unhold(store)
    free = retrain(config, yes=True)
    assert (free.outcome, free.release, free.challengers[0].space) == ("published", 2, held.challengers[0].space)


def test_what_helps_is_published_as_one_release_and_nights_go_on_with_it(
    waiting: tuple[Path, RetrainResult], trained: Path
) -> None:
    first = waiting[1]
    assert (first.outcome, exit_code(first.outcome), first.release) == ("needs-approval", 3, 1)
    assert "waits for approval" in first.message
    assert current(trained).seq == 1
    config, store = made(trained, {"approval": True}), Store(trained / "store")
    old, done = current(trained).space, next((trained / "store" / "training").glob("*/trained.json"))
    before = done.stat().st_mtime_ns

    watched: list[int] = []
    removed = module.clear_trainings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "clear_trainings", lambda *a: (watched.append(done.stat().st_mtime_ns), removed(*a)))
        result = retrain(config, yes=True)
    assert watched == [before, before]  # nothing was trained again
    assert (result.outcome, result.release, result.base) == ("published", 2, 1)
    chosen, other = result.challengers
    assert (chosen.verdict, chosen.reasons, other.verdict) == ("passed", (), "not chosen")
    assert chosen.space == first.challengers[0].space
    assert chosen.metrics["own"]["challenger"] > chosen.metrics["own"]["champion"] + 0.1
    assert not (trained / "store" / "training").exists()
    assert not (trained / "store" / ".work").exists()

    release = current(trained)
    encoder = release.text.encoder
    assert (release.seq, release.space, encoder.parent, encoder.root) == (2, chosen.space, old, old)
    assert release.run == result.run
    assert release.counts["documents"] == 190
    record = Models(store).find(chosen.space)
    assert record is not None
    assert (record.parent, record.run, record.metrics["verdict"]) == (old, result.run, "passed")
    rows = [row for row in Evaluations(store).all(release=2) if row["mode"] == "dense" and row["by"] is None]
    assert [(row["set"], row["run"], row["maker"], row["questions"]) for row in rows] == [
        ("own", result.run, result.run, 40)
    ]
    run = Runs(store).get(result.run)
    assert (run["kind"], run["outcome"], run["base"], run["release"]) == ("retrain", "published", 1, 2)
    assert audit(config).failed == []

    add(trained, "a document that came later")
    night = refresh(config)
    assert (night.outcome, night.release, night.space, night.counts["embedded"]) == ("published", 3, chosen.space, 1)
    assert refresh(config).outcome == "unchanged"
    second = retrain(config)
    assert second.base == 3
    assert {each.parent for each in Models(store).all()} == {old, chosen.space}
    assert rollback(config, to=1).release == 4
    assert current(trained).space == old
    night = refresh(config)
    assert (night.outcome, night.space, night.counts["embedded"]) == ("published", old, 1)


def test_what_is_too_slow_or_too_large_is_refused(trained: Path) -> None:
    found = retrain(made(trained, quality={"max_latency": 0.001, "max_size": 0.5}))
    slow, large = found.challengers[0].reasons
    assert "ms a query" in slow and "at most 0.00 times are allowed" in slow
    assert "bytes of weights, 1.00 times the champion's" in large
    untouched(trained, found)


def test_what_forgets_is_refused(trained: Path) -> None:
    found = retrain(made(trained, evaluation=[*lessons.SETTINGS["evaluation"], GENERAL]))
    (reason,) = found.challengers[0].reasons
    assert "on the general set common changed by -0." in reason and "it forgets more than 0.020" in reason
    assert [bar["name"] for bar in found.report["gate"]["bars"] if not bar["holds"]] == ["forgetting"]
    untouched(trained, found)


def test_a_gain_that_may_be_chance_is_refused(trained: Path) -> None:
    file = trained / "judged" / "qrels" / "test.tsv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:5]))
    found = retrain(made(trained))
    (reason,) = found.challengers[0].reasons
    assert "within noise, 4 questions show an effect of" in reason
    untouched(trained, found)


def test_shuffled_answers_teach_nothing(untrained: Path) -> None:
    lessons.shuffle(untrained / "judged", "train")
    found = retrain(made(untrained))
    assert found.challengers[0].reasons
    untouched(untrained, found)


def test_questions_that_judge_are_not_learned_from(untrained: Path) -> None:
    folder = untrained / "judged" / "qrels"
    shutil.copy(folder / "test.tsv", folder / "train.tsv")
    found = retrain(made(untrained))
    assert found.message.startswith("there are 0 pairs of a question and its passage to learn from, where 2 are needed")
    assert [found.report["pairs"]["counts"][part] for part in ("train", "test")] == [0, 40]
    untouched(untrained, found, models=0)


def test_pairs_of_documents_that_judge_are_dropped_and_nothing_else_is_trained(trained: Path) -> None:
    """Other questions of the test documents, beside clean ones, change nothing of what is learned."""
    folder, done = trained / "judged", next((trained / "store" / "training").glob("*/trained.json"))
    before = done.stat().st_mtime_ns
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    texts = {row["_id"]: row["text"] for row in rows}
    judged = [line.split("\t")[0] for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]]
    leaked = [{"_id": f"leak-{name}", "text": f"another {texts[name]}"} for name in judged]
    lessons.write_rows(folder / "queries.jsonl", rows + leaked)
    with (folder / "qrels" / "train.tsv").open("a") as file:
        file.writelines(f"leak-{name}\t{name}\t1\n" for name in judged)
    found = retrain(made(trained, {"approval": True}))
    assert found.outcome == "needs-approval"
    assert 30 < found.report["pairs"]["counts"]["judged"] <= len(judged)  # some passages are too short for a pair
    assert done.stat().st_mtime_ns == before  # the examples are the same, so nothing was trained again


def test_a_leak_that_no_split_prevented_stops_the_run(trained: Path) -> None:
    """A pair of a test document, and one whose passage is nearly that of another, are put among those of train."""
    store = Store(trained / "store")
    version, table = current(trained).tables["documents"], PairTable(store)
    pairs = pl.concat(table.slices(version=version))
    held, free = pairs.filter(pl.col("split") == "test"), pairs.filter(pl.col("split") == "train")
    same = free.head(1).with_columns(content_hash=pl.lit(held["content_hash"][0]))
    near = free.slice(1, 1).with_columns(passage=pl.lit(held["passage"][1] + " lately"))
    planted = pl.concat([same, near])
    rest = pairs.filter(~pl.col("id").is_in(planted["id"].implode()))
    write(store, version, [pl.concat([planted, rest])], fingerprint=pairs["fingerprint"][0])
    before = Models(store).all()
    found = retrain(made(trained))
    assert found.message.startswith("leakage between training and judging: 1 document is trained on and judged by")
    assert "; 1 passage is trained on and judged by too, or nearly, for example" in found.message
    assert (found.outcome, found.challengers, current(trained).seq) == ("refused", (), 1)
    assert Runs(store).get(found.run)["message"] == found.message
    assert Models(store).all() == before


def test_mined_negatives_are_trained_with_and_recorded(untrained: Path) -> None:
    found = retrain(made(untrained, {"negatives": 1}))
    assert found.outcome in ("published", "refused") and found.report["gate"]["bars"]
    told = found.report["lesson"]
    assert 0 < told["negatives"] <= told["examples"] == found.report["pairs"]["counts"]["train"]
    store = Store(untrained / "store")
    assert Runs(store).get(found.run)["data"]["lesson"] == told
    record = Models(store).find(found.challengers[0].space)
    assert record is not None and record.data["lesson"] == told and record.recipe["negatives"] == 1


def test_questions_that_an_endpoint_writes_are_learned_from_and_recorded(untrained: Path) -> None:
    lines = (untrained / "docs.jsonl").read_text().splitlines()
    counted = Counter(word for line in lines for word in json.loads(line)["text"].split())
    common = [word for word, count in counted.items() if count > 20]

    def question(asked: str) -> str:
        rare = [word for word in asked.rpartition("\n")[2].split() if word not in common]
        return " ".join(word for both in zip(rare, common, strict=False) for word in both)

    (untrained / "judged" / "qrels" / "train.tsv").unlink()
    with serving(question) as endpoint:
        generator = {"model": "writer", "url": endpoint.url, "key": "s3cret", "questions": 400}
        found = retrain(made(untrained, {"generator": generator}))
    assert found.outcome in ("published", "refused") and found.report["gate"]["bars"]
    assert set(endpoint.keys) == {"Bearer s3cret"}
    assert found.report["generated"] == {"written": len(endpoint.asked), "useless": 0, "kept": 0}
    kinds = found.report["pairs"]["kinds"]
    assert kinds["synthetic"]["train"] == found.report["lesson"]["examples"] > 50
    assert "train" not in kinds["judged"]
    store = Store(untrained / "store")
    row = Runs(store).get(found.run)
    assert (row["data"]["generated"], row["data"]["pairs"]["kinds"]) == (found.report["generated"], kinds)
    assert "s3cret" not in json.dumps(row, default=str)
    record = Models(store).find(found.challengers[0].space)
    assert record is not None and record.data["generated"] == found.report["generated"]


def test_without_questions_it_says_how_to_give_some(untrained: Path) -> None:
    found = retrain(made(untrained, evaluation=[]))
    assert "no test question, so nothing could prove a gain: name judged questions" in found.message
    assert found.challengers == ()
    untouched(untrained, found, models=0)


def test_a_stub_wrong_minutes_and_a_store_without_a_release_are_told_before_anything_is_written(tmp_path: Path) -> None:
    lessons.write_rows(tmp_path / "docs.jsonl", [{"id": "a", "text": "one document"}])
    config = lessons.configured(tmp_path, encoder={"name": "stub"}, evaluation=[])
    with pytest.raises(InputError, match="nothing is published yet"):
        retrain(config)
    refresh(config)
    with pytest.raises(InputError, match="0 minutes of training: give more than 0"):
        retrain(config, minutes=0)
    with pytest.raises(ModelError, match=r"the encoder stub.*, which has nothing to train") as told:
        retrain(config)
    assert exit_code(told.value) == 2
    assert [row["kind"] for row in Runs(Store(config.store.uri)).all()] == ["refresh"]


def test_of_two_retrainings_one_works(untrained: Path) -> None:
    config = made(untrained)
    store = Store(config.store.uri)
    with alone_in(trainings(store), ""), pytest.raises(LeaseHeld, match="another retraining of this store") as told:
        retrain(config)
    assert exit_code(told.value) == 4
    assert [row["kind"] for row in Runs(store).all()] == ["refresh"]


def test_json_has_the_keys_that_others_script_against(trained: Path) -> None:
    columns = '{id = "id", text = "text"}'
    lines = [
        '[store]\nuri = "store"',
        '[encoder]\nname = "tiny"\nthreads = 1',
        "[chunker]\nmin_tokens = 4\nmax_tokens = 60",
        "[index]\ntext = false",
        *(
            f'[[sources]]\nname = "{name}"\nkind = "jsonl"\npath = "{name}.jsonl"\ncolumns = {columns}'
            for name in ("docs", "other")
        ),
        '[[evaluation]]\nname = "own"\npath = "judged"\nsource = "docs"',
        "[learning]\nsteps = 24\nlearning_rate = 1e-2\nbatch = 32\npatience = 10",
        "[quality]\nmax_latency = 20\nmax_size = 0.5",
    ]
    (trained / "tidemark.toml").write_text("\n".join(lines))
    ended = tidemark(trained, "retrain", "--json")
    assert ended.exit_code == 5
    told = json.loads(ended.stdout)
    assert {"run", "release", "outcome", "base", "challengers", "seconds"} <= told.keys()
    assert (told["release"], told["outcome"], told["base"]) == (1, "refused", 1)
    assert {tuple(each) for each in told["challengers"]} == {("name", "space", "verdict", "reasons", "metrics")}
    assert [each["verdict"] for each in told["challengers"]] == ["refused", "not chosen"]
    assert told["seconds"]["total"] > 0


def test_what_a_night_publishes_meanwhile_reaches_the_published_side(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = made(trained, releases={"keep": 1})
    choose = module.choose

    def meanwhile(*arguments: Any) -> Any:
        chosen = choose(*arguments)
        add(trained, "it came while there was training")
        night = refresh(config)
        assert (night.outcome, night.release) == ("published", 2)
        return chosen

    monkeypatch.setattr(module, "choose", meanwhile)
    found = retrain(config)
    assert (found.outcome, found.release, found.base) == ("published", 3, 2)
    reader = Reader.open(config.store.uri)
    vectors = np.ones((1, 32), dtype=np.float32)
    assert "late" in {hit.document for hit in reader.search(vectors, 500, space=reader.release.space)[0]}
    assert current(trained).counts["documents"] == 191
    assert refresh(config).outcome == "unchanged"


def test_a_challenger_of_an_encoder_that_no_longer_serves_is_refused(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = made(trained)
    choose = module.choose

    def meanwhile(*arguments: Any) -> Any:
        chosen = choose(*arguments)
        assert reembed(config, encoder="stub").release == 2
        return chosen

    monkeypatch.setattr(module, "choose", meanwhile)
    found = retrain(config)
    assert (found.outcome, found.release) == ("refused", 2)
    assert found.message.startswith("release 2, which was published meanwhile, has another encoder")


def test_a_reader_through_the_switch_never_errs_nor_mixes(trained: Path) -> None:
    config, done = made(trained), threading.Event()
    vectors = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)
    seen: list[tuple[int, Any]] = []
    failed: list[Exception] = []

    def answer(reader: Reader) -> Any:
        return [
            [(hit.document, hit.score) for hit in hits]
            for hits in reader.search(vectors, 5, space=reader.release.space)
        ]

    def follow() -> None:
        while not done.is_set():
            try:
                reader = Reader.open(config.store.uri)
                seen.append((reader.release.seq, answer(reader)))
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is the test's to tell
                failed.append(error)

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        pinned = Reader.open(config.store.uri)
        assert retrain(config).outcome == "published"
        held = answer(pinned)
    finally:
        done.set()
        follower.join()
    assert failed == []
    answers = {seq: answer(Reader.open(config.store.uri, seq)) for seq in (1, 2)}
    assert held == answers[1] != answers[2]
    assert {seq for seq, _ in seen} >= {1}
    assert all(found == answers[seq] for seq, found in seen)
    assert [seq for seq, _ in seen] == sorted(seq for seq, _ in seen)
