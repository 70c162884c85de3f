"""Questions that a model writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest
from corpus import configure, context, prose

from flows.config.schema import Config
from flows.refresh import refresh
from storage.tables.generated import Generated
from storage.tables.releases import Releases
from storage.tables.store import Store
from tasks.learn import synthesise as module
from tasks.learn.config import GeneratorConfig, PairsConfig
from tasks.learn.pair import pair
from tasks.learn.synthesise import Synthesis, forecast, generator_of, synthesise


class Writer:
    """Writes a question out of the first words, until it has written enough."""

    name = "writer"

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, passages: Sequence[str]) -> list[str]:
        if len(self.asked) + len(passages) > self.most:
            raise KeyboardInterrupt
        self.asked += passages
        return [f"Where is the {text.split()[1]} dry and why?" if "Reef" not in text else "?" for text in passages]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = configure(tmp_path, {f"{name}.md": prose(name) for name in ("anchor", "buoy", "chart", "reef", "ebb")})
    refresh(made)
    return made


def run(config: Config, writer: Writer, questions: int = 10) -> Synthesis:
    with context(config) as each:
        release = Releases(each.store).get()
        return synthesise(each, release, writer, GeneratorConfig(model="writer", questions=questions))


def test_every_passage_is_asked_about_once(config: Config) -> None:
    writer = Writer()
    assert run(config, writer) == Synthesis(written=4, useless=1, kept=0)
    assert len(writer.asked) == 5
    assert run(config, writer) == Synthesis(written=0, useless=0, kept=5)
    assert len(writer.asked) == 5


def test_a_run_that_was_killed_pays_for_no_passage_twice(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 1)
    first, second = Writer(most=3), Writer()
    with pytest.raises(KeyboardInterrupt):
        run(config, first)
    assert run(config, second).kept == 3
    assert not set(first.asked) & set(second.asked)
    assert len(first.asked + second.asked) == 5


def test_the_forecast_counts_what_is_still_to_be_written(config: Config) -> None:
    store, settings = Store(config.store.uri), GeneratorConfig(model="writer", questions=3, price=1.0)
    before = forecast(store, Releases(store).get(), settings, config.base)
    assert before.passages == 3
    assert before.price > 0
    run(config, Writer(), questions=3)
    assert forecast(store, Releases(store).get(), settings, config.base).passages == 0
    assert Generated(store).all().height == 3


def test_a_folder_is_looked_for_beside_the_configuration_and_told_by_its_name(config: Config) -> None:
    (config.base / "models" / "writer").mkdir(parents=True)
    run(config, Writer(), questions=3)
    store, settings = Store(config.store.uri), GeneratorConfig(model="models/writer", questions=3)
    assert forecast(store, Releases(store).get(), settings, config.base).passages == 0
    assert forecast(store, Releases(store).get(), settings, config.base / "notes").passages == 3
    remote = GeneratorConfig(model="models/writer", url="http://127.0.0.1:9")
    with generator_of(remote, config.base) as generator:
        assert generator.name == "models/writer"


def test_generated_questions_become_pairs(config: Config) -> None:
    run(config, Writer())
    with context(config) as each:
        found = pair(each, Releases(each.store).get(), PairsConfig(kinds=("synthetic",)))
    assert sum(found.splits.values()) == 4
    assert {kind for kind, _ in found.kinds} == {"synthetic"}
