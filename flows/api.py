"""Which Prefect API a command reports to: that of the environment, else the dashboard that `make up` started here."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
from pathlib import Path

__all__ = ["connected"]

logger = logging.getLogger(__name__)

VARIABLE = "PREFECT_API_URL"
SECONDS = 3.0  # that a server may take to answer


def connected(folder: Path) -> bool:
    """Tell whether runs are to be flow runs of a Prefect API, and set what Prefect then needs; does not import it.

    A configured API that does not answer costs a warning, never the night: the run's truth lies in the store.

    Args:
        folder: Of the configuration; its dashboard is taken where the environment names no API.
    """
    given = os.environ.get(VARIABLE)
    if given:
        if answers(given):
            return True
        logger.warning("%s = %s does not answer: this run is recorded in the store alone", VARIABLE, given)
        return False
    if not (folder / ".tidemark" / "prefect" / "server.pid").is_file():
        return False
    from flows.services import Services, prefect_environment

    services = Services.at(folder)
    if services is None or not answers(f"{services.url}/api"):
        return False
    for name, value in prefect_environment(services).items():
        if name != "PATH":  # only the services start programs
            os.environ.setdefault(name, value)
    return True


def answers(url: str) -> bool:
    """Whether anything speaks HTTP at the address of a Prefect API; an error is an answer too."""
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/health")  # noqa: S310 - the user's own address
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
