"""What a user sets of curation: sections `[validation]` and `[limits]`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["FIXED", "SETTABLE", "LimitsConfig", "Setting", "ValidationConfig"]

Setting = Literal["refuse", "flag", "off"]

# Without these there is nothing that could be stored, cut or named.
FIXED: Final = ("readable", "id-present", "id-unique", "content-present")
# Default rules that may be turned off, or made a flag or a refusal.
SETTABLE: Final = (
    "id-length",
    "content-length",
    "valid-utf8",
    "no-control-characters",
    "timestamp-readable",
    "no-invisible-characters",
    "no-hidden-text",
    "timestamp-not-before-1970",
    "timestamp-not-in-future",
    "licence-allowed",
    "language-allowed",
)


class ValidationConfig(BaseModel):
    """What a document must be to enter the index."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_chars: int = Field(default=1, ge=1, description="Fewest characters of a document's normalised text.")
    max_chars: int = Field(default=5_000_000, ge=1, description="Most characters of a document's normalised text.")
    licences: tuple[str, ...] | None = Field(
        default=None, description="Allowed licences (SPDX identifiers, case does not matter); unset allows all."
    )
    unlicensed: bool = Field(
        default=False, description="Accept documents that state no licence although `licences` is set."
    )
    languages: tuple[str, ...] | None = Field(
        default=None, description="Allowed languages (ISO 639 codes such as en, de, zh); unset allows all."
    )
    language_min_chars: int = Field(
        default=40, ge=1, description="Shorter texts have no determined language, and pass the language rule."
    )
    language_min_score: float = Field(
        default=0.5, ge=0, le=1, description="Below this score of the detector a text's language is undetermined."
    )
    rules: Mapping[str, Setting] = Field(
        default_factory=dict,
        description="What becomes of the documents that a default rule finds: `refuse`, `flag` (let in and counted) or "
        '`off`, as in { no-control-characters = "flag" }; `tidemark quarantine list` names the rules.',
    )
    expectations: Path | None = Field(
        default=None, description="YAML or JSON file with further Great Expectations expectations."
    )

    @field_validator("rules")
    @classmethod
    def rules_may_be_set(cls, settings: Mapping[str, Setting]) -> Mapping[str, Setting]:
        """Refuse names of no rule, and of those that nothing works without."""
        for name in settings:
            if name in FIXED:
                raise ValueError(f"{name!r} always refuses: without it there is nothing to index")
            if name not in SETTABLE:
                raise ValueError(f"there is no default rule {name!r}; there are {', '.join(SETTABLE)}")
        return settings

    @field_validator("languages")
    @classmethod
    def codes_are_lower_case(cls, codes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Bring codes to the detector's spelling, and refuse what is no code."""
        if codes is None:
            return None
        wrong = [code for code in codes if not (code.isascii() and code.isalpha() and len(code) in (2, 3))]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no ISO 639 code: use two or three letters, such as en, de or zh")
        return tuple(code.lower() for code in codes)

    @model_validator(mode="after")
    def bounds_are_ordered(self) -> ValidationConfig:
        """Refuse bounds that no document could meet."""
        if self.max_chars < self.min_chars:
            raise ValueError(f"max_chars ({self.max_chars}) is below min_chars ({self.min_chars})")
        return self


class LimitsConfig(BaseModel):
    """What stops a run before it publishes: section `[limits]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_lost_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="A source of which a larger share of the documents would leave the index, deleted or refused, "
        "stops the run for approval.",
    )
    max_stale_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="A source of which a larger share of the documents breaks at once, so that their last versions "
        "stay, stops the run for approval.",
    )
    stale_floor: int = Field(
        default=2,
        ge=0,
        description="Documents of a source that break at once and never stop a run, whatever their share.",
    )
    max_refused_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A larger share of refused documents, of all that are listed, stops the run.",
    )
    refused_floor: int = Field(
        default=10, ge=0, description="Refused documents that never stop a run, whatever their share."
    )
    stale_hours: float = Field(
        default=26.0,
        gt=0,
        description="Hours after which somebody is told that no refresh has ended well: a release that nobody renews.",
    )
    max_store_gb: float | None = Field(
        default=None, gt=0, description="Gigabytes on disk beyond which somebody is told; nothing is stopped."
    )
