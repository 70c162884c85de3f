"""Which Prefect API a command reports to: that of the environment, else the dashboard that `make up` started here."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

from storage.errors import InputError

__all__ = ["connected", "next_due"]

logger = logging.getLogger(__name__)

VARIABLE = "PREFECT_API_URL"
ACCESS = (VARIABLE, "PREFECT_API_AUTH_STRING")
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
    from flows.services.place import Services, client_settings, direct

    services = Services.at(folder)
    if services is None:
        return False
    from flows.services.processes import find

    # Whoever took the port of a server that was killed must not be told its password.
    if not any(each.role == "server" for each in find(services.home)):
        return False
    os.environ.update(direct(os.environ))
    if not answers(f"{services.url}/api"):
        return False
    try:
        settings = client_settings(services)
    except InputError as error:
        logger.warning("%s; this run is recorded in the store alone", error)
        return False
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    # The password of another server, which the environment may hold without its address, is none for ours.
    os.environ.update({name: settings[name] for name in ACCESS})
    return True


def next_due(folder: Path) -> datetime | None:
    """When the next refresh is due; None where no dashboard is there to say so.

    Args:
        folder: Of the configuration.
    """
    if not connected(folder):
        return None
    from flows.dashboard.upcoming import next_refresh  # which imports Prefect

    return next_refresh()


def answers(url: str) -> bool:
    """Whether anything speaks HTTP at the address of a Prefect API; an error, such as that of a password, is an answer.

    Args:
        url: Of the API; its `/health` needs no password.
    """
    import urllib.error  # here: most commands have no API to ask
    import urllib.request

    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/health")  # noqa: S310 - the user's own address
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
