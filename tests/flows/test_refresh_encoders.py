"""Another encoder waits for approval, whatever brought it: the configuration, a push to the hub, a rollback."""

from __future__ import annotations

import shutil
from pathlib import Path

import constant
import pytest
from corpus import configure, documents, found, held, night, prose, save
from hub import Cache
from tiny import nudge

from flows.config.schema import Config
from flows.plan import plan
from flows.refresh import RunResult, refresh
from flows.rollback import rollback
from models.encoder import ENCODERS
from storage.registry import Registry
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store


def waiting(config: Config, **options: bool) -> RunResult:
    """A night that stops for the encoder, compared with what a plan says."""
    result = refresh(config, **options)
    assert result.outcome == "needs-approval"
    forecast = plan(config, rebuild=options.get("rebuild", False))
    assert (forecast.outcome, forecast.counts) == (result.outcome, result.counts)
    return result


def tables(config: Config) -> set[str]:
    store = Store(config.store.uri)
    return {*store.tables(), *Registry(store).spaces()}


def test_another_encoder_waits_for_approval_and_nothing_is_embedded(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    first = night(config)
    save(tmp_path / "notes", {"b.md": "\x01", "c.md": prose("chart")})
    other = configure(tmp_path, encoder={"name": "stub:7"})
    before = tables(config) | {"quarantine", "drift"}  # what stopped a night is watched too
    stopped = waiting(other)
    chunks, tokens = stopped.counts["embedded"], stopped.counts["tokens"]
    assert stopped.message == (
        f"encoder: stub:7, but release 1 has encoder stub; {chunks} chunks ({tokens} tokens) to embed; "
        "if that is right, run `tidemark refresh --accept-encoder`; `tidemark plan` shows what would change"
    )
    assert (stopped.release, stopped.space != first.space, chunks > 0) == (1, True, True)
    assert tables(config) == before
    assert sorted(documents(config)) == ["notes/a.md", "notes/b.md"]
    assert [row[0] for row in held(config)] == ["b.md"]  # what was refused is kept, as where deletions wait
    assert Runs(Store(config.store.uri)).get(stopped.run)["outcome"] == "needs-approval"
    agreed = night(other, accept_encoder=True)
    assert (agreed.outcome, agreed.release, agreed.space) == ("published", 2, stopped.space)
    assert night(other).outcome == "unchanged"


def test_the_way_back_to_an_earlier_encoder_waits_too(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    other = configure(tmp_path, encoder={"name": "stub:7"})
    night(config)
    night(other, accept_encoder=True)
    assert "encoder: stub, but release 2 has encoder stub:7; 0 chunks (0 tokens) to embed" in waiting(config).message
    assert night(config, accept_encoder=True).counts["embedded"] == 0


def test_a_rollback_to_another_encoder_is_named(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    other = configure(tmp_path, encoder={"name": "stub:7"})
    night(config)
    night(other, accept_encoder=True)
    rollback(config)
    assert "encoder: stub:7, but release 3 (a rollback to 1) has encoder stub;" in waiting(other).message
    assert night(config).outcome == "unchanged"


def test_fake_vectors_never_replace_real_ones_unasked(tmp_path: Path, tiny_model: Path) -> None:
    real = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": str(tiny_model)})
    night(real)
    stub = configure(tmp_path)
    assert "the vectors of 'stub' are fake" in waiting(stub).message
    night(stub, accept_encoder=True)
    assert "fake" not in waiting(real).message


def test_a_setting_that_makes_another_space_is_named(tmp_path: Path) -> None:
    night(configure(tmp_path, {"a.md": prose("anchor")}))
    changed = configure(tmp_path, encoder={"name": "stub", "window": 64, "query_prompt": "query: "})
    assert (
        "encoder: stub is not what it was in release 1 (window 64 instead of 256, query_prompt 'query: ' instead of '')"
    ) in waiting(changed).message


def test_a_rebuild_alone_does_not_approve_another_encoder(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    night(config)
    assert refresh(config, rebuild=True).outcome == "published"
    other = configure(tmp_path, encoder={"name": "stub:7"})
    assert "run `tidemark refresh --rebuild --accept-encoder`" in waiting(other, rebuild=True).message
    assert refresh(other, rebuild=True, accept_encoder=True).outcome == "published"


def test_each_approval_is_asked_for_and_one_that_was_given_stays_in_the_command(tmp_path: Path) -> None:
    strict = {"limits": {"max_lost_share": 0.2}}
    night(configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")}, **strict))
    save(tmp_path / "notes", {"b.md": None})
    other = configure(tmp_path, encoder={"name": "stub:7"}, **strict)
    both = "`tidemark refresh --accept-deletions --accept-encoder`"
    message = waiting(other).message
    assert "source 'notes' lost 1 of its 2 documents" in message
    assert both in message
    for options in ({"accept_deletions": True}, {"accept_encoder": True}):
        stopped = refresh(other, **options)
        assert (stopped.outcome, both in stopped.message) == ("needs-approval", True)
    assert night(other, accept_deletions=True, accept_encoder=True).outcome == "published"


@pytest.fixture
def pushed(tmp_path: Path, tiny_model: Path) -> Path:
    """A model that is pushed to the hub again and again."""
    return shutil.copytree(tiny_model, tmp_path / "pushed")


def test_a_push_to_the_hub_is_a_change_of_encoder_by_its_commits(tmp_path: Path, pushed: Path, hub: Cache) -> None:
    old = hub.push(pushed)
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "owner/tiny"})
    night(config)
    store = Store(config.store.uri)
    assert Releases(store).get().text.encoder.revision == old
    nudge(pushed)
    new = hub.push(pushed)
    stopped = waiting(config)
    assert f"encoder: owner/tiny at {new[:8]}, was at {old[:8]} in release 1; " in stopped.message
    pinned = configure(tmp_path, encoder={"name": "owner/tiny", "revision": old})
    assert night(pinned).outcome == "unchanged"
    night(config, accept_encoder=True)
    record = Releases(store).get().text.encoder
    assert (record.name, record.revision) == ("owner/tiny", new)
    assert Runs(store).get(stopped.run)["model"]["revision"] == new


def test_a_push_of_the_same_weights_is_the_same_encoder(tmp_path: Path, pushed: Path, hub: Cache) -> None:
    hub.push(pushed)
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "owner/tiny"})
    night(config)
    (pushed / "README.txt").write_text("Now with a model card.")
    new = hub.push(pushed)
    assert night(config).outcome == "unchanged"
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    result = night(config)
    assert (result.outcome, result.causes) == ("published", {"new": 1})
    assert Releases(Store(config.store.uri)).get().text.encoder.revision == new


def test_a_push_while_a_run_works_does_not_mix_into_it(
    tmp_path: Path, pushed: Path, hub: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import refresh as module

    old = hub.push(pushed)
    nudge(pushed)
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "owner/tiny"})
    prepare = module.prepare

    def prepared(*arguments: object, **options: object) -> object:
        hub.push(pushed)
        return prepare(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "prepare", prepared)
    assert refresh(config).outcome == "published"
    assert Releases(Store(config.store.uri)).get().text.encoder.revision == old


def test_another_kind_of_encoder_takes_a_module_and_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, constant.FILE, "constant:Constant")
    save(tmp_path / "model", {constant.FILE: "[0.6, 0.8]"})
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "model"})
    assert night(config).outcome == "published"
    assert found(config, "anchor", 1)[0].document == "a.md"
    assert night(config).outcome == "unchanged"
