"""What all tests share: no network, few threads, a tiny real encoder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT with random weights in the layout of sentence-transformers; copy it before you change it."""
    from tiny import build

    return build(tmp_path_factory.mktemp("models") / "tiny")
