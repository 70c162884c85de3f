"""Gives a Prefect server, here or elsewhere, what Tidemark needs of it: work pool, deployments, automations."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from flows.services.access import UMASK
from flows.services.automations import Wanted, wanted
from flows.services.client import Dashboard
from flows.services.launch import program
from flows.services.place import HEARTBEAT_SECONDS, POOL, Services, inherited
from storage.errors import InputError

__all__ = ["elsewhere", "give"]

ZOMBIES = "Tidemark: crash runs that went silent"
# Deployments of an earlier version, under names that did not say their flow: each would run beside its successor.
FORMER = frozenset({"refresh/nightly", "audit/weekly", "maintain/weekly"}) | {
    f"{flow}/by-hand" for flow in ("rollback", "reembed", "evaluate", "drift", "retrain")
}
URL, LOGIN = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"
SECONDS = 180


def elsewhere(services: Services, environment: Mapping[str, str]) -> list[str]:
    """Prepare the server that the environment names, for workers of the machine that this runs on.

    Args:
        services: The folder that flow runs work in, and the deployments; their port is not looked at.
        environment: With PREFECT_API_URL and PREFECT_API_AUTH_STRING.

    Returns:
        One line a deployment: its name and when it runs.

    Raises:
        InputError: The environment names no server or no password, or the deployments are wrong.
        ServicesError: The server does not answer, or refuses us.
    """
    dashboard = _dashboard(environment)
    dashboard.ready_pool()
    give(dashboard, services, environment)
    return dashboard.schedules()


def give(dashboard: Dashboard, services: Services, settings: Mapping[str, str]) -> None:
    """Bring deployments and automations to a server whose work pool is there; again and again changes nothing.

    What somebody paused stays so. When a deployment runs, its file says: a time set on the page is set back.

    Args:
        dashboard: The server.
        services: The folder that flow runs work in, and the deployments.
        settings: Of Prefect, by which its client finds the server.

    Raises:
        InputError: The deployments are wrong.
        ServicesError: The server does not answer, or refuses us.
    """
    paused = dashboard.paused()
    try:
        _deploy(services, settings)
    finally:  # Prefect lets them go on with every deploy, and a machine that starts anew deploys: the night would run
        dashboard.pause(paused)
    dashboard.retire(FORMER - _listed(services.deployments))
    dashboard.watch_heartbeats(ZOMBIES, seconds=4 * HEARTBEAT_SECONDS)
    dashboard.automate(_automations(services))


def _deploy(services: Services, settings: Mapping[str, str]) -> None:
    """Have Prefect read the deployments and give them to the server."""
    file = str(services.deployments)
    done = subprocess.run(
        [*program("prefect"), "--no-prompt", "deploy", "--all", "--prefect-file", file],
        cwd=services.folder,  # Prefect resolves entrypoints from where it is called, and ours are modules, no paths
        env={**inherited(os.environ), **settings},
        umask=UMASK,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    said = done.stdout + done.stderr
    if services.home.is_dir():  # which a folder has whose server is elsewhere only by chance
        (services.home / "deploy.log").write_text(said)
    if done.returncode:
        last = "\n".join(said.strip().splitlines()[-15:])
        raise InputError(f"the deployments of {file} were not accepted:\n{last}")


def _listed(file: Path) -> set[str]:
    """The deployments of a file that Prefect accepted, `flow/name` each."""
    rows = yaml.safe_load(file.read_text(encoding="utf-8"))["deployments"]
    return {f"{str(row['entrypoint']).rpartition('.')[2]}/{row['name']}" for row in rows}


def _automations(services: Services) -> list[Wanted]:
    """The automations that a server should have, as their file and the configuration of the folder say."""
    from flows.config.schema import Config
    from flows.config.toml import FILE

    toml = Path(os.environ.get("TIDEMARK_CONFIG") or services.folder / FILE)
    config = Config.load(toml) if toml.is_file() else None
    return wanted(services.automations, config, os.environ)


def _dashboard(environment: Mapping[str, str]) -> Dashboard:
    """The server that the environment names."""
    url, login = environment.get(URL, "").rstrip("/"), environment.get(LOGIN, "")
    if urlsplit(url).scheme not in {"http", "https"} or not url.endswith("/api"):
        raise InputError(f"{URL} is {url!r}: give the address of the Prefect server's API, http(s)://.../api")
    # A server that asks for no password lets everybody start runs as whoever works for it.
    if not login.partition(":")[2]:
        raise InputError(f"{LOGIN} is not set: give `user:password`, as the server has it")
    return Dashboard(url.removesuffix("/api"), POOL, login)
