"""Refuse to begin where threads could not start: the libraries of a run wait for theirs without end."""

from __future__ import annotations

import os
import resource

from storage.errors import InputError

__all__ = ["require_room"]

LEAST, A_CORE = 2 * 2**30, 16 * 2**20  # bytes of address space: what is mapped, and what the threads of a core take


def require_room() -> None:
    """Make sure that the address space of this process is large enough for a run.

    A limit to it (`ulimit -v`) bounds no memory: most of what is mapped is never touched. Where it is reached, a thread
    of Lance cannot start, and whoever waits for that thread holds the lease for good.

    Raises:
        InputError: It is limited to less.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    least = LEAST + A_CORE * (os.cpu_count() or 1)
    if limit != resource.RLIM_INFINITY and limit < least:
        raise InputError(
            f"the address space of this process is limited to {limit / 2**20:,.0f} MiB, and a run needs "
            f"{least / 2**20:,.0f}: raise it (ulimit -v), and bound memory by a cgroup instead, such as systemd's "
            "MemoryMax or docker's --memory"
        )
