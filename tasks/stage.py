"""One code path for a stage: a Prefect task inside a Prefect flow run, a plain call everywhere else."""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from models.errors import ModelError
from models.memory import trim_memory
from storage.errors import LeaseHeld, TidemarkError
from tasks.verdict import Held

__all__ = ["in_flow_run", "stage"]

P = ParamSpec("P")
R = TypeVar("R")


def stage(function: Callable[P, R], name: str | None = None) -> Callable[P, R]:
    """Make a stage of a function.

    The decorated function returns exactly what the function returns and raises exactly what it raises, and logs one
    line with the result's `counts` (a mapping, where the result has one). Inside a Prefect flow run the call is a
    task run; nowhere else is Prefect even imported.

    Args:
        function: The stage.
        name: Name of the task; that of the function if None.

    Returns:
        The function with the same signature.
    """
    logger = logging.getLogger(function.__module__)
    called = name or function.__name__

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        def call() -> R:
            started = time.perf_counter()
            try:
                result = function(*args, **kwargs)
            finally:
                trim_memory()
            logger.info("%s", _line(called, result, time.perf_counter() - started))
            return result

        return _run_task(called, call) if in_flow_run() else call()

    return run


def in_flow_run() -> bool:
    """Whether the caller runs inside a Prefect flow run; does not import Prefect to find out."""
    # A flow run of this process has imported prefect.context, so its absence is an answer (and saves 2.7 s).
    context = sys.modules.get("prefect.context")
    return context is not None and context.FlowRunContext.get() is not None


def _run_task(name: str, call: Callable[[], R]) -> R:
    from prefect import State
    from prefect.cache_policies import NO_CACHE
    from prefect.client.schemas.objects import StateType
    from prefect.tasks import Task

    def concluded() -> R | State[BaseException]:
        try:
            return call()
        except (TidemarkError, ModelError) as error:  # raised, it would be logged with a traceback, as a fault of ours
            kind = StateType.CANCELLED if isinstance(error, (Held, LeaseHeld)) else StateType.FAILED
            return State(type=kind, name=type(error).__name__, message=str(error), data=error)

    # The arguments stay in the closure: Prefect would walk and describe them, and they may be tables or models.
    task = Task(fn=concluded, name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False, retries=0)
    result: R | Exception = task(return_state=True).result(raise_on_failure=False)  # type: ignore[assignment] # no state
    if isinstance(result, Exception):
        raise result
    return result


def _line(name: str, result: object, seconds: float) -> str:
    counts = getattr(result, "counts", None)
    shown = ", ".join(f"{key} {value:,}" for key, value in counts.items()) if isinstance(counts, Mapping) else ""
    return f"{name}: {shown + '; ' if shown else ''}{seconds:.2f} s"
