"""The Prefect flows of the deployments, made of the table of flows, each ending in a state that says why."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler

from flows.dashboard.approval import approved, asks
from flows.dashboard.artifacts import OnDashboard, publish
from flows.dashboard.clicks import clicks
from flows.dashboard.naming import named, rename
from flows.dashboard.upcoming import next_refresh
from flows.environment import set_up
from flows.report.facts import Facts
from flows.report.gather import gather
from flows.table import FLOWS, FlowRow, Result, shown
from models.errors import ModelError
from storage.errors import LeaseHeld, NothingBefore, TidemarkError, faults
from storage.outcome import Outcome
from storage.redaction import Discreet
from tasks.stage import in_flow_run

__all__ = ["call", "concluded", "deployed"]

logger = logging.getLogger(__name__)

TOLD = {"told": True}  # to whoever called the flow, too: a command line says it once

LOGGERS = ("flows", "tasks", "models", "storage", "tidemark")
CONFIG = "The configuration file; empty for the tidemark.toml of the folder in which the worker runs."

# State and name of each outcome: red where somebody has to act, grey where another run was at work or somebody wants
# nothing published. The names are those of events (`prefect.flow-run.NeedsApproval`), which may start other flows.
STATES: Mapping[Outcome | tuple[str, Outcome], tuple[StateType, str]] = {
    ("audit", Outcome.FAILED): (StateType.FAILED, "AuditFailed"),
    ("drift", Outcome.FAILED): (StateType.FAILED, "Drifted"),
    # A plan looks, and looking does not fail: red is what has to be acted on.
    ("plan", Outcome.NEEDS_APPROVAL): (StateType.COMPLETED, "WouldNeedApproval"),
    ("plan", Outcome.HELD): (StateType.COMPLETED, "WouldBeHeld"),
    ("plan", Outcome.REFUSED): (StateType.COMPLETED, "WouldBeRefused"),
    Outcome.PUBLISHED: (StateType.COMPLETED, "Completed"),
    Outcome.UNCHANGED: (StateType.COMPLETED, "Completed"),
    Outcome.PASSED: (StateType.COMPLETED, "Completed"),
    Outcome.NEEDS_APPROVAL: (StateType.FAILED, "NeedsApproval"),
    Outcome.HELD: (StateType.CANCELLED, "Held"),
    Outcome.REFUSED: (StateType.FAILED, "Refused"),
    Outcome.FAILED: (StateType.FAILED, "Failed"),
    Outcome.LEASE_HELD: (StateType.CANCELLED, "LeaseHeld"),
}


def __getattr__(name: str) -> Flow[..., Any]:
    """The flow of that name, for entrypoints such as `flows.dashboard.deployed.refresh`."""
    if name not in FLOWS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return deployed(name)


@cache
def deployed(name: str) -> Flow[..., Any]:
    """The Prefect flow of a row: the parameters of its function, and the configuration's file before them.

    Args:
        name: Of the row.
    """
    row = FLOWS[name]
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    asked = [inspect.Parameter("config", plain, default="", annotation=str)]
    asked += [
        inspect.Parameter(each.name, plain, default=each.default, annotation=each.type) for each in row.parameters()
    ]
    signature = inspect.Signature(asked, return_annotation=State[Any])

    def run(*args: Any, **named: Any) -> State[Any]:
        bound = signature.bind(*args, **named)
        bound.apply_defaults()
        return concluded(name, lambda: _run(row, **bound.arguments), lambda: _gathered(bound.arguments["config"]))

    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in asked} | {"return": State[Any]}
    run.__name__ = run.__qualname__ = name
    run.__doc__ = _docstring(row)
    return Flow(run, name=name, persist_result=False)


def call(flow: Callable[..., Any], **parameters: Any) -> Any:
    """Run one of these flows in this process and hand back what its plain function would.

    Args:
        flow: What `deployed` made.
        **parameters: Of the flow.

    Returns:
        The result of the plain function, whatever its outcome.

    Raises:
        TidemarkError: The very error that the plain function raised.
    """
    state: State[Any] = flow(**parameters, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    return result


def concluded(name: str, run: Callable[[], Result], gathered: Callable[[], Facts | None] = lambda: None) -> State[Any]:
    """The state in which a flow run ends; any other exception is left to Prefect, which shows it with its traceback.

    Args:
        name: Of the flow.
        run: Does it.
        gathered: Gathers what the report of the run tells beside it.
    """
    set_up()
    with _logs_shown(), named():
        try:
            result = run()
        except LeaseHeld as held:
            logger.warning("%s", held, extra=TOLD)
            return _state(name, Outcome.LEASE_HELD, str(held), held)
        except NothingBefore as nothing:  # grey too: readers see what whoever asked wants them to see
            logger.warning("%s", nothing, extra=TOLD)
            return State(type=StateType.CANCELLED, name="NothingBefore", message=str(nothing), data=nothing)
        except (TidemarkError, ModelError) as error:
            logger.error("%s", error, extra=TOLD)
            # A name of its own has what the store does not record: an automation tells that, and a run all else.
            called = "Failed" if error.recorded else type(error).__name__
            return State(type=StateType.FAILED, name=called, message=str(error), data=error)
        told = shown(result)
        if not FLOWS[name].recorded:  # the store has no record of it whose id could name it
            rename(f"{name} on release {told['release']}" if told.get("release") else f"{name} of the first release")
        click = clicks()
        publish(told, gathered, click)
        return _state(name, result.outcome, click(result.message), result)


def _run(row: FlowRow, config: str, **options: Any) -> Result:
    from flows.config.schema import Config

    loaded = Config.load(config or None)
    result = row.run(loaded, trigger=_trigger(), console=OnDashboard(), **options)
    # A flow that takes `yes` has kept all that it did: the second call goes on from there.
    if result.outcome is Outcome.NEEDS_APPROVAL and options.get("yes") is False and asks() and approved(result.message):
        return row.run(loaded, trigger=_trigger(), console=OnDashboard(), **options | {"yes": True})
    return result


def _gathered(config: str) -> Facts | None:
    """What the report of a run tells beside it: the morning's page, whose failure costs no run."""
    from flows.config.schema import Config

    try:
        return gather(Config.load(config or None), upcoming=next_refresh())
    except faults() as error:
        logger.warning("the report tells of the run alone: %s", error)
        return None


def _state(name: str, outcome: Outcome, message: str, data: object) -> State[Any]:
    kind, called = STATES.get((name, outcome)) or STATES[outcome]
    return State(type=kind, name=called, message=message, data=data)


def _docstring(row: FlowRow) -> str:
    """What the dashboard shows of a flow and, in its form, of each parameter."""
    lines = [row.help, "", "Args:", f"    config: {CONFIG}"]
    return "\n".join([*lines, *(f"    {each.name}: {each.help}" for each in row.parameters())])


@contextlib.contextmanager
def _logs_shown() -> Iterator[None]:
    """Our loggers reach the dashboard: Prefect's own way (extra loggers) leaves them at the root's level, WARNING."""
    handler = APILogHandler()
    # A thread of a stage may log outside the context of the run, which Prefect would answer with a warning.
    handler.addFilter(lambda record: in_flow_run())
    handler.addFilter(Discreet())
    changed = []
    for name in LOGGERS:
        ours = logging.getLogger(name)
        changed.append((ours, ours.level))
        ours.addHandler(handler)
        if not ours.isEnabledFor(logging.INFO):
            ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        for ours, level in changed:
            ours.removeHandler(handler)
            ours.setLevel(level)


def _trigger() -> str:
    """Who started the flow run, for our own record."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return "schedule" if run and run.auto_scheduled else "dashboard" if run and run.deployment_id else "manual"
