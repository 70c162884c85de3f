"""What can be wrong with an encoder.

ModelError (also a ValueError)   the encoder that is wanted cannot be used: the text says why, and what to do
├── UnknownModel                 there is no such encoder, or not at that revision
├── DamagedModel                 its files are missing, broken or unsafe
└── ProbeMismatch                the same files give other vectors than they gave before
"""

from __future__ import annotations

__all__ = ["DamagedModel", "ModelError", "ProbeMismatch", "UnknownModel"]


class ModelError(ValueError):
    """The encoder that is wanted cannot be used.

    Attributes:
        recorded: A run that it ended stands in the store as failed.
    """

    recorded = False


class UnknownModel(ModelError):
    """There is no such encoder, or not at that revision."""


class DamagedModel(ModelError):
    """Files of an encoder are missing, broken or unsafe."""


class ProbeMismatch(ModelError):
    """Files that say they are the same space gave other vectors."""
