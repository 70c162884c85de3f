"""The services as a whole: up, down and status, and, when slow tests are asked for, a real server and worker."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows.services.processes import MARK, find, spawn
from flows.services.server import Services, _check_port, down, status, up
from storage.errors import InputError

DEPLOYMENTS = Path(__file__).parents[3] / "deployments" / "prefect.yaml"
TOML = """
[store]
uri = "store"
[encoder]
name = "stub"
[[sources]]
name = "notes"
kind = "folder"
path = "notes"
"""


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is taken by another program"):
            _check_port(port)
    _check_port(port)


def test_the_deployments_name_modules_and_no_place_of_a_machine() -> None:
    text = DEPLOYMENTS.read_text()
    data = yaml.safe_load(text)
    assert [each["entrypoint"] for each in data["deployments"]] == [
        "flows.dashboard.deployed.refresh",
        "flows.dashboard.deployed.plan",
        "flows.dashboard.deployed.rollback",
        "flows.dashboard.deployed.reembed",
        "flows.dashboard.deployed.audit",
        "flows.dashboard.deployed.maintain",
        "flows.dashboard.deployed.evaluate",
        "flows.dashboard.deployed.drift",
        "flows.dashboard.deployed.retrain",
    ]
    assert data["pull"] == [{"prefect.deployments.steps.set_working_directory": {"directory": "."}}]
    assert not [word for word in text.split() if word.strip("\"'").startswith("/")]
    assert [each["work_pool"] for each in data["deployments"]] == 9 * [{"name": "tidemark", "job_variables": {}}]


def test_down_leaves_the_processes_of_other_folders_alone(tmp_path: Path) -> None:
    mine, theirs = Services(tmp_path / "a", 1, DEPLOYMENTS), Services(tmp_path / "b", 2, DEPLOYMENTS)
    for each in (mine, theirs):
        each.folder.mkdir()
        each.home.mkdir(parents=True)
        spawn(each.home, "worker", [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, each.folder)
    down(mine)
    assert (len(find(mine.home)), len(find(theirs.home))) == (0, 1)
    assert not list(mine.home.glob("*.pid"))
    down(theirs)
    assert find(theirs.home) == []
    down(theirs)  # a second time there is nothing to do


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A server, a worker and the deployments, in a folder with one note; only slow tests ask for it."""
    folder = tmp_path_factory.mktemp("services")
    (folder / "notes").mkdir()
    (folder / "notes" / "a.md").write_text("The tide comes in twice a day, and goes out as often.")
    (folder / "tidemark.toml").write_text(TOML)
    for name in ("flows", "tasks", "models", "storage"):  # of the user's own, which nothing of ours may take for ours
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text('raise SystemExit("the user\'s own package")\n')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    services = Services(folder, port, DEPLOYMENTS)
    try:
        up(services)
        assert f"{MARK}={services.home}" in environments()
        yield services
    finally:
        down(services)
    assert f"{MARK}={services.home}" not in environments()


def environments() -> str:
    """The command and the environment of every process, by another way than that of `find`."""
    return subprocess.run(["ps", "axeww", "-o", "args"], capture_output=True, text=True, check=True).stdout


def mains(services: Services) -> set[int]:
    return {each.process.pid for each in find(services.home) if each.main}


@dataclass(frozen=True)
class Caller:
    """Somebody who reaches the port, with what he knows."""

    url: str
    password: str = ""
    token: str = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        auth = ("tidemark", self.password) if self.password else None
        if self.token:
            headers |= {"Prefect-Csrf-Token": self.token, "Prefect-Csrf-Client": "caller"}
        return httpx.request(
            method, f"{self.url}/api{path}", auth=auth, json=body, headers=headers, trust_env=False, timeout=30
        )

    @classmethod
    def trusted(cls, services: Services) -> "Caller":
        """One who read the password, and asked for a token."""
        knows = cls(services.url, services.login.partition(":")[2])
        return cls(knows.url, knows.password, knows.ask("GET", "/csrf-token?client=caller").json()["token"])


@pytest.mark.slow
def test_nobody_gets_in_without_the_password_and_no_foreign_page_with_it(services: Services) -> None:
    stranger, page = Caller(services.url), Caller(services.url, services.login.partition(":")[2])
    assert stranger.ask("GET", "/health").json() is True
    assert stranger.ask("GET", "/admin/version").status_code == 401
    assert Caller(services.url, "wrong").ask("GET", "/admin/version").status_code == 401
    assert page.ask("GET", "/admin/version").status_code == 200
    assert stranger.ask("POST", "/deployments/filter", {}).status_code == 403
    assert page.ask("POST", "/deployments/filter", {}).status_code == 403
    assert "Missing CSRF token" in page.ask("POST", "/deployments/filter", {}).text
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    origins = ["http://example.org", f"http://localhost:{services.port}", services.url]
    answers = [page.ask("OPTIONS", "/deployments/filter", None, Origin=origin, **asked) for origin in origins]
    assert [each.status_code for each in answers] == [400, 200, 200]
    assert httpx.get(f"{services.url}/ui-settings", trust_env=False).json()["auth"] == "BASIC"


@pytest.mark.slow
def test_a_run_chooses_neither_its_program_nor_its_environment_and_works(services: Services) -> None:
    caller = Caller.trusted(services)
    listed = caller.ask("POST", "/deployments/filter", {}).json()
    (nightly,) = (each for each in listed if each["name"] == "refresh-nightly")
    wanted = {"command": "touch PWNED", "working_dir": "/", "env": {"TIDEMARK_CONFIG": "none.toml"}}
    for name, value in [*wanted.items(), ("env.PYTHONPATH", "/")]:
        refused = caller.ask("POST", f"/deployments/{nightly['id']}/create_flow_run", {"job_variables": {name: value}})
        assert (refused.status_code, f"'{name}' was unexpected" in refused.text) == (422, True)
    # The server checks nothing on this way, and the worker must pass over what the run asks for.
    ids = {"flow_id": nightly["flow_id"], "deployment_id": nightly["id"], "work_queue_name": "default"}
    scheduled = {"state": {"type": "SCHEDULED"}, "work_pool_name": "tidemark", "job_variables": wanted}
    run = caller.ask("POST", "/flow_runs/", ids | scheduled).json()
    assert run["job_variables"] == wanted
    state = run["state"]
    for _ in range(600):
        if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            break
        time.sleep(0.5)
        state = caller.ask("GET", f"/flow_runs/{run['id']}").json()["state"]
    assert (state["type"], state["message"]) == ("COMPLETED", "release 1 is published")
    assert not [each for folder in (services.folder, Path("/")) for each in folder.glob("PWNED")]
    for path in (services.home / "prefect.db", *(services.folder / "store").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_the_password_is_shown_to_the_user_and_written_nowhere(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(services)
    password, shown = services.login.partition(":")[2], capsys.readouterr().err
    assert f"tidemark:{password}" in shown
    assert str(services.home / "password") in shown
    written = [each for each in services.home.rglob("*") if each.is_file() and password.encode() in each.read_bytes()]
    assert written == [services.home / "password"]
    assert not [each for each in find(services.home) if password in " ".join(each.process.cmdline())]


@pytest.mark.slow
def test_a_command_in_the_folder_reports_to_the_dashboard(services: Services) -> None:
    program = """if True:
        from pathlib import Path
        from flows.dashboard.api import connected
        assert connected(Path.cwd())
        from prefect.client.orchestration import get_client
        with get_client(sync_client=True) as client:
            print(len(client.read_deployments()))
    """
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = mine | {"PREFECT_API_AUTH_STRING": "another:server's", "PYTHONPATH": str(DEPLOYMENTS.parents[1])}
    command = [sys.executable, "-P", "-c", program]  # the folder has packages of our names
    done = subprocess.run(
        command, cwd=services.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout, done.returncode) == ("9\n", 0), done.stderr


@pytest.mark.slow
def test_up_repairs_what_was_killed_and_locks_what_an_earlier_version_left_open(services: Services) -> None:
    before = mains(services)
    up(services)
    assert mains(services) == before
    assert len(services.dashboard.schedules()) == 9
    with services.dashboard.client() as client:
        nightly = client.read_deployment_by_name("refresh/refresh-nightly")
        client.pause_deployment(nightly.id)
    for role in ("worker", "server"):
        os.kill(int((services.home / f"{role}.pid").read_text()), 9)
        assert not status(services)
        up(services)
        assert status(services)
    assert "refresh/refresh-nightly: paused" in services.dashboard.schedules()
    (services.home / "password").unlink()  # whoever lost it, or told it, has a new one made
    services.home.chmod(0o755)
    up(services)
    assert status(services)
    assert services.home.stat().st_mode & 0o777 == 0o700
    assert len(mains(services) - before) == 2
