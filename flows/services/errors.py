"""What goes wrong with the services.

TidemarkError
└── ServicesError   a service did not start, does not answer or refuses: exit 1
"""

from __future__ import annotations

from storage.errors import TidemarkError

__all__ = ["ServicesError"]


class ServicesError(TidemarkError):
    """A service did not start, does not answer or refuses; the text says where its log is or what to do."""
