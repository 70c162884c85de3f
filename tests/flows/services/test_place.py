"""Where the services live, and that their settings keep others out."""

import os
import sys
from pathlib import Path

import pytest

from flows.services.access import close_folder, make_password
from flows.services.place import Services, client_settings, inherited, server_settings, temporary
from storage.errors import InputError

DEPLOYMENTS = Path(__file__).parents[3] / "deployments" / "prefect.yaml"


@pytest.fixture
def services(tmp_path: Path) -> Services:
    made = Services(tmp_path, 4321, DEPLOYMENTS)
    close_folder(made.home)
    make_password(made.home)
    return made


def test_the_settings_keep_everything_on_this_machine_and_nothing_pickled(services: Services) -> None:
    settings = server_settings(services)
    assert settings["PREFECT_SERVER_UI_API_URL"] == settings["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert settings["PREFECT_HOME"] == str(services.folder / ".tidemark" / "prefect")
    assert settings["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert settings["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"


@pytest.mark.parametrize("port", ["abc", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.setenv("TIDEMARK_PORT", port)
    with pytest.raises(InputError, match="TIDEMARK_PORT is"):
        Services.from_environment()


def test_a_missing_folder_and_missing_deployments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path / "none"))
    with pytest.raises(InputError, match="which is no folder"):
        Services.from_environment()
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.setenv("TIDEMARK_DEPLOYMENTS", str(tmp_path / "none.yaml"))
    with pytest.raises(InputError, match=r"no deployments at .*none\.yaml"):
        Services.from_environment()


def test_the_deployments_of_the_folder_come_before_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.delenv("TIDEMARK_DEPLOYMENTS", raising=False)
    assert Services.from_environment().deployments == DEPLOYMENTS
    own = tmp_path / "deployments" / "prefect.yaml"
    own.parent.mkdir()
    own.write_text("deployments: []\n")
    assert Services.from_environment().deployments == own


def test_the_server_asks_for_the_password_that_its_clients_hold(services: Services) -> None:
    server, client = server_settings(services), client_settings(services)
    login = f"tidemark:{(services.home / 'password').read_text().strip()}"
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == client["PREFECT_API_AUTH_STRING"] == login
    assert server["PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED"] == "true"
    assert server["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4321,http://localhost:4321"
    assert client["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] == "true"


def test_prefect_knows_every_setting_by_its_name(services: Services) -> None:
    import prefect.settings

    names = [name for name in server_settings(services) if name.startswith("PREFECT_")]
    assert [
        name for name in names if not hasattr(prefect.settings, name)
    ] == []  # it passes over a name it does not know


def test_nobody_who_sees_the_services_printed_sees_the_password(services: Services) -> None:
    password = services.login.removeprefix("tidemark:")
    assert password not in f"{services!r} {services.dashboard!r}"


def test_no_setting_of_the_callers_prefect_is_taken_over() -> None:
    given = {"PREFECT_API_KEY": "k", "PREFECT_PROFILE": "p", "HOME": "/h", "NO_PROXY": "here", "PATH": "/bin"}
    taken = inherited(given)
    assert {name for name in taken if name.startswith("PREFECT")} == set()
    assert (taken["HOME"], taken["NO_PROXY"]) == ("/h", "here,127.0.0.1,localhost")
    assert taken["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/bin"]


def test_the_worker_shares_no_temporary_folder_with_other_users(services: Services) -> None:
    (own,) = temporary(services, {}).values()
    assert Path(own).stat().st_mode & 0o777 == 0o700
    assert Path(own).parent == services.home
    assert temporary(services, {"TMPDIR": "/large"}) == {}
