"""Where the services of a folder live, and under which settings of Prefect they work."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.services.access import USER, read_password
from storage.errors import InputError

if TYPE_CHECKING:
    from flows.services.client import Dashboard

__all__ = [
    "HEARTBEAT_SECONDS",
    "HOME",
    "POOL",
    "Services",
    "client_settings",
    "direct",
    "inherited",
    "server_settings",
    "temporary",
]

POOL = "tidemark"
HEARTBEAT_SECONDS = 30
HOME = Path(".tidemark", "prefect")  # of a folder


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
    def automations(self) -> Path:
        """The automations file: beside the deployments, else ours."""
        from flows.services.automations import FILE  # here, as below: every run asks for the folder alone

        beside = self.deployments.with_name(FILE)
        return beside if beside.is_file() else Path(__file__).parents[2] / "deployments" / FILE

    @property
    def home(self) -> Path:
        """The folder of the database, logs, process numbers and the password."""
        return self.folder / HOME

    @property
    def url(self) -> str:
        """The address of the dashboard."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def login(self) -> str:
        """User and password as Prefect takes them, `user:password`; an InputError where `up` made none yet."""
        return f"{USER}:{read_password(self.home)}"

    @property
    def dashboard(self) -> Dashboard:
        """The server behind the address."""
        from flows.services.client import Dashboard

        return Dashboard(self.url, POOL, self.login)

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
        candidates = [folder / "deployments/prefect.yaml", Path(__file__).parents[2] / "deployments/prefect.yaml"]
        given = os.environ.get("TIDEMARK_DEPLOYMENTS")
        file = Path(given).expanduser().resolve() if given else next(filter(Path.is_file, candidates), candidates[0])
        if not file.is_file():
            raise InputError(f"no deployments at {file}: set TIDEMARK_DEPLOYMENTS to a prefect.yaml")
        return cls(folder, int(port), file)


def client_settings(services: Services) -> dict[str, str]:
    """The settings of whatever speaks to the server: worker, deployments, flow runs and the command line.

    Args:
        services: Where they live; their password was made.

    Returns:
        Environment variables, the password among them.
    """
    return {
        "PREFECT_HOME": str(services.home),
        "PREFECT_API_URL": f"{services.url}/api",
        "PREFECT_API_AUTH_STRING": services.login,
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # never pickle
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",  # our own fingerprints decide what is skipped
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        # Our flows attach our loggers themselves: as extra loggers Prefect would leave them at WARNING.
        "PREFECT_LOGGING_COLORS": "false",
        "PYTHONUNBUFFERED": "1",
    }


def server_settings(services: Services) -> dict[str, str]:
    """The settings of the server: those of its clients, and what lets nobody else in.

    Args:
        services: Where it lives; its password was made.

    Returns:
        Environment variables, the password among them.
    """
    origins = f"{services.url},http://localhost:{services.port}"
    return {
        **client_settings(services),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{services.home / 'prefect.db'}",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(services.port),
        # Who reaches the port, another user or a page in a browser, could else start flow runs.
        "PREFECT_SERVER_API_AUTH_STRING": services.login,
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": origins,
        "PREFECT_SERVER_UI_API_URL": f"{services.url}/api",  # else a page on another port asks 4200
        # The newer of Prefect's pages asks an address of its analytics as it opens, even where they are switched off.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What the services take over from the caller: no setting of Prefect's, and the interpreter that runs this.

    Args:
        environment: Of the caller.

    Returns:
        Environment variables.
    """
    # The caller's profile, key or database is another server's; what is meant for ours stands in the folder's
    # prefect.toml.
    kept = {name: value for name, value in environment.items() if not name.startswith("PREFECT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    return {**kept, "PATH": path, **direct(environment)}


def temporary(services: Services, environment: Mapping[str, str]) -> dict[str, str]:
    """Where the worker keeps what it needs for a while: Prefect's folder in /tmp is that of whoever was first there.

    Args:
        services: Where they live; their folder is there, and closed to others.
        environment: Of the caller, whose own TMPDIR is respected.

    Returns:
        Environment variables.
    """
    if environment.get("TMPDIR"):
        return {}
    folder = services.home / "tmp"
    folder.mkdir(mode=0o700, exist_ok=True)
    return {"TMPDIR": str(folder)}


def direct(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings by which requests to this machine pass every proxy by: none could reach it, or need see them.

    Args:
        environment: Of the caller.

    Returns:
        Environment variables.
    """
    proxies = ",".join(filter(None, [environment.get("NO_PROXY", ""), "127.0.0.1,localhost"]))
    return {"NO_PROXY": proxies, "no_proxy": proxies}
