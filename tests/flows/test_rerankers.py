"""Re-rankers in the product: tried, published with an encoder or alone, carried by nights, dropped, and undone."""

from __future__ import annotations

import io
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import tidemark, told
from corpus import configure, night, save
from rich.console import Console

from flows.audit import audit
from flows.build import publish_built, stage_space
from flows.config.schema import Config
from flows.context import opened, rebased
from flows.reembed import reembed
from flows.refresh import refresh
from flows.report.gather import gather
from flows.report.markdown import write_learning
from flows.report.page import write_page
from flows.rerankers import adopted, keep_champion, with_reranker
from flows.rollback import rollback
from flows.run import Run, recorded
from flows.views.learn import retrain_view
from models.encoder import resolve
from models.errors import ModelError
from models.metrics import score
from storage.outcome import Outcome
from storage.readable import readable
from storage.reader import Hit
from storage.registry import Registry
from storage.tables.releases import Release, Releases
from storage.tables.roles import RERANKER, Role
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.learn.report import Report, RetrainResult
from tasks.progress import Silent
from tasks.release.publish import clean_up
from tasks.release.serving import described
from tasks.search.search import Search

# Long words weigh much in a vector of the stub and are in many notes; the short code that tells a note weighs little.
COMMON = [f"{word}{end}" for word in ("harbour", "current", "mooring", "lantern") for end in ("line", "mast", "tide")]
CODES = [f"{first}{second}{number}" for number in range(3) for first in "jkqvw" for second in "xz"]
SETS = [{"name": "codes", "path": "judged", "source": "notes"}]


def made(base: Path, **sections: Any) -> Config:
    """Thirty notes, each told from the others by one short word, and a question for each: even ones are dev."""
    draw = random.Random(3)
    texts = {f"{code}.md": " ".join([code, *draw.sample(COMMON, 8)]) + "." for code in CODES}
    queries = {code: " ".join([code, *draw.sample(COMMON, 5)]) for code in CODES}
    (base / "judged" / "qrels").mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"_id": code, "text": text}) for code, text in queries.items()]
    (base / "judged" / "queries.jsonl").write_text("\n".join(lines))
    for split, codes in (("dev", CODES[::2]), ("test", CODES[1::2])):
        rows = "".join(f"{code}\t{code}.md\t1\n" for code in codes)
        (base / "judged" / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    return configure(base, texts, **sections)


def judged(base: Path, **sections: Any) -> Config:
    """The same with its questions: a release that was made without them answers by vectors alone."""
    return configure(base, **{"evaluation": SETS, "learning": {"rerankers": ["fusion"]}} | sections)


def refused(config: Config, *, yes: bool = True) -> tuple[Run, Report]:
    """What a retraining does once the gate has refused its challenger."""
    store, report = Store(config.store.uri), Report()
    champion = resolve(config.encoder, config.base)
    with (
        opened(config, "stage-again", Silent(), sources=False) as unbound,
        recorded(store, "retrain", config=config, lease=False) as run,
    ):
        context = replace(rebased(unbound), run=run.id)
        assert context.base is not None
        keep_champion(context, context.base, champion, {}, config, run, report, ["no gain"], yes=yes)
    return run, report


def promoted(config: Config, name: str) -> tuple[Release, Report]:
    """What it does once the gate has let another encoder pass."""
    store, report = Store(config.store.uri), Report()
    other, configured = resolve(config.encoder.model_copy(update={"name": name})), resolve(config.encoder)
    with (
        opened(config, "stage-switch", Silent(), sources=False) as unbound,
        recorded(store, "retrain", config=config, lease=True) as run,
    ):
        context = replace(rebased(unbound), run=run.id)
        built = stage_space(context, other, described(store, context.base, other, configured), config, run)
        built = with_reranker(context, other, built, {}, config, run, report)
        release = publish_built(context, other, config, run, built, "a better encoder")
        run.conclude(Outcome.PUBLISHED, release.message, release.seq)
        clean_up(store, config.releases, other.space.id)
    return release, report


def current(config: Config) -> Release:
    return Releases(Store(config.store.uri)).get()


def reranker(config: Config) -> Role | None:
    return current(config).roles.get(RERANKER)


def kept(config: Config) -> set[str]:
    return set(Registry(Store(config.store.uri)).spaces())


def best(search: Search, question: str, mode: Any = "auto") -> Hit:
    [(_, hits)] = search.find([question], 1, mode=mode)
    return hits[0]


def quality(base: Path, search: Search) -> float:
    """nDCG@10 of the test questions."""
    queries = [json.loads(line) for line in (base / "judged" / "queries.jsonl").read_text().splitlines()]
    asked = {row["text"]: f"{row['_id']}.md" for row in queries if row["_id"] in CODES[1::2]}
    ranked = [[hit.document for hit in hits] for _, hits in search.find(asked, 10)]
    return float(score(ranked, [{answer: 1} for answer in asked.values()])["ndcg@10"].mean())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose second release is the first with a re-ranker."""
    base = tmp_path_factory.mktemp("again")
    refresh(made(base))
    run, report = refused(judged(base))
    assert (run.outcome, run.release) == ("published", 2)
    assert [row.verdict for row in report.rerankers] == ["promoted", "refused"]
    return base


@pytest.fixture
def base(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_where_no_encoder_is_better_what_readers_have_is_published_with_a_reranker(base: Path) -> None:
    config = configure(base)
    first, second = Releases(Store(config.store.uri)).get(1), current(config)
    role = second.roles[RERANKER]
    assert (second.tables, second.counts, second.text) == (first.tables, first.counts, first.text)
    assert (role.encoder.name, role.encoder.parent, role.table) == ("fusion of words", first.space, None)
    assert second.message.startswith("fusion of words gains +0.") and second.message.endswith("stays: no gain")
    row = Runs(Store(config.store.uri)).all()[0]
    light, heavy = row["data"]["rerankers"]
    assert (light["verdict"], heavy["reason"]) == ("promoted", "the encoder gives no vectors of tokens")
    assert light["gain"] > 0.1 and light["low"] > 0 and light["milliseconds"] > 0
    facts = gather(config)
    assert [each["reason"] for each in facts.rerankers] == [light["reason"], heavy["reason"]]
    page = write_page(facts)
    assert "fusion of words" in page and f"{light['low']:+.3f} to {light['high']:+.3f}" in page
    card = (Registry(Store(config.store.uri)).fetch(role.space) / "README.md").read_text()
    assert "# fusion of words" in card and f'"gain": {light["gain"]}' in card and "sentence-transformers" not in card
    question = next(iter(json.loads(line)["text"] for line in (base / "judged/queries.jsonl").open()))
    plain, again = Search(config.store.uri, rerank=False), Search(config.store.uri)
    assert again.reranking is not None and again.mode() == "dense"
    assert best(again, question).document == f"{CODES[0]}.md"
    assert [*plain.find([question], 5)] == [*Search(config.store.uri, 1).find([question], 5)]
    assert audit(config, deep=True).failed == []
    assert refused(judged(base))[0].outcome == "refused"  # the very same one is served already


def test_nothing_is_tried_without_questions_or_kinds_and_approval_is_waited_for(tmp_path: Path) -> None:
    refresh(made(tmp_path))
    for config in (configure(tmp_path), judged(tmp_path, learning={"rerankers": []})):
        run, report = refused(config)
        assert (run.outcome, run.message, report.rerankers) == ("refused", "no gain", ())
    run, report = refused(judged(tmp_path, learning={"approval": True, "rerankers": ["fusion"]}), yes=False)
    assert (run.outcome, run.release, len(report.rerankers)) == ("needs-approval", 1, 2)
    assert "`tidemark retrain --yes` publishes it" in run.message
    slow = judged(tmp_path, quality={"max_rerank_ms": 1e-9})
    run, report = refused(slow)
    assert (run.outcome, reranker(slow)) == ("refused", None)
    assert "quality.max_rerank_ms allows 1e-09" in report.rerankers[0].reason
    result = RetrainResult(run.id, 1, run.outcome, 1, (), {}, run.message, rerankers=report.rerankers)
    console = Console(file=io.StringIO(), width=160)
    console.print(retrain_view(result))
    assert "fusion of words" in console.file.getvalue() and "max_rerank_ms" in console.file.getvalue()  # type: ignore[attr-defined]
    told = result.to_dict()["rerankers"][0]
    assert told["kind"] == "fusion of words" and {"gain", "low", "high", "milliseconds", "reason"} <= told.keys()
    shown = write_learning(result.to_dict())
    assert f"| {told['gain']:+.3f} | {told['low']:+.3f} to {told['high']:+.3f} |" in shown
    with pytest.raises(ModelError, match=r"learning.rerankers: .*there is no folder"):
        adopt_named(judged(tmp_path, learning={"rerankers": ["./nowhere"]}))


def adopt_named(config: Config) -> None:
    with opened(config, "named", Silent(), sources=False) as context:
        adopted(context, config)


def test_nights_carry_the_reranker_and_another_encoder_drops_it(base: Path) -> None:
    config = configure(base)
    role = current(config).roles[RERANKER]
    save(base / "notes", {"new.md": "One more note about the lanterntide."})
    assert night(config).outcome == "published"
    assert reranker(config) == role
    other = reembed(config, encoder="stub:7")
    assert (other.outcome, reranker(config)) == ("published", None)
    assert role.space in kept(config)
    assert rollback(config).restored == 3
    assert reranker(config) == role


def test_an_encoder_that_is_promoted_brings_a_reranker_of_its_own(base: Path) -> None:
    config = judged(base)
    before = current(config).roles[RERANKER]
    release, report = promoted(config, "stub:7")
    role, row = release.roles[RERANKER], report.rerankers[0]
    assert role.space != before.space and role.encoder.parent == release.space == release.text.space
    # What was tried before the release was there is what it answers: by both sides, in the same order.
    plain, again = (Search(config.store.uri, rerank=rerank) for rerank in (False, True))
    assert (plain.mode(), again.mode()) == ("hybrid", "hybrid")
    assert (row.first, row.ndcg) == (pytest.approx(quality(base, plain)), pytest.approx(quality(base, again)))
    assert row.ndcg > row.first
    assert audit(config).failed == []
    # In every mode a re-ranker gets the scores of both sides: with all of its candidates it gives one order.
    answers = [best(again, "jx0 lanterntide harbourmast", mode) for mode in ("dense", "text", "hybrid")]
    assert {hit.document for hit in answers} == {"jx0.md"}


def test_a_rollback_takes_the_reranker_away_and_another_brings_it_back(base: Path) -> None:
    config = configure(base)
    role = current(config).roles[RERANKER]
    assert (rollback(config).restored, reranker(config)) == (1, None)
    assert (rollback(config, 2).release, reranker(config)) == (4, role)
    assert audit(config).failed == []


def test_models_are_listed_with_it_and_clean_up_keeps_it_as_long_as_a_release_has_it(base: Path) -> None:
    config = configure(base)
    role = current(config).roles[RERANKER]
    (base / "tidemark.toml").write_text('[encoder]\nname = "stub"\n')
    listed = {model["kind"]: model for model in told(base, "models")}
    assert (listed["reranker"]["space"], listed["reranker"]["releases"]) == (role.space, [2])
    assert listed["reranker"]["name"] == "fusion of words" and listed["reranker"]["metrics"]["gain"] > 0
    assert "reranker" in tidemark(base, "models").stdout
    shown = told(base, "models", "show", role.space[:8])
    assert shown["digests"].keys() == {"tidemark_reranker.json"}
    out = told(base, "models", "export", role.space[:8], str(base / "out"))
    assert "# fusion of words" in (base / "out" / "README.md").read_text()
    assert (base / "out" / "tidemark_reranker.json").is_file() and out["space"] == role.space
    for number in range(2):
        save(base / "notes", {f"new{number}.md": f"Note {number} about the lanterntide."})
        night(configure(base, releases={"keep": 1}))
    assert role.space in kept(config)
    reembed(configure(base, releases={"keep": 1}), encoder="stub:7")
    assert role.space in kept(config)  # its record keeps the newest few, as of encoders that no release uses


def test_a_reranker_that_is_lost_is_told_by_the_audit_and_left_behind_by_a_rebuild(base: Path) -> None:
    config = configure(base)
    role = current(config).roles[RERANKER]
    shutil.rmtree(base / "store" / "models" / role.space)
    [lost] = [check for check in audit(config).failed if check.name == "reranker.kept"]
    assert f"models/{role.space} is missing" in lost.detail and "--no-rerank" in lost.detail
    assert readable(Store(config.store.uri), current(config)) == f"models/{role.space} is missing"
    assert best(Search(config.store.uri, rerank=False), "lanterntide").score > 0
    assert refresh(config).outcome == "refused"
    assert (refresh(config, rebuild=True).outcome, reranker(config)) == ("published", None)
    assert audit(config).failed == []
