"""Which device is taken, and how one that is missing is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.device import choose_device
from models.errors import ModelError


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    import torch

    gpu = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto", "training on") == gpu
    assert choose_device("cpu", "training on") == "cpu"


def test_a_gpu_that_is_missing_is_refused_in_words() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ModelError, match='training on "cuda": this machine has none; choose "auto" or "cpu"'):
        choose_device("cuda", "training on")


def test_what_every_machine_has_is_not_looked_for() -> None:
    asked = "; ".join(f"require_device({device!r}, 'encoder.device')" for device in ("auto", "cpu"))
    script = f"import sys\nfrom models.device import require_device\n{asked}; print('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
