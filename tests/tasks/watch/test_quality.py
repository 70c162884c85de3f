"""The figures of quality: a decay that no night alone shows, and what is asked where there are no golden questions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from drafts import drafted

from models.metrics import METRICS
from models.statistics import paired
from storage.tables.documents import DOCUMENTS
from storage.tables.evaluations import Evaluations
from storage.tables.line import line_of
from storage.tables.releases import Release, Releases
from storage.tables.roles import EncoderRecord, IndexFacts, Role
from storage.tables.store import Store
from tasks.learn.config import QualityConfig
from tasks.learn.floors import Since, judge
from tasks.learn.questions import JUDGEMENTS, QUESTIONS, QuestionSet
from tasks.learn.results import Evaluation, SetResult, mode_result
from tasks.watch.figures import Figure
from tasks.watch.quality import measure_quality, sampled

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROLE = Role(space="s", encoder=EncoderRecord("s"), table="chunks__s", version=1, index=IndexFacts(), chunker="")


def measured(figures: np.ndarray) -> Evaluation:
    asked = tuple(f"q{number}" for number in range(len(figures)))
    exact = mode_result(dict.fromkeys(METRICS, figures))
    return Evaluation(
        None, (SetResult("set", "test", "target", asked, 10, None, {"dense": exact}, exact, fingerprint="f"),)
    )


def held(figures: np.ndarray) -> dict[str, dict[str, Any]]:
    asked = [f"q{number}" for number in range(len(figures))]
    return {"set": {"fingerprint": "f", "asked": asked, "figures": figures.tolist()}}


def figure(evaluation: Evaluation, since: dict[str, Since], name: str) -> Figure:
    found = measure_quality(evaluation, since, ROLE, QualityConfig())
    [one] = [each for each in found if each.name == name]
    return one


def test_a_decay_of_twelve_nights_is_seen_that_each_night_hides() -> None:
    draws, config = np.random.default_rng(0), QualityConfig()
    first = draws.uniform(0.3, 1.0, 120)
    before, told = first, []
    for night in range(12):
        now = np.clip(before + draws.normal(-0.008, 0.03, len(before)), 0, 1)
        alone = judge(measured(now), held(before), config)
        assert alone.verdict.outcome == "passed", night  # no night can be told from the one before it
        since = {"set": Since(1, paired(first, now))}
        told.append(figure(measured(now), since, "decay").value)
        before = now
    assert told[0] == told[1] == 0
    assert told[-1] > 0.03
    bar = QualityConfig(max_decay=0.05)
    refused = judge(measured(before), held(before), bar, {"set": Since(1, paired(first, before))})
    assert refused.verdict.outcome == "refused"
    assert "since release 1, over 120 questions; quality.max_decay allows 0.05" in refused.verdict.reasons[0]
    assert refused.to_dict()["sets"]["set"]["since"]["release"] == 1


def test_metrics_come_with_their_intervals_and_the_index_with_its_recall() -> None:
    values = np.random.default_rng(1).random(80)
    role = Role("s", EncoderRecord("s"), "chunks__s", 1, IndexFacts("IVF_RQ", 9, 80, 10, recall=0.97), "")
    found = {each.name: each for each in measure_quality(measured(values), {}, role, QualityConfig())}
    assert sorted(found) == ["index_recall", "mrr@10", "ndcg@10", "recall@10"]
    low, high = found["recall@10"].detail["interval"]
    assert found["recall@10"].value == pytest.approx(values.mean())
    assert low < found["recall@10"].value < high
    assert (found["index_recall"].value, found["ndcg@10"].source) == (0.97, "set")


def publish(store: Store, run: str) -> Release:
    current = Releases(store).current()
    version = store.ensure("documents", DOCUMENTS).version
    return Releases(store).publish(0 if current is None else current.seq, drafted({"documents": version}, run=run))


def test_the_first_measurement_of_the_line_is_what_all_are_compared_with(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    line = [publish(store, f"r{number}") for number in range(4)]
    assert [each.seq for each in line_of(Releases(store), line[-1])] == [1, 2, 3, 4]

    def row(number: int, fingerprint: str) -> dict[str, Any]:
        bound = {"run": f"r{number}", "maker": f"r{number}", "set": "set", "split": "test", "mode": "exact"}
        measured = {"fingerprint": fingerprint, "asked": ["q"], "figures": [number / 10]}
        return bound | measured | {"created": NOW + timedelta(days=number)}

    Evaluations(store).add([row(1, "old"), row(2, "new"), row(3, "new")])
    first = Evaluations(store).first([each.run for each in line], "exact")
    assert {name: found["maker"] for name, found in first.items()} == {
        ("set", "old"): "r1",
        ("set", "new"): "r2",
        ("set", None): "r1",
    }
    assert first["set", "new"]["figures"] == [0.2]


def test_a_sample_of_own_questions_is_named_by_its_texts() -> None:
    texts = [f"question {number}" for number in range(50)]
    questions = pl.DataFrame({"question": [str(number) for number in range(50)], "text": texts}, schema=QUESTIONS)
    judgements = pl.DataFrame(
        {"question": questions["question"], "source": "s", "document": texts, "grade": 1}, schema=JUDGEMENTS
    )
    whole = QuestionSet("own", "test", "target", None, questions, judgements)
    fewer = QuestionSet("own", "test", "target", None, questions.tail(40), judgements.tail(40))
    found, other = sampled(whole, 20), sampled(fewer, 20)
    assert found.questions.height == found.judgements.height == 20
    shared = found.questions.join(other.questions, on=["question", "text"])
    assert shared.height >= 10
    answers = found.questions.join(found.judgements, on="question")
    assert answers["text"].to_list() == answers["document"].to_list()
