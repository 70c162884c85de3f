"""Nights go on with the encoder of the release that they build on, if its line begins with the configured one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from corpus import configure, documents, found, night, prose, save
from promotion import promoted
from tiny import nudge

from flows.audit import audit
from flows.config.schema import Config
from flows.plan import plan
from flows.reembed import reembed
from flows.refresh import refresh
from flows.rollback import rollback
from models.encoder import resolve
from storage.registry import Registry
from storage.tables.releases import Release, Releases
from storage.tables.runs import Runs
from storage.tables.store import Store


def nudged(model: Path, folder: Path, scale: float = 1.5) -> Path:
    """Another encoder: the same model with other weights."""
    shutil.copytree(model, folder)
    nudge(folder, scale)
    return folder


def current(config: Config) -> Release:
    return Releases(Store(config.store.uri)).get()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A store whose second release has an encoder that was trained from the configured one of the first."""
    base = tmp_path_factory.mktemp("line")
    config = configure(base, {"a.md": prose("anchor"), "b.md": prose("buoy")}, encoder={"name": str(tiny_model)})
    night(config)
    promoted(config, nudged(tiny_model, base / "trained"))
    return base


@pytest.fixture
def config(made: Path, tmp_path: Path, tiny_model: Path) -> Config:
    """A copy of it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return configure(tmp_path, encoder={"name": str(tiny_model)})


def test_nights_go_on_with_the_trained_encoder_of_the_release(config: Config, tiny_model: Path) -> None:
    first, second = Releases(Store(config.store.uri)).get(1), current(config)
    record = second.text.encoder
    assert (first.text.encoder.parent, first.text.encoder.root) == (None, None)
    assert (record.parent, record.root) == (first.space, first.space)
    assert plan(config).outcome == "unchanged"
    quiet = night(config)
    assert (quiet.outcome, quiet.space) == ("unchanged", second.space)
    told = Runs(Store(config.store.uri)).get(quiet.run)["model"]
    assert (told["id"], told["parent"], told["root"]) == (second.space, first.space, first.space)
    save(config.base / "notes", {"c.md": prose("chart")})
    forecast = plan(config)
    third = night(config)
    assert (forecast.counts, third.outcome, third.causes) == (third.counts, "published", {"new": 1})
    assert current(config).text.encoder == record
    assert found(config, "chart", 1)[0].document == "c.md"
    trained = resolve(Registry(Store(config.store.uri)).fetch(second.space)).space
    assert (trained.id, record.weights) == (second.space, trained.weights)
    assert trained.id != resolve(tiny_model).space.id


def test_after_a_rollback_the_night_goes_on_with_the_encoder_of_before(config: Config) -> None:
    rollback(config)
    save(config.base / "notes", {"c.md": prose("chart")})
    result = night(config)
    assert (result.outcome, result.space) == ("published", Releases(Store(config.store.uri)).get(1).space)
    assert (current(config).text.encoder.parent, current(config).text.encoder.root) == (None, None)


def test_another_encoder_than_the_root_is_a_change_that_waits(config: Config, tmp_path: Path, tiny_model: Path) -> None:
    other = configure(tmp_path, encoder={"name": str(nudged(tiny_model, tmp_path / "other", 2.0))})
    waiting = refresh(other)
    assert (waiting.outcome, plan(other).outcome) == ("needs-approval", "needs-approval")
    assert "encoder: other, but release 2 has encoder trained" in waiting.message
    assert night(other, accept_encoder=True).outcome == "published"
    assert (current(other).text.encoder.parent, current(other).text.encoder.root) == (None, None)
    assert refresh(config).outcome == "needs-approval"  # its line ended: the root is no longer what it was


def test_the_trained_encoder_may_be_configured_itself_and_keeps_its_parent(config: Config, tmp_path: Path) -> None:
    itself = configure(tmp_path, encoder={"name": str(tmp_path / "trained")})
    assert refresh(itself).outcome == "unchanged"
    save(tmp_path / "notes", {"c.md": prose("chart")})
    assert night(itself).outcome == "published"
    record = current(itself).text.encoder
    assert (record.parent is not None, record.root) == (True, None)


def test_a_rebuild_keeps_the_encoder_even_where_its_folder_is_damaged(config: Config) -> None:
    space, registry = current(config).space, Registry(Store(config.store.uri))
    (registry.fetch(space) / "probe.npy").write_bytes(b"no probe")
    assert registry.damage(space) != []
    result = night(config, rebuild=True)
    assert (result.outcome, result.space, result.counts["reused"]) == ("published", space, 0)
    assert registry.damage(space) == []
    assert audit(config, deep=True).failed == []


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_line_whose_encoder_is_gone_is_refused_with_the_way_out(config: Config, rebuild: bool) -> None:
    shutil.rmtree(Registry(Store(config.store.uri)).fetch(current(config).space))
    result = refresh(config, rebuild=rebuild)
    assert result.outcome == "refused"
    assert "is missing" in result.message
    anew = reembed(config)
    assert (anew.outcome, anew.space) == ("published", Releases(Store(config.store.uri)).get(1).space)
    assert night(config).outcome == "unchanged"


def test_a_reembedding_begins_no_other_line(tmp_path: Path, tiny_model: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": str(tiny_model)})
    night(config)
    result = reembed(config, encoder=str(nudged(tiny_model, tmp_path / "x")))
    record = current(config).text.encoder
    assert (result.outcome, record.root, record.parent) == ("published", resolve(tiny_model).space.id, None)
    assert night(config).outcome == "unchanged"
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    assert night(config).space == result.space
    assert sorted(documents(config)) == ["notes/a.md", "notes/b.md"]
    rollback(config, 1)
    assert night(config).space == resolve(tiny_model).space.id
