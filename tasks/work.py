"""What is left to do once a night may go on: its parts are given away one by one, for together they are large."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from tasks.build.chunk import ChunkChanges
from tasks.build.embed import Pending
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.ingest.plan import Plan
from tasks.ingest.read import Reading
from tasks.tally import Preparation

__all__ = ["Once", "Work"]

T = TypeVar("T")


class Once(Generic[T]):
    """Gives something away once: whoever passed it on holds it no longer.

    Args:
        value: What is given away.
    """

    def __init__(self, value: T) -> None:
        self._held: list[T] = [value]

    def take(self) -> T:
        """What is given away.

        Raises:
            IndexError: It was given away before.
        """
        return self._held.pop()


@dataclass(frozen=True)
class Work:
    """What was prepared, as far as it is still to be done.

    What it gives once has a row for every document or every new chunk; the listing, which has one too, is left out.

    Attributes:
        plan: What the listing said, without the rows that were read.
        reading: What was read.
        validated: What was accepted.
        deduplicated: What each document will be; for whoever writes the documents.
        changes: The chunks that come and go.
        pending: What is to be embedded; for whoever embeds.
        counts: Documents and chunks, as `tasks.tally` defines them.
        causes: Why there is work: documents a cause.
    """

    plan: Plan
    reading: Reading
    validated: ValidationResult
    deduplicated: Once[DeduplicationResult]
    changes: ChunkChanges
    pending: Once[Pending]
    counts: dict[str, int]
    causes: dict[str, int]

    @classmethod
    def of(cls, done: Preparation, counts: dict[str, int], causes: dict[str, int]) -> Self:
        """What was prepared and counted."""
        return cls(
            plan=replace(done.plan, candidates=done.plan.candidates.clear()),
            reading=done.reading,
            validated=done.validated,
            deduplicated=Once(done.deduplicated),
            changes=done.changes,
            pending=Once(done.pending),
            counts=counts,
            causes=causes,
        )
