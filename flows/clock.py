"""The clock of a run: seconds a stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from tasks.progress import Progress

__all__ = ["Clock"]


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
            # A flow may come to a stage twice.
            self.seconds[name] = round(self.seconds.get(name, 0.0) + perf_counter() - began, 3)

    def total(self) -> dict[str, float]:
        """All stages and `total`."""
        return self.seconds | {"total": round(perf_counter() - self._began, 3)}
