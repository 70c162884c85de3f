"""What all tests share: no network, few threads, a tiny real encoder."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from hub import Cache
    from xdist.remote import Producer

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell has what runs behind it ignore Ctrl-C, and so would the commands that these tests stop with it.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(Path(__file__).parent))

# Files with tests that need a server of Prefect, whose start takes twenty seconds of a processor: one worker has them.
SERVED = ("test_approval", "test_artifacts", "test_deployed", "test_automations", "flows/test_table")


class Scheduling(LoadFileScheduling):
    """The tests of a file are one worker's, and so are the files that share a server."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "served" if file.removesuffix(".py").endswith(SERVED) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """How `pytest -n` distributes the tests."""
    return Scheduling(config, log)


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
