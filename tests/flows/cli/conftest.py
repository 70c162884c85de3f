"""No command of a test is told anything by the environment, and one store with two releases is there to look at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import corpus, told


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TIDEMARK_", "PREFECT_API_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two releases; tests only look at it. One of its documents is refused."""
    folder = corpus(tmp_path_factory.mktemp("published"))
    assert told(folder, "refresh")["release"] == 1
    (folder / "notes" / "n0.md").write_text("# Note 0\n\nAnother text about the moon.\n", encoding="utf-8")
    (folder / "notes" / "n1.md").rename(folder / "notes" / "moved.md")
    (folder / "notes" / "n2.md").unlink()
    (folder / "notes" / "empty.md").touch()
    assert told(folder, "refresh")["release"] == 2
    return folder
