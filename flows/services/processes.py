"""Finds and stops the processes of one folder's services, also those that lost their parent."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["MARK", "ROLE", "Owned", "find", "has_settings", "homes", "spawn", "stop"]

# A flow run lives in a session of its own and outlives a killed worker, so neither sessions nor parents find it again;
# the environment is inherited by every child and cannot be lost.
MARK, ROLE, FLOW_RUN = "TIDEMARK_SERVICES", "TIDEMARK_SERVICE_ROLE", "PREFECT__FLOW_RUN_ID"
LOADED_WITHIN = 5.0  # seconds


@dataclass(frozen=True)
class Owned:
    """One living process of the services.

    Attributes:
        process: The process.
        role: What it was started as, or was started by: server or worker.
        flow_run: The id of the flow run that it executes, if it does.
        main: Whether it was itself started here, rather than by one of those.
    """

    process: psutil.Process
    role: str
    flow_run: str | None
    main: bool


def spawn(
    home: Path,
    role: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    umask: int = -1,
) -> int:
    """Start a service in a session of its own, with its output in a log file and its number in a file beside it.

    Args:
        home: The folder of the services' state; it identifies them.
        role: The name of the service.
        command: Program and arguments.
        environment: Of the service; the mark is added.
        folder: In which it runs.
        umask: The permissions that its files, and those of its children, do not get; -1 for those of this process.

    Returns:
        The process id; `find` finds the process by then, unless it has ended.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{role}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, MARK: str(home), ROLE: role},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=umask,
        )
    (home / f"{role}.pid").write_text(f"{process.pid}\n")
    # Popen may return while the program is still loaded, and Linux shows no environment of it: `find` would miss it.
    owned, until = Owned(psutil.Process(process.pid), role, None, main=True), time.monotonic() + LOADED_WITHIN
    while process.poll() is None and not has_settings(owned, {MARK: str(home)}) and time.monotonic() < until:
        time.sleep(0.001)
    return process.pid


def find(home: Path) -> list[Owned]:
    """Every living process that was started, by whatever detour, by the services of this folder.

    Args:
        home: The folder of the services' state.

    Returns:
        The processes, in no order; never this one or one of its ancestors.
    """
    mains = {role: _read_pid(home / f"{role}.pid") for role in ("server", "worker")}
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if environment.get(MARK) != str(home) or process.status() == psutil.STATUS_ZOMBIE:
                continue
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or another user's, which is none of ours
        if process.pid not in mine:
            role = environment.get(ROLE, "")
            found.append(Owned(process, role, environment.get(FLOW_RUN), process.pid == mains.get(role)))
    return found


def homes() -> set[Path]:
    """The folders of state of all services of this user that have a process."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # gone meanwhile, or another user's
            home = process.environ().get(MARK)
            if home and process.status() != psutil.STATUS_ZOMBIE:
                found.add(Path(home))
    return found


def has_settings(owned: Owned, settings: Mapping[str, str]) -> bool:
    """Whether a process was started under these settings, all of them.

    Args:
        owned: The process; one that ended meanwhile has none.
        settings: Environment variables.
    """
    try:
        return settings.items() <= owned.process.environ().items()
    except (psutil.Error, OSError):
        return False


def stop(owned: Iterable[Owned], *, seconds: float) -> int:
    """Ask processes to end, and end those that have not after a while.

    Args:
        owned: The processes.
        seconds: How long they may take.

    Returns:
        How many had to be killed.
    """
    processes = [each.process for each in owned]
    for process in processes:
        _signal(process, kill=False)
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=5)
    return len(alive)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself, which is what was wanted
        process.kill() if kill else process.terminate()


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None  # never started, or killed between opening and writing the file
