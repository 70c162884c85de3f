"""What all tests share: no network, few threads, a tiny real encoder."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hub import Cache

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT with random weights in the layout of sentence-transformers; copy it before you change it."""
    from tiny import build

    return build(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """An empty cache of the hub for the repository `owner/tiny`; the hub itself cannot be reached."""
    from hub import Cache
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))  # read from the variable when it was imported
    return Cache(folder, "owner/tiny")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 server; gives the environment that reaches it, which is set already."""
    from buckets import environment, serving

    with serving(tmp_path_factory.mktemp("s3")) as address, pytest.MonkeyPatch.context() as patch:
        found = environment(address)
        for name, value in found.items():
            patch.setenv(name, value)
        yield found


COUNTER = itertools.count()


@pytest.fixture
def bucket(s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in an object store, and a cache of this test's own."""
    from buckets import BUCKET

    monkeypatch.setenv("TIDEMARK_CACHE", str(tmp_path / "cache"))
    return f"{BUCKET}/{next(COUNTER)}"
