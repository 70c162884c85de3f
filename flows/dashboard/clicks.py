"""What to click on the dashboard in place of a command that a message names."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from flows.table import FLOWS

__all__ = ["clicked", "clicks", "deployments"]

logger = logging.getLogger(__name__)

_COMMAND = re.compile(r"(?:run )?`tidemark (?P<flow>\w+)(?P<flags>(?: --[a-z-]+)*)`")


def clicks() -> Callable[[str], str]:
    """What turns commands into clicks; nothing does in a run that a command started, whose user sits at a terminal."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:
        return str
    names = deployments()
    return lambda text: clicked(text, names)


def clicked(text: str, names: Mapping[str, str]) -> str:
    """A text in which commands that a deployment can run are what to click; others stay as they are.

    Args:
        text: With commands such as `run `tidemark refresh --accept-deletions``.
        names: Flow to the name of a deployment of it.
    """

    def clicks_of(found: re.Match[str]) -> str:
        flow, flags = found["flow"], [flag.removeprefix("--").replace("-", "_") for flag in found["flags"].split()]
        if flow not in names or not set(flags) <= {each.name for each in FLOWS[flow].parameters()}:
            return found[0]
        how = f"Custom run > {' and '.join(flags)} > Submit" if flags else "Quick run"
        return f"Deployments > {names[flow]} > Run > {how}"

    return _COMMAND.sub(clicks_of, text)


def deployments() -> dict[str, str]:
    """The deployments of the server, flow to name; none where nobody says so, which costs words and never the run."""
    import httpx

    try:
        with get_client(sync_client=True) as client:
            flows = {each.id: each.name for each in client.read_flows()}
            found = sorted(client.read_deployments(), key=lambda each: each.name)
    except (httpx.HTTPError, OSError) as error:
        logger.warning("the dashboard did not say which deployments it has: %s", error)
        return {}
    ours = [(flows[each.flow_id], each.name) for each in found if flows.get(each.flow_id) in FLOWS]
    return dict(reversed(ours))  # of several of one flow the first by name
