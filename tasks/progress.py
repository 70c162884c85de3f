"""What a run tells about its way, and the one that tells nothing."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Where a run says how far it is; every call is cheap, and none may fail."""

    def stage(self, name: str) -> None:
        """Say that a stage begins, and with it that the one before has ended."""

    def advance(self, done: int, total: int | None, unit: str, tokens: int = 0) -> None:
        """Say how far the stage is.

        Args:
            done: Units done since the stage began.
            total: Units that the stage has; None where nobody knows yet.
            unit: What is counted, in the plural: "documents", "chunks".
            tokens: Tokens encoded since the stage began, 0 where none are.
        """


class Silent:
    """Says nothing: the progress of a run that nobody watches."""

    def stage(self, name: str) -> None:
        """Do nothing."""

    def advance(self, done: int, total: int | None, unit: str, tokens: int = 0) -> None:
        """Do nothing."""
