"""A re-embedding switches readers at once, lets nights go on meanwhile, and is resumed where it was killed."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, documents, encoder, found, night, prose, rows, save
from killing import Child, Orders, reembedded, rolled_back
from nights import VALUES, answer, current, fill, mapping, polled, staged, state, uneventful

from flows import reembed as module
from flows import switch
from flows.audit import audit
from flows.config.schema import Config
from flows.plan import plan
from flows.reembed import reembed
from flows.rollback import rollback
from models.config import EncoderConfig
from models.encoder import resolve
from models.errors import ModelError, ProbeMismatch
from storage.errors import InputError, LeaseHeld
from storage.reader import Reader
from storage.registry import Registry
from storage.tables.lease import Lease
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store

OTHER = "stub:7"


def space(name: str) -> str:
    return resolve(EncoderConfig(name=name)).space.id


def test_a_reembedding_needs_no_source_and_is_foretold(tmp_path: Path) -> None:
    texts = {"a.md": prose("anchor", 4), "b.md": prose("buoy"), "twin.md": prose("buoy")}
    config = configure(tmp_path, texts)
    first = night(config)
    for name in texts:
        (tmp_path / "notes" / name).unlink()
    (tmp_path / "notes").rmdir()
    forecast = plan(config, encoder=OTHER)
    assert (forecast.release, forecast.outcome, forecast.causes["encoder"]) == (1, "published", 2)
    assert forecast.bytes > forecast.counts["chunks"] * 384 * 4
    result = reembed(config, encoder=OTHER)
    assert (result.outcome, result.release, result.space) == ("published", 2, space(OTHER))
    told = ("documents", "unchanged", "duplicates", "quarantined", "chunks", "embedded")
    assert [result.counts[name] for name in told] == [3, 2, 1, 0, first.counts["chunks"], 0]
    assert forecast.counts["embedded"] == forecast.counts["chunks"]
    assert {row["hash"] for row in rows(config, 1)} == {row["hash"] for row in rows(config, 2)}
    assert documents(config, 1).keys() == documents(config, 2).keys()
    assert found(config, "anchor", 1)[0].document == "a.md"
    assert audit(config).failed == []
    row = Runs(Store(config.store.uri)).get(result.run)
    assert (row["kind"], row["outcome"], row["release"], row["base"]) == ("reembed", "published", 2, 1)
    assert row["model"]["root"] == space("stub")
    assert staged(config.store.uri, result.space) == []
    again = reembed(config, encoder=OTHER)
    assert (again.outcome, again.release, again.message) == (
        "unchanged",
        2,
        "release 2 has that encoder already: 0 chunks embedded",
    )
    assert plan(config, encoder=OTHER).outcome == "unchanged"
    back = reembed(config)  # to the configured encoder, of which every vector is there
    assert (back.release, back.space, back.counts["embedded"]) == (3, first.space, 0)
    assert Releases(Store(config.store.uri)).get().text.encoder.root is None


def test_wrong_input_is_told_before_anything_is_written(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    with pytest.raises(InputError, match="nothing is published yet"):
        reembed(config, encoder=OTHER)
    assert not (tmp_path / "store").exists()
    night(config)
    before = len(Runs(Store(config.store.uri)).all())
    with pytest.raises(ModelError, match="there is no folder"):
        reembed(config, encoder="./nowhere")
    assert len(Runs(Store(config.store.uri)).all()) == before


def test_a_kept_encoder_is_named_by_the_beginning_of_its_space(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    first = night(config)
    reembed(config, encoder=OTHER)
    other = configure(tmp_path, encoder={"name": OTHER})
    assert reembed(other, encoder=first.space[:8]).space == first.space
    Registry(Store(config.store.uri)).keep(first.space[:6] + "0" * 26, tmp_path / "notes")
    with pytest.raises(InputError, match=f"several models begin with '{first.space[:6]}'"):
        reembed(other, encoder=first.space[:6])


def test_what_nights_publish_meanwhile_reaches_the_published_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    night(config)
    embed_ahead, came = switch.embed_ahead, ["chart", "dock"]

    def meanwhile(*arguments: Any) -> Any:
        done = embed_ahead(*arguments)
        if came:
            name = came.pop()
            save(tmp_path / "notes", {f"{name}.md": prose(name), "b.md": None} if came else {f"{name}.md": prose(name)})
            assert night(config).outcome == "published"
        return done

    monkeypatch.setattr(switch, "embed_ahead", meanwhile)
    monkeypatch.setattr(switch, "FEW", 0)
    result = reembed(config, encoder=OTHER)
    assert (came, result.outcome, result.release, result.space) == ([], "published", 4, space(OTHER))
    assert sorted(documents(config)) == ["notes/a.md", "notes/chart.md", "notes/dock.md"]
    assert night(config).outcome == "unchanged"


def test_it_waits_for_a_night_that_writes_and_keeps_its_vectors_where_that_takes_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    night(config)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    with Lease(Store(config.store.uri), "other"), pytest.raises(LeaseHeld, match="is held by run other"):
        reembed(config, encoder=OTHER)
    kept = len(staged(config.store.uri, space(OTHER)))
    assert kept > 0
    assert Runs(Store(config.store.uri)).all(1)[0]["outcome"] == "failed"
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    assert night(config).outcome == "published"  # its clean-up leaves the staged vectors
    assert len(staged(config.store.uri, space(OTHER))) == kept
    assert reembed(config, encoder=OTHER).outcome == "published"


def test_vectors_that_were_staged_by_another_precision_are_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    night(config)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    with Lease(Store(config.store.uri), "other"), pytest.raises(LeaseHeld):
        reembed(config, encoder=OTHER)
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    night(config)
    kind = type(encoder(config).open())
    encode = kind.encode_documents
    monkeypatch.setattr(kind, "encode_documents", lambda self, texts, progress=None: -encode(self, texts, progress))
    with pytest.raises(ProbeMismatch, match="give other vectors than before"):
        reembed(config, encoder=OTHER)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one release in the space of `stub`."""
    base = tmp_path_factory.mktemp("switch")
    fill(base / "notes")
    uneventful(base, mapping(base / "store", base / "notes"))
    return base


def copied(folder: Path, name: str) -> Path:
    return Path(shutil.copytree(folder / "store", folder / "cases" / name))


def switched(folder: Path, uri: Path, at: int | str | None = None) -> Child:
    """A process that re-embeds."""
    return Child(reembedded, mapping(uri, folder / "notes"), folder, "stub:2", orders=Orders(at, values=VALUES))


@pytest.mark.parametrize("every", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_a_reembedding_can_be_killed_at_each_commit_or_each_second(folder: Path, every: int) -> None:
    uri = copied(folder, "whole")
    old = answer(Reader.open(str(uri)))
    with switched(folder, uri) as child:
        end = child.end()
    assert end.value is not None, end.failure
    whole, new = state(uri, current(uri)), answer(Reader.open(str(uri)))  # type: ignore[arg-type]
    commits = [at for at, moment in enumerate(end.moments) if moment.startswith(("after commit", "after file"))]
    published = end.moments.index("after commit execute releases 1")
    first = end.moments.index("after stage embed_ahead 1")
    staging = [at for at in commits if at < first]
    chosen = [*staging[:1], *staging[-1:], *(at for at in commits if first <= at <= published + 2)]
    assert len(chosen) >= 10
    for at in chosen[::every]:
        uri = copied(folder, f"at-{at}")
        with switched(folder, uri, at) as child:
            assert child.end().killed
        reader = Reader.open(str(uri))
        assert (reader.release.seq, answer(reader)) == ((2, new) if at >= published else (1, old)), end.moments[at]
        left = set(staged(uri, end.value.space))
        with switched(folder, uri) as child:
            again = child.end()
        assert again.value is not None, again.failure
        assert again.value.outcome == ("unchanged" if at >= published else "published")
        assert len(again.texts) <= len(end.texts) - len(left) + 2 * 9 or at >= published, end.moments[at]
        assert state(uri, current(uri)) == whole  # type: ignore[arg-type]
        assert audit(Config.from_mapping(mapping(uri, folder / "notes"), folder)).failed == []


def test_a_reader_through_the_switch_and_back_never_errs_nor_mixes(folder: Path) -> None:
    uri, done = copied(folder, "read"), folder / "done"
    answers = {1: answer(Reader.open(str(uri)))}
    settings = partial(mapping, uri, folder / "notes")
    with Child(polled, uri, done, 1) as pinned, Child(polled, uri, done, None) as following:
        with switched(folder, uri) as child:
            assert child.end().value.release == 2
        answers[2] = answer(Reader.open(str(uri), 2))
        (folder / "notes" / "later.md").write_text("The ebb came later than the chart had said.\n")
        assert uneventful(folder, settings()).value.release == 3  # accepts an encoder, but stays with that of release 2
        answers[3] = answer(Reader.open(str(uri), 3))
        with Child(rolled_back, settings(), folder, 1, orders=Orders(values=VALUES)) as child:
            assert child.end().value.release == 4
        answers[4] = answer(Reader.open(str(uri), 4))
        done.touch()
        held, followed = pinned.end(), following.end()
    assert (held.failure, followed.failure) == (None, None)
    assert set(held.value) == {(1, answers[1])}
    assert set(followed.value) <= set(answers.items())
    assert len({seq for seq, _ in followed.value}) >= 3
    assert [Releases(Store(uri)).get(seq).space for seq in answers] == [
        *(space(name) for name in ("stub", "stub:2", "stub:2", "stub")),
    ]


def test_the_night_after_a_rollback_goes_on_with_the_encoder_of_before(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    night(config)
    reembed(config, encoder=OTHER)
    rollback(config)
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    result = night(config)
    assert (result.release, result.space) == (4, space("stub"))
