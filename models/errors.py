"""The errors of models that a user can cause.

ModelError (a ValueError)    an encoder is unknown, damaged or does not fit
"""

from __future__ import annotations

__all__ = ["ModelError"]


class ModelError(ValueError):
    """A model that the user named is wrong: the text says what, where and what to do."""
