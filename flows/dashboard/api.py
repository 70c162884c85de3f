"""Which Prefect API a command reports to: that of the environment, else the dashboard that `make up` started here."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

from storage.errors import InputError
from storage.redaction import redacted

__all__ = ["connected", "next_due"]

logger = logging.getLogger(__name__)

VARIABLE = "PREFECT_API_URL"
STRING, KEY = "PREFECT_API_AUTH_STRING", "PREFECT_API_KEY"
ACCESS = (VARIABLE, STRING)
FORBIDDEN, BROKEN = (401, 403), 500
SECONDS = 3.0  # that a server may take to answer


def connected(folder: Path) -> bool:
    """Tell whether runs are to be flow runs of a Prefect API, and set what Prefect then needs; does not import it.

    A configured API that does not answer, or refuses us, costs a warning, never the night: the run's truth lies in the
    store.

    Args:
        folder: Of the configuration; its dashboard is taken where the environment names no API.
    """
    given = os.environ.get(VARIABLE)
    if given:
        wrong = refusal(given)
        if wrong is not None:
            logger.warning("%s = %s %s: this run is recorded in the store alone", VARIABLE, redacted(given), wrong)
        return wrong is None
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
    return _status(f"{url.rstrip('/')}/health") is not None


def refusal(url: str) -> str | None:
    """What a Prefect API has against us, which would end a flow run before it began; None if nothing.

    Args:
        url: Of the API; the password is that of the environment, or of Prefect's own profile.
    """
    asked = f"{url.rstrip('/')}/admin/version"  # what Prefect's client asks first; its cloud does not know it
    code = _status(asked, _authorization(os.environ.get(STRING), os.environ.get(KEY)))
    if code in FORBIDDEN and not (os.environ.get(STRING) or os.environ.get(KEY)):
        from prefect.settings import get_current_settings  # only here, for its import takes seconds

        held = get_current_settings().api
        string, key = ((each and each.get_secret_value()) or None for each in (held.auth_string, held.key))
        code = _status(asked, _authorization(string, key))
    if code in FORBIDDEN:
        return f"refuses us (HTTP {code}; {STRING} or {KEY} is what it wants)"
    if code is None:
        return "does not answer"
    return None if code < BROKEN else f"is out of order (HTTP {code})"


def _authorization(string: str | None, key: str | None) -> str | None:
    if string:
        import base64

        return f"Basic {base64.b64encode(string.encode()).decode()}"
    return f"Bearer {key}" if key else None


def _status(url: str, authorization: str | None = None) -> int | None:
    """The HTTP status of an address; None where nothing answers."""
    import urllib.error  # here: most commands have no API to ask
    import urllib.request

    headers = {} if authorization is None else {"Authorization": authorization}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the user's own address
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None
