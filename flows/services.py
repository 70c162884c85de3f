"""Starts, repairs, shows and stops the dashboard of a folder: `python -m flows.services up|down|status`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from flows.cli.exits import exit_code
from flows.dashboard_client import Dashboard
from flows.processes import find, spawn, stop
from storage.errors import InputError, TidemarkError

__all__ = ["Services", "ServicesError", "down", "main", "prefect_environment", "status", "up"]

POOL = "tidemark"
HEARTBEAT_SECONDS = 30
START_SECONDS = 180
ZOMBIES = "Tidemark: crash runs that went silent"

console = Console(stderr=True, highlight=False)
app = typer.Typer(add_completion=False, help="The dashboard, its worker and the deployments of this folder.")


class ServicesError(TidemarkError):
    """A service did not start or does not answer; the text says where its log is."""


@dataclass(frozen=True)
class Services:
    """Where the services of a folder live.

    Attributes:
        folder: Where tidemark.toml lies and flow runs work.
        port: Of the dashboard, on the loopback interface alone.
        deployments: The deployments file.
    """

    folder: Path
    port: int
    deployments: Path

    @property
    def home(self) -> Path:
        """The folder of the database, logs and process numbers."""
        return self.folder / ".tidemark" / "prefect"

    @property
    def url(self) -> str:
        """The address of the dashboard."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def dashboard(self) -> Dashboard:
        """The server behind it."""
        return Dashboard(self.url, POOL)

    @classmethod
    def at(cls, folder: Path) -> Services | None:
        """What `up` started for a folder, as far as its files tell; None where they do not."""
        try:
            return cls(folder, int((cls(folder, 0, folder).home / "port").read_text()), folder)
        except (OSError, ValueError):
            return None

    @classmethod
    def from_environment(cls) -> Services:
        """From TIDEMARK_HOME, TIDEMARK_PORT and TIDEMARK_DEPLOYMENTS, and from what runs already."""
        folder = Path(os.environ.get("TIDEMARK_HOME") or Path.cwd()).expanduser().resolve()
        if not folder.is_dir():
            raise InputError(f"TIDEMARK_HOME names {folder}, which is no folder: create it or name another one")
        port = os.environ.get("TIDEMARK_PORT", "4200")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise InputError(f"TIDEMARK_PORT is {port!r}: give a number between 1 and 65535")
        # A folder with deployments of its own is the rule once somebody changes a schedule; ours are the default.
        candidates = [folder / "deployments/prefect.yaml", Path(__file__).parents[1] / "deployments/prefect.yaml"]
        given = os.environ.get("TIDEMARK_DEPLOYMENTS")
        file = Path(given).expanduser().resolve() if given else next(filter(Path.is_file, candidates), candidates[0])
        if not file.is_file():
            raise InputError(f"no deployments at {file}: set TIDEMARK_DEPLOYMENTS to a prefect.yaml")
        return cls(folder, int(port), file)


def prefect_environment(services: Services) -> dict[str, str]:
    """The settings under which server, worker and flow runs work, beside those of the caller's environment.

    Args:
        services: Where they live.

    Returns:
        Environment variables.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    proxies = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), "127.0.0.1,localhost"]))
    return {
        "PATH": path,  # `python` in the deployments is the one that runs this
        "NO_PROXY": proxies,
        "no_proxy": proxies,
        "PREFECT_HOME": str(services.home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{services.home / 'prefect.db'}",
        "PREFECT_API_URL": f"{services.url}/api",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(services.port),
        "PREFECT_SERVER_UI_API_URL": f"{services.url}/api",  # else a page on another port asks 4200
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # never pickle
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",  # our own fingerprints decide what is skipped
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        # Our flows attach our loggers themselves, see flows/dashboard/deployed.py.
        "PREFECT_LOGGING_COLORS": "false",
        "PYTHONUNBUFFERED": "1",
    }


def up(services: Services) -> None:
    """Start what does not run: server, worker, deployments. Again and again changes nothing, after a crash it repairs.

    Args:
        services: Where they live.

    Raises:
        InputError: The port is taken by another program, or the deployments are wrong.
        ServicesError: A service did not come up.
    """
    with _locked(services.home), console.status("looking for what runs") as shown:
        services = _at_its_port(services)
        environment = {**os.environ, **prefect_environment(services)}
        _raise_server(services, environment, shown.update)
        services.dashboard.ready_pool()
        since = _raise_worker(services, environment)
        shown.update("giving the deployments to the server")
        _deploy(services, environment)
        services.dashboard.watch_heartbeats(ZOMBIES, seconds=4 * HEARTBEAT_SECONDS)
        _wait(lambda: services.dashboard.worker_online(since=since), "worker", services, shown.update)
        # Prefect's scheduler may fail with a log line alone; a nightly run that never comes must be seen now.
        _wait(lambda: not services.dashboard.unscheduled(), "server", services, shown.update, what="schedules")
    _tell(services)


def down(services: Services) -> None:
    """Stop worker, flow runs and server, and see to it that no process is left, whatever was killed before.

    Args:
        services: Where they live.

    Raises:
        ServicesError: A process would not end.
    """
    with _locked(services.home), console.status("stopping the worker and its flow runs") as shown:
        services = _at_its_port(services)
        owned = find(services.home)
        # The server goes last, so that flow runs can still say how they ended.
        stop([each for each in owned if each.role != "server"], seconds=20)
        if any(each.role == "server" for each in owned) and services.dashboard.healthy():
            services.dashboard.crash_runs("stopped together with the dashboard", alive=())
        shown.update("stopping the server")
        stop(find(services.home), seconds=15)
        if left := find(services.home):
            raise ServicesError(f"processes {[each.process.pid for each in left]} would not end")
        for file in services.home.glob("*.pid"):
            file.unlink()
    console.print(f"stopped {len(owned)} processes; nothing of {services.home} runs", soft_wrap=True)


def status(services: Services) -> bool:
    """Print what runs.

    Args:
        services: Where they live.

    Returns:
        Whether our server answers and a worker works.
    """
    services = _at_its_port(services)
    owned = find(services.home)
    healthy = any(each.role == "server" for each in owned) and services.dashboard.healthy()
    online = any(each.role == "worker" and each.main for each in owned) and services.dashboard.worker_online()
    console.print(f"server  {'answers' if healthy else 'does not answer'}")
    console.print(f"worker  {'works' if online else 'does not work'}")
    for each in owned:
        console.print(f"        {each.process.pid:>7}  {f'flow run {each.flow_run}' if each.flow_run else each.role}")
    if healthy:
        _tell(services)
    return healthy and online


@app.command(name="up")
def _up() -> None:
    """Start server, worker and deployments, or repair them, and print the dashboard's address."""
    up(Services.from_environment())


@app.command(name="down")
def _down() -> None:
    """Stop them and every flow run, and leave no process."""
    down(Services.from_environment())


@app.command(name="status")
def _status() -> None:
    """Show what runs; exit code 1 unless all of it does."""
    if not status(Services.from_environment()):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an error of the user's is one line and its exit code."""
    try:
        app()
    except TidemarkError as error:
        console.print(f"[bold red]error[/] {escape(str(error))}")
        sys.exit(exit_code(error))


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two `up` at once would start two servers
        yield


def _at_its_port(services: Services) -> Services:
    """The services as they run: a server keeps the port that it was started with."""
    started = Services.at(services.folder)
    if started is not None and any(each.role == "server" for each in find(services.home)):
        return replace(services, port=started.port)
    return services


def _raise_server(services: Services, environment: dict[str, str], say: Callable[[str], None]) -> None:
    ours = [each for each in find(services.home) if each.role == "server"]
    # A server that was started a moment ago, by an `up` that was interrupted, is not healthy yet.
    if not any(each.main for each in ours) and not (ours and services.dashboard.healthy()):
        stop(ours, seconds=10)
        _check_port(services.port)
        command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(services.port)]
        spawn(services.home, "server", [sys.executable, *command], environment, services.folder)
        (services.home / "port").write_text(f"{services.port}\n")
    _wait(services.dashboard.healthy, "server", services, say)


def _raise_worker(services: Services, environment: dict[str, str]) -> datetime | None:
    """Start the worker unless it lives; gives back since when to wait for its sign of life."""
    owned = find(services.home)
    if any(each.role == "worker" and each.main for each in owned):
        return None
    # Flow runs that outlived their worker go on; those without a process would be shown as running for ever.
    alive = {each.flow_run for each in owned if each.flow_run}
    services.dashboard.crash_runs("its process is gone: the worker or the machine was stopped", alive=alive)
    since = datetime.now(UTC)
    command = ["-m", "prefect", "worker", "start", "--pool", POOL, "--name", "worker", "--type", "process"]
    spawn(services.home, "worker", [sys.executable, *command], environment, services.folder)
    return since


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        # As the server does: a port that only waits for its last connections to fade is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(
                f"port {port} is taken by another program: stop it, or set TIDEMARK_PORT to a free port"
            ) from error


def _deploy(services: Services, environment: dict[str, str]) -> None:
    file = str(services.deployments)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", file]
    # Prefect resolves entrypoints from where it is called, and the file has none that is a path.
    done = subprocess.run(
        command, cwd=services.folder, env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    (services.home / "deploy.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise InputError(f"the deployments of {file} were not accepted:\n{last}")


def _wait(ready: Callable[[], bool], role: str, services: Services, say: Callable[[str], None], what: str = "") -> None:
    started = time.monotonic()
    while not ready():
        waited = time.monotonic() - started
        name = f"{role}'s {what}" if what else role
        say(f"waiting for the {name}: {waited:.0f} s (the very first start makes the database and takes longest)")
        ended = not any(each.role == role for each in find(services.home))
        if ended or waited > START_SECONDS:
            log = services.home / f"{role}.log"
            last = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
            how = "ended" if ended else f"did not come within {waited:.0f} s"
            raise ServicesError(f"the {name} {how}; the end of {log}:\n{last}")
        time.sleep(0.3)


def _tell(services: Services) -> None:
    console.print(f"dashboard  [bold]{services.url}[/]")
    console.print(f"works in   {services.folder}", soft_wrap=True)
    console.print(f"logs       {services.home}", soft_wrap=True)
    for line in services.dashboard.schedules():
        console.print(f"           {line}")


if __name__ == "__main__":
    main()
