"""A corpus that a tiny encoder surely learns from, and retrainings of it in processes that are killed at exact moments.

A question shares four rare words with its document, among common ones that say nothing: an untrained encoder hardly
finds it, and one that learned to overlook the common words does, also by rare words that it never saw.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["SETTINGS", "configured", "fill", "judge", "shuffle", "write_rows"]

COLUMNS = {"id": "id", "text": "text"}
RARE, COMMON = 4, 4  # words of a question, and as many of its document
PARTS = ("train", "train", "train", "train", "dev", "test", "test")
SETTINGS: dict[str, Any] = {
    "store": {"uri": "store"},
    "encoder": {"name": "tiny", "threads": 1},
    "chunker": {"min_tokens": 4, "max_tokens": 60},
    "index": {"text": False},  # rare words alone would find every document
    "sources": [{"name": "docs", "kind": "jsonl", "path": "docs.jsonl", "columns": COLUMNS}],
    "evaluation": [{"name": "own", "path": "judged", "source": "docs"}],
    "learning": {"steps": 30, "learning_rate": 1e-2, "batch": 32, "patience": 10},
    "quality": {"max_latency": 20},  # a tiny network takes what the machine does beside it
}
# What is wrapped to be killed before or after, beside what the other flows come to.
LEARNED = {
    "flows.rerankers": ("train_on_pairs", "rerank", "keep_reranker"),
    "flows.retrain": (
        *("pair", "harden", "lay_out", "fine_tune", "choose", "embed_beside", "register", "stage_space", "trial"),
        *("publish_built", "clean_up", "clear_trainings"),
    ),
    "models.training.stages": ("export",),
    "tasks.learn.harden": ("mine",),
    "tasks.learn.train": ("average",),
}


def fill(folder: Path, model: Path, documents: int = 280) -> list[str]:
    """Write documents, judged questions of every part, and a link to the encoder; gives the common words."""
    (folder / "tiny").symlink_to(model)
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 4)
    random = Random(1)
    random.shuffle(words)
    common, rare = words[:10], words[10:]
    rows, texts, answers = [], {}, dict[str, list[str]]()
    for number in range(documents):
        name, said = f"d{number:03}", random.sample(rare, RARE)
        texts[name] = _mixed(random, said, random.sample(common, COMMON))
        rows.append({"id": name, "text": _mixed(random, said, random.sample(common, COMMON))})
        answers.setdefault(PARTS[number % len(PARTS)], []).append(name)
    write_rows(folder / "docs.jsonl", rows)
    judge(folder / "judged", texts, {part: {name: name for name in names} for part, names in answers.items()})
    return common


def judge(folder: Path, texts: Mapping[str, str], answers: Mapping[str, Mapping[str, str]]) -> None:
    """Write judged questions: of each part, the document that answers a question."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    write_rows(folder / "queries.jsonl", [{"_id": name, "text": text} for name, text in texts.items()])
    for part, found in answers.items():
        lines = [f"{question}\t{document}\t1\n" for question, document in found.items()]
        (folder / "qrels" / f"{part}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))


def shuffle(folder: Path, part: str) -> None:
    """Let each question of a part be answered by another one's document."""
    file = folder / "qrels" / f"{part}.tsv"
    head, *lines = file.read_text().splitlines()
    questions, documents = zip(*(line.split("\t")[:2] for line in lines), strict=True)
    turned = zip(questions, (*documents[7:], *documents[:7]), strict=True)
    file.write_text("\n".join([head, *(f"{question}\t{document}\t1" for question, document in turned), ""]))


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def configured(base: Path, **sections: Any) -> Any:
    """The configuration, with some sections otherwise; one that is a table has only some keys otherwise."""
    from flows.config.schema import Config

    merged = {
        name: SETTINGS[name] | given if isinstance(SETTINGS.get(name), dict) else given
        for name, given in sections.items()
    }
    return Config.from_mapping(SETTINGS | merged, base)


def _mixed(random: Random, said: list[str], common: list[str]) -> str:
    words = [*said, *common]
    random.shuffle(words)
    return " ".join(words)


def refreshed(base: str, sections: dict[str, Any]) -> Any:
    """A job: a night."""
    from flows.refresh import refresh

    found = refresh(configured(Path(base), **sections))
    return [found.outcome, found.release, found.counts["embedded"]]


def retrained(base: str, sections: dict[str, Any], at: int | str | None) -> Any:
    """A job: a retraining that kills itself at a moment; tells what it came to, its moments and its steps."""
    from killing import STAGES, Moments, Orders, name_merges

    from flows.retrain import retrain
    from models.training.watch import Watch

    STAGES.update(LEARNED)
    moments, step = Moments(Orders(at)), Watch.on_step_end
    name_merges()
    moments.watch()

    def counted(self: Watch, args: Any, state: Any, control: Any, **others: Any) -> None:
        step(self, args, state, control, **others)
        kind = "cross step" if Path(args.output_dir).parent.name.startswith("cross-") else "step"
        moments.reach(f"{kind} {state.global_step}")

    Watch.on_step_end = counted  # type: ignore[assignment]
    found = retrain(configured(Path(base), **sections))
    return {
        "outcome": found.outcome,
        "message": found.message,
        "release": found.release,
        "weights": found.report["training"].get("weights"),
        "space": found.challengers[0].space if found.challengers else None,
        "cross": found.report.get("cross"),
        "rerankers": [[row.kind, row.verdict, row.reason] for row in found.rerankers],
        "moments": moments.seen,
    }


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    from trainings import LEARNING, serve

    FLOWS = ("flows.refresh", "flows.retrain", "flows.views.run", "killing", "lancedb", "storage.sources.jsonl", "tiny")
    for known in ("lancedb fork support", "lance is not fork-safe"):  # both are only imported here
        warnings.filterwarnings("ignore", message=known)
    serve([*LEARNING, *FLOWS], globals())
