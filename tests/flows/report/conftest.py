"""The store of the commands, to be looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import corpus, told


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two releases."""
    folder = corpus(tmp_path_factory.mktemp("reported"))
    assert told(folder, "refresh")["release"] == 1
    (folder / "notes" / "n2.md").unlink()
    assert told(folder, "refresh")["release"] == 2
    return folder
