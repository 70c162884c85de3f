"""Embedding what no retained release and no unfinished run has embedded."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from corpus import configure, context, encoder, prepared, prose, save
from tiny import nudge

from flows.refresh import refresh
from models.config import EncoderConfig
from models.encoder import EncoderFolder, OnProgress, Vectors, resolve
from models.errors import ProbeMismatch
from models.space import Space
from models.text.stub import StubEncoder
from storage.registry import Registry
from storage.tables.canaries import Canaries
from storage.tables.store import Store
from storage.tables.vectors import vectors_table
from tasks.build import embed as module
from tasks.build.embed import embed, find_pending
from tasks.context import Context


class Failing(StubEncoder):
    """Breaks down at the third call: after the probe of the new space and one slice."""

    calls = 0

    def encode_documents(self, texts: Sequence[str], progress: OnProgress | None = None) -> Vectors:
        self.calls += 1
        if self.calls == 3:
            raise MemoryError
        return super().encode_documents(texts, progress)


class Unopened(StubEncoder):
    """Is never opened."""

    @classmethod
    def open(cls, folder: Path | None, config: EncoderConfig, space: Space) -> Self:
        raise AssertionError("opened")


def staged(shared: Context, found: EncoderFolder) -> int:
    table = shared.store.find(vectors_table(found.space.id))
    return 0 if table is None else int(table.count_rows())


def test_every_content_is_embedded_once(tmp_path: Path) -> None:
    again = "\n\n".join(["The same words stand here once more, and again, and again, and again."] * 9)
    config = configure(tmp_path, {"a.md": again, "b.md": f"# Title\n\n{again}", "c.md": prose("chart")})
    with context(config) as shared:
        found, done = encoder(config), prepared(shared, config)
        wanted = find_pending(shared, found, done.changes)
        result = embed(shared, found, done.changes, wanted)
        assert result.embedded == wanted.contents == staged(shared, found) < done.changes.upserts.rows
        assert result.counts == {"embedded": result.embedded, "tokens": wanted.tokens}
        assert result.tokens == wanted.tokens
        left = find_pending(shared, found, done.changes)
    assert (left.contents, left.tokens) == (0, 0)


def test_what_was_finished_before_a_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("SMALLEST", "LARGEST"):
        monkeypatch.setattr(module, bound, 2)
    config = configure(tmp_path, {"a.md": prose("anchor", 8)})
    with context(config) as shared:
        found, done = encoder(config), prepared(shared, config)
        with pytest.raises(MemoryError):
            embed(shared, replace(found, kind=Failing), done.changes, done.pending)
        assert staged(shared, found) == 2
        left = find_pending(shared, found, done.changes)
        assert left.contents == done.pending.contents - 2
        assert embed(shared, found, done.changes, left).embedded == left.contents
    result = refresh(config)
    assert (result.outcome, result.counts["embedded"]) == ("published", 0)


def test_the_encoder_is_not_even_opened_where_nothing_is_missing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    refresh(config)
    (tmp_path / "notes" / "a.md").rename(tmp_path / "notes" / "b.md")

    with context(config) as shared:
        found, done = encoder(config), prepared(shared, config)
        assert done.changes.upserts.rows > 0
        assert embed(shared, replace(found, kind=Unopened), done.changes, done.pending).embedded == 0


def test_an_encoder_that_changed_while_the_run_worked_stops_it(tmp_path: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "model")
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "model"})
    with context(config) as shared:
        found, done = encoder(config), prepared(shared, config)
        nudge(tmp_path / "model")
        with pytest.raises(RuntimeError, match="the encoder 'model' changed while the run worked"):
            embed(shared, found, done.changes, done.pending)
        assert staged(shared, found) == 0


def test_the_encoder_and_its_probe_are_kept_beside_the_tables(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    space = refresh(config).space
    with context(config) as shared:
        folder = Registry(shared.store).fetch(space)
    assert resolve(folder).open().space.id == space
    assert np.load(folder / module.PROBE, allow_pickle=False).dtype == np.float32


def test_an_encoder_that_gives_other_vectors_than_it_gave_is_refused(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    space = refresh(config).space
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    with context(config) as shared:
        canaries = Canaries(shared.store)
        kept = canaries.get(space)
        assert kept is not None
        canaries.set(space, replace(kept, vectors=kept.vectors + np.float32(0.001)), "earlier", shared.now)
        found, done = encoder(config), prepared(shared, config)
        with pytest.raises(ProbeMismatch, match="the same files give other vectors than before"):
            embed(shared, found, done.changes, done.pending)


def test_a_store_without_canaries_is_compared_with_its_probe(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    space = refresh(config).space
    probe = tmp_path / "store" / "models" / space / module.PROBE
    np.save(probe, np.load(probe) + np.float32(0.001))
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    Store(config.store.uri).drop("canaries")
    assert refresh(config).outcome == "refused"
