"""Everything that a run needs, opened before anything is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from corpus import NOTES, configure, prose

from flows.config.schema import Config
from flows.context import docs_folder, opened, rebased
from flows.refresh import refresh
from tasks.progress import Silent


def test_a_context_is_opened_from_the_configuration_and_leaves_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    with opened(config, "run-1", Silent()) as shared:
        assert (shared.run, shared.base, [source.name for source in shared.sources]) == ("run-1", None, ["notes"])
        assert shared.rules_fingerprints.keys() == {"notes"}
        shared.workspace.spill("s").append(pl.DataFrame({"n": [1]}))
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_rebased_context_starts_from_what_is_published_now(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    with opened(config, "run-1", Silent()) as shared:
        refresh(config)
        moved = rebased(shared)
        assert (shared.base, moved.base is not None and moved.base.seq) == (None, 1)
        assert replace(moved, base=None) == shared


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"sources": []}, "the configuration names no"),
        ({"sources": [NOTES | {"path": "nowhere"}]}, "does not exist"),
        ({"validation": {"expectations": "nowhere.yaml"}}, "cannot read the expectations"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_written(
    tmp_path: Path, sections: dict[str, object], reason: str
) -> None:
    config: Config = configure(tmp_path, **sections)
    with pytest.raises(ValueError, match=reason), opened(config, "run-1", Silent()):
        pass
    assert not (tmp_path / "store").exists()


def test_data_docs_lie_beside_a_local_store_or_beside_the_configuration(tmp_path: Path) -> None:
    assert docs_folder(configure(tmp_path)) == tmp_path / "store" / "data_docs"
    remote = configure(tmp_path, store={"uri": "s3://bucket/store"})
    assert docs_folder(remote) == tmp_path / ".tidemark" / "data_docs"
