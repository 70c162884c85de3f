"""How long the past is kept: section `[releases]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ReleasesConfig"]


class ReleasesConfig(BaseModel):
    """How long the past is kept: section `[releases]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: int = Field(default=10, ge=1, description="Releases that stay whole, so that a rollback can return to them.")
    cleanup_after_days: float = Field(
        default=1, ge=1, description="Days before files that no release needs are removed."
    )
