"""What is kept of the queries that readers ask: section `[queries]`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Kept", "QueriesConfig"]

Kept = Literal["off", "text", "hash", "vectors"]


class QueriesConfig(BaseModel):
    """What is kept of the queries that readers ask: section `[queries]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log: Kept = Field(
        default="off",
        description='What `tidemark search` and files keep of a query: nothing ("off"), its text, a hash of it, or its '
        "vector alone. A vector is always kept: it tells roughly what was asked, and a hash whether a guess is right.",
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Files that other applications write, such as logs/*.jsonl: a line is an object with query, and "
        "with time and clicked where they are known. Needs a log that is not off.",
    )
    share: float = Field(default=1, gt=0, le=1, description="Share of the searches that are logged, drawn at random.")
    sample: int = Field(
        default=300, ge=1, description="Lines of files that a night encodes and keeps, drawn from the new ones."
    )
    keep_days: int = Field(default=30, ge=2, description="Days after which a query is deleted.")
    most: int = Field(default=50_000, ge=100, description="Queries that are kept; beyond it the oldest are deleted.")
