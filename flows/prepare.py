"""The stages that only read, in order and timed: what `plan` shows and `refresh` goes on from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from flows.progress import Progress
from tasks.chunk import chunk
from tasks.context import Context
from tasks.deduplicate import deduplicate
from tasks.embed import need
from tasks.plan import plan
from tasks.scan import scan
from tasks.tally import Preparation
from tasks.validate import validate

__all__ = ["Clock", "prepare"]


class Clock:
    """Seconds a stage, told to the progress as the stages begin."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self._began = perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        self.progress.stage(name)
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(perf_counter() - began, 3)

    def total(self) -> dict[str, float]:
        """All stages and `total`."""
        return self.seconds | {"total": round(perf_counter() - self._began, 3)}


def prepare(context: Context, clock: Clock) -> Preparation:
    """Run the stages that write nothing to the store."""
    with clock.stage("scan"):
        scanned = scan(context)
    with clock.stage("plan"):
        planned = plan(context, scanned)
    with clock.stage("validate"):
        admission = validate(context, planned)
    with clock.stage("deduplicate"):
        standing = deduplicate(context, planned, admission)
    with clock.stage("chunk"):
        arrangement = chunk(context, standing, admission)
        wanted = need(context, arrangement)
    return Preparation(scanned, planned, admission, standing, arrangement, wanted)
