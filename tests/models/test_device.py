"""The device that a network runs on."""

from __future__ import annotations

from typing import get_args

import pytest

from models.device import Device, choose_device
from models.errors import ModelError


def test_a_device_that_is_not_there_is_told_and_auto_takes_one_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert (choose_device("auto"), choose_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(ModelError, match=r'encoder.device "cuda": this machine has none; choose "auto" or "cpu"'):
        choose_device("cuda")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert choose_device("auto") == "mps"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert choose_device("auto") == "cuda"
    assert [choose_device(each) for each in get_args(Device)[1:]] == ["cpu", "cuda", "mps"]
