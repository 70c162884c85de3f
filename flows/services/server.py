"""Starts, repairs, shows and stops the server, the worker and the deployments of a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from flows.services.access import FILE, UMASK, USER, close_folder, make_password, read_password
from flows.services.errors import ServicesError
from flows.services.giving import give
from flows.services.launch import program
from flows.services.place import POOL, Services, client_settings, inherited, server_settings, temporary
from flows.services.processes import find, has_settings, spawn, stop
from storage.errors import InputError

__all__ = ["Services", "ServicesError", "console", "down", "status", "up"]

START_SECONDS = 180

console = Console(stderr=True, highlight=False)


def up(services: Services) -> None:
    """Start what does not run: server, worker, deployments. Again and again changes nothing, after a crash it repairs.

    Args:
        services: Where they live.

    Raises:
        InputError: The port is taken by another program, the deployments are wrong, or the folder is another user's.
        ServicesError: A service did not come up.
    """
    with _locked(services.home), console.status("looking for what runs") as shown:
        services = _at_its_port(services)
        _raise_server(services, shown.update)
        services.dashboard.ready_pool()
        since = _raise_worker(services)
        shown.update("giving the deployments to the server")
        give(services.dashboard, services, client_settings(services))
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
            # A server that refuses us, after its password was deleted, must be stopped all the same.
            with contextlib.suppress(ServicesError):
                services.dashboard.crash_runs("stopped together with the dashboard", alive=())
        shown.update("stopping the server")
        stop(find(services.home), seconds=15)
        if left := find(services.home):
            raise ServicesError(f"processes {[each.process.pid for each in left]} would not end")
        for file in services.home.glob("*.pid"):
            file.unlink()
    count = "1 process" if len(owned) == 1 else f"{len(owned)} processes"
    console.print(f"stopped {count}; nothing of {services.home} runs", soft_wrap=True)


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


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Nobody else starts or stops these services meanwhile, and what is written is the user's alone."""
    before = os.umask(UMASK)
    try:
        close_folder(home)
        with (home / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two `up` at once would start two servers
            make_password(home)
            yield
    finally:
        os.umask(before)


def _at_its_port(services: Services) -> Services:
    """The services as they run: a server keeps the port that it was started with."""
    started = Services.at(services.folder)
    if started is not None and any(each.role == "server" for each in find(services.home)):
        return replace(services, port=started.port)
    return services


def _raise_server(services: Services, say: Callable[[str], None]) -> None:
    ours = [each for each in find(services.home) if each.role == "server"]
    settings = server_settings(services)
    # One that was started under other settings, by an earlier version, may let everybody in.
    current = bool(ours) and all(has_settings(each, settings) for each in ours)
    # A server that was started a moment ago, by an `up` that was interrupted, is not healthy yet.
    if not current or not (any(each.main for each in ours) or services.dashboard.healthy()):
        stop(ours, seconds=10)
        _check_port(services.port)
        command = ["server", "start", "--host", "127.0.0.1", "--port", str(services.port)]
        _spawn(services, "server", command, settings)
        (services.home / "port").write_text(f"{services.port}\n")
    _wait(services.dashboard.healthy, "server", services, say)


def _raise_worker(services: Services) -> datetime | None:
    """Start the worker unless it lives; gives back since when to wait for its sign of life."""
    settings = client_settings(services)
    mains = [each for each in find(services.home) if each.role == "worker" and each.main]
    if mains and has_settings(mains[0], settings):
        return None
    stop(mains, seconds=20)
    # Flow runs that outlived their worker go on; those without a process would be shown as running for ever.
    alive = {each.flow_run for each in find(services.home) if each.flow_run}
    services.dashboard.crash_runs("its process is gone: the worker or the machine was stopped", alive=alive)
    since = datetime.now(UTC)
    command = ["worker", "start", "--pool", POOL, "--name", "worker", "--type", "process"]
    _spawn(services, "worker", command, {**settings, **temporary(services, os.environ)})
    return since


def _spawn(services: Services, role: str, command: list[str], settings: Mapping[str, str]) -> None:
    environment = {**inherited(os.environ), **settings}
    spawn(services.home, role, [*program("prefect"), *command], environment, services.folder, umask=UMASK)


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
    password = escape(read_password(services.home))
    console.print(f"dashboard  [bold]{services.url}[/]")
    console.print(f"log in as  {USER}:{password}", soft_wrap=True)
    console.print(f"password   {services.home / FILE}", soft_wrap=True)
    console.print(f"works in   {services.folder}", soft_wrap=True)
    console.print(f"logs       {services.home}", soft_wrap=True)
    for line in services.dashboard.schedules():
        console.print(f"           {line}")
