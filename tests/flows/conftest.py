"""Two releases, made once and copied for tests that roll back or damage one; a Prefect server of the tests' own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus import configure, prose, save

from flows.config.schema import Config
from flows.refresh import refresh


@pytest.fixture(scope="session")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release 1 holds a.md, release 2 holds b.md too."""
    base = tmp_path_factory.mktemp("made")
    config = configure(base, {"a.md": prose("anchor")})
    refresh(config)
    save(base / "notes", {"b.md": prose("buoy")})
    refresh(config)
    return base


@pytest.fixture
def config(two_releases: Path, tmp_path: Path) -> Config:
    """A copy of those two releases."""
    shutil.copytree(two_releases, tmp_path, dirs_exist_ok=True)
    return configure(tmp_path)


@pytest.fixture(scope="session")
def prefect() -> Iterator[None]:
    """A Prefect server that forgets everything; flows of the tests run against it."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
