"""The outcomes that a flow or an operator acts on.

TidemarkError
├── InputError (also a ValueError)   wrong configuration or input
│   ├── NothingBefore                there is no release to roll back to: readers see what is meant already
│   └── TableMissing                 a store has no such table, or not at that version
├── LeaseHeld                        another run holds the store
├── SourceFailed                     a source of the user's own did not keep to its part
├── Unreachable (also an OSError)    an object store does not answer: try again
├── RecordDamaged (also a ValueError) a row of the store's own records cannot be decoded
└── ReleaseMoved                     another release was published while this run worked
"""

from __future__ import annotations

import re

from storage.redaction import redacted
from storage.signals import ending

__all__ = [
    "Exited",
    "InputError",
    "LeaseHeld",
    "NothingBefore",
    "RecordDamaged",
    "ReleaseMoved",
    "SourceFailed",
    "TableMissing",
    "TidemarkError",
    "Unreachable",
    "failures",
    "faults",
    "panics",
    "summary",
    "words",
]

# Where in its own source a library of Rust gave up, and what it prints of its innards behind that.
_PLACE = re.compile(r",? /\S+\.rs:[\d:]+")
_INNARDS = "Debug source:"


def faults() -> tuple[type[BaseException], ...]:
    """Whatever Lance, Arrow or an object store call what they cannot read or write; to be called behind `except`.

    Unreachable and InputError are among them: whoever tells those from damage takes them first. While a signal asks
    the process to end, there are none: the error may be what became of the signal.
    """
    return () if ending.asked else (OSError, ValueError, RuntimeError, *panics())


def failures(*others: type[BaseException]) -> tuple[type[BaseException], ...]:
    """Everything that goes wrong by itself, unlike what stops a process from outside; to be called behind `except`.

    Args:
        others: What else is to count as one.
    """
    return (Exception, *others, *panics())


def panics() -> tuple[type[BaseException], ...]:
    """What libraries in Rust raise where they give up: below BaseException, and of no module that could be imported.

    Each library makes its class when it gives up for the first time, so it is looked for when there is an error to
    tell: what stands behind `except` is asked only then.
    """
    return tuple(kind for kind in BaseException.__subclasses__() if kind.__module__ == "pyo3_runtime")


def words(error: BaseException) -> str:
    """What an error of a library says to an operator: one line, without secrets or places in its source."""
    return redacted(" ".join(_PLACE.sub("", str(error).partition(_INNARDS)[0]).split()))


def summary(error: BaseException) -> str:
    """An error by its kind and its words, as a record keeps it."""
    return f"{type(error).__name__}: {words(error)}".removesuffix(": ")


class TidemarkError(Exception):
    """Base of the errors that Tidemark raises on purpose; its text is meant for the operator.

    Attributes:
        recorded: A run that it ended stands in the store as failed.
    """

    recorded = False

    def __str__(self) -> str:
        """The text, without the secrets of the addresses in it: it is printed, logged and recorded."""
        return redacted(super().__str__())


class InputError(TidemarkError, ValueError):
    """Something that the user gave is wrong: the text says what, where and what to do."""


class NothingBefore(InputError):
    """There is no release to roll back to, or readers see it already."""


class TableMissing(InputError):
    """A store has no such table, or not at that version."""


class LeaseHeld(TidemarkError):
    """Another run holds the store."""


class SourceFailed(TidemarkError):
    """Code of a source of the user's own raised an error, or gave something of another shape."""


class Exited(TidemarkError):
    """Code that a run called, such as a source of the user's, called `sys.exit()`."""


class ReleaseMoved(TidemarkError):
    """Another release was published between the start and the publish of this run."""


class RecordDamaged(TidemarkError, ValueError):
    """What a run wrote about itself cannot be decoded: the text names the table and what mends it."""


class Unreachable(TidemarkError, OSError):
    """An object store does not answer; as with a disk that fails, the same command may work later."""
