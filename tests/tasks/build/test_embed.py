"""Embedding what no retained release and no unfinished run has embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpus import configure, context, prepared, prose, save

from flows.refresh import refresh
from models.config import EncoderConfig
from models.encoder import OnProgress, Vectors, open_encoder
from models.probe import ProbeMismatch
from models.text.stub import StubEncoder
from storage.registry import Registry
from storage.tables.columns import vectors_table
from tasks.build import embed as module
from tasks.context import Context
from tasks.build.embed import embed, find_pending


class Failing(StubEncoder):
    """Breaks down at the third call: after the probe of the new space and one slice."""

    calls = 0

    def encode_documents(self, texts: Sequence[str], progress: OnProgress | None = None) -> Vectors:
        self.calls += 1
        if self.calls == 3:
            raise MemoryError
        return super().encode_documents(texts, progress)


def staged(shared: Context) -> int:
    table = shared.store.find(vectors_table(shared.space.id))
    return 0 if table is None else int(table.count_rows())


def test_every_content_is_embedded_once(tmp_path: Path) -> None:
    again = "\n\n".join(["The same words stand here once more, and again, and again, and again."] * 9)
    config = configure(tmp_path, {"a.md": again, "b.md": f"# Title\n\n{again}", "c.md": prose("chart")})
    with context(config) as shared:
        done = prepared(shared)
        wanted = find_pending(shared, done.changes)
        result = embed(shared, done.changes, wanted)
        assert result.embedded == wanted.missing.height == staged(shared) < done.changes.upserts.rows
        assert result.counts == {"embedded": result.embedded, "tokens": wanted.tokens}
        assert result.tokens == wanted.tokens == wanted.missing["tokens"].sum()
        missing = find_pending(shared, done.changes).missing
    assert missing.is_empty()


def test_what_was_finished_before_a_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("SMALLEST", "LARGEST"):
        monkeypatch.setattr(module, bound, 2)
    config = configure(tmp_path, {"a.md": prose("anchor", 8)})
    with context(config) as shared:
        done = prepared(shared)
        failing = replace(shared, open_encoder=lambda: Failing.open(None, EncoderConfig(name="stub")))
        with pytest.raises(MemoryError):
            embed(failing, done.changes, done.pending)
        assert staged(shared) == 2
        left = find_pending(shared, done.changes)
        assert left.missing.height == done.pending.missing.height - 2
        assert embed(shared, done.changes, left).embedded == left.missing.height
    result = refresh(config)
    assert (result.outcome, result.counts["embedded"]) == ("published", 0)


def test_the_encoder_is_not_even_opened_where_nothing_is_missing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    refresh(config)
    (tmp_path / "notes" / "a.md").rename(tmp_path / "notes" / "b.md")

    def never() -> StubEncoder:
        raise AssertionError("opened")

    with context(config) as shared:
        done = prepared(replace(shared, open_encoder=never))
        assert done.changes.upserts.rows > 0
        assert embed(replace(shared, open_encoder=never), done.changes, done.pending).embedded == 0


def test_an_encoder_that_changed_while_the_run_worked_stops_it(tmp_path: Path) -> None:
    with context(configure(tmp_path, {"a.md": prose("anchor")})) as shared:
        done = prepared(shared)
        other = replace(shared, open_encoder=lambda: open_encoder(EncoderConfig(name="stub:9")))
        with pytest.raises(RuntimeError, match="the encoder 'stub:9' changed while the run worked"):
            embed(other, done.changes, done.pending)
        assert staged(shared) == 0


def test_the_encoder_and_its_probe_are_kept_beside_the_tables(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    space = refresh(config).space
    with context(config) as shared:
        folder = Registry(shared.store).fetch(space)
    assert open_encoder(folder).space.id == space
    assert np.load(folder / module.PROBE, allow_pickle=False).dtype == np.float32


def test_an_encoder_that_gives_other_vectors_than_it_gave_is_refused(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    space = refresh(config).space
    probe = tmp_path / "store" / "models" / space / module.PROBE
    np.save(probe, np.load(probe) + np.float32(0.001))
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    with pytest.raises(ProbeMismatch, match="the same files give other vectors than before"):
        refresh(config)
