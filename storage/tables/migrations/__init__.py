"""What changed between the formats of a store: one small file a change, each additive and safe to be run again."""

from __future__ import annotations

from storage.tables.migrations import m0002_roles, m0003_digests, m0004_seals
from storage.tables.migrations.base import Migration

__all__ = ["MIGRATIONS", "Migration"]

# In the order in which they run; each is a module with NUMBER, NAME and `apply`.
MIGRATIONS: tuple[Migration, ...] = (m0002_roles, m0003_digests, m0004_seals)
