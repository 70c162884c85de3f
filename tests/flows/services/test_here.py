"""Which services a command means, from whatever folder it is given."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from commands import invoke

from flows.services.here import meant, running, set_apart
from flows.services.place import HOME
from flows.services.processes import find, homes, spawn, stop
from storage.errors import InputError


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TIDEMARK_HOME", "TIDEMARK_CONFIG", "TIDEMARK_PORT", "TIDEMARK_DEPLOYMENTS"):
        monkeypatch.setenv(name, "")  # so that what a test sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def folders(base: Path, *names: str) -> list[Path]:
    for name in names:
        (base / name / HOME).mkdir(parents=True)
    return [base / name for name in names]


def test_services_are_those_of_the_variable_the_configuration_or_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = folders(tmp_path, "a", "b")
    assert meant().folder == tmp_path
    (b / "other.toml").touch()
    assert meant(b / "other.toml").folder == b
    assert os.environ["TIDEMARK_CONFIG"] == str(b / "other.toml")
    monkeypatch.setenv("TIDEMARK_HOME", str(a))
    assert meant().folder == a
    with pytest.raises(InputError, match="there is no such file"):
        meant(b / "none.toml")


def test_what_runs_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = folders(tmp_path, "a", "b")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (a / HOME / "port").write_text("4321")
    assert running(found=[]).folder == here
    assert (running(found=[a / HOME]).folder, running(found=[a / HOME]).port) == (a, 4321)
    assert running(found=[a / HOME, here / HOME]).folder == here
    with pytest.raises(InputError, match=f"nothing of {here} runs, but of {a}, {b}: name it, as in TIDEMARK_HOME={a}"):
        running(found=[a / HOME, b / HOME])
    monkeypatch.setenv("TIDEMARK_HOME", str(here))
    assert running(found=[a / HOME]).folder == here


@pytest.mark.parametrize("own", ["tidemark.toml", str(HOME / "password")])
def test_a_folder_with_its_own_never_means_those_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    (a,) = folders(tmp_path, "a")
    file = tmp_path / "here" / own
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=f"here runs, but of {a}: name it, as in TIDEMARK_HOME={a}"):
        running(found=[a / HOME])
    assert running(found=[]).folder == tmp_path / "here"


def test_down_stops_what_up_started_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (a,) = folders(tmp_path, "a")
    here = tmp_path / "here"
    here.mkdir()
    home = a / HOME
    spawn(home, "worker", [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, a)
    try:
        assert home in homes()
        monkeypatch.chdir(here)
        monkeypatch.setattr("flows.services.here.homes", lambda: {home})  # others of this machine are not ours to stop
        monkeypatch.setattr(os, "environ", {**os.environ})  # Prefect's settings are taken away for good
        ended = invoke("down")
        assert (ended.exit_code, find(home)) == (0, []), ended.stderr
        assert f"stopped 1 process; nothing of {home} runs" in ended.stderr.replace("\n", "")
    finally:
        stop(find(home), seconds=5)


def test_prefect_finds_no_setting_of_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"PREFECT_API_KEY": "k", "HOME": "/h"})
    services = set_apart(meant())
    assert os.environ == {"HOME": "/h", "PREFECT_HOME": str(services.home)}
