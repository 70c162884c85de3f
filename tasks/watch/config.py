"""What is watched, when somebody is told, and who: sections `[drift]` and `[[notify]]`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.errors import InputError

__all__ = ["DriftConfig", "Event", "NotifyConfig"]


class DriftConfig(BaseModel):
    """What is watched, against how much history, and when it is an alarm: section `[drift]`.

    Every threshold is one against a figure's own history; none is a p-value, since on enough data everything is
    significant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: bool = Field(default=True, description="Watch what arrives: counts, lengths, languages, words, refusals.")
    embeddings: bool = Field(default=True, description="Watch the vectors of what arrives.")
    queries: bool = Field(default=True, description="Watch what is asked, where it is logged.")
    encoder: bool = Field(default=True, description="Watch that the encoder gives the vectors that it gave.")
    quality: bool = Field(default=True, description="Watch how well releases answer judged questions.")
    sample: int = Field(default=1_000, ge=50, description="Vectors, and documents of a source, that a night looks at.")
    least: int = Field(
        default=20, ge=2, description="Documents of a source that a share or a mean needs to be measured at all."
    )
    nights: int = Field(default=20, ge=3, le=365, description="Nights of history that a figure is compared with.")
    least_nights: int = Field(default=10, ge=2, description="Nights of history without which nothing is judged.")
    factor: float = Field(
        default=4.0,
        gt=0,
        description="A figure is unusual beyond the median of its history by so many times the median deviation, if it "
        "also lies beyond every night of that history.",
    )
    at_once: float = Field(
        default=2.0,
        ge=1,
        description="A figure that is so many times as far out as its limit is an alarm in its first night.",
    )
    alarm_after: int = Field(default=2, ge=1, description="Unusual nights that make an alarm of a lesser one ...")
    of_nights: int = Field(default=3, ge=1, description="... among so many nights, the last included.")
    cool_down: int = Field(
        default=7, ge=0, description="Nights for which an alarm is not repeated; what stays is the new usual then."
    )
    hours: float = Field(
        default=12.0, ge=0, description="A run that changes nothing counts as a night so long after the last one."
    )
    retrain: bool = Field(
        default=False,
        description="An alarm starts a retraining, whose gate decides: by an automation where a Prefect server "
        "watches, else at the end of the refresh.",
    )
    retrain_days: float = Field(
        default=7.0, ge=0, description="Days between two retrainings that alarms start; a person may at any time."
    )

    def given(self, thresholds: Mapping[str, Any]) -> DriftConfig:
        """The same with other thresholds.

        Args:
            thresholds: Key to value.

        Raises:
            InputError: A value is out of its bounds.
        """
        try:
            return DriftConfig.model_validate(self.model_dump() | dict(thresholds))
        except ValidationError as error:
            first = error.errors()[0]
            option = str(first["loc"][0]).replace("_", "-")
            raise InputError(f"--{option} {first['input']}: {first['msg'].lower()}") from error


class Event(StrEnum):
    """What people can be told of; a member is the very string that stands in the configuration and in messages."""

    FAILED = "failed"  # an error ended a run, or an audit found damage
    DIED = "died"  # a run ended without a word: it was killed, or its machine went down
    STALE = "stale"  # no refresh has ended well for limits.stale_hours
    DRIFT = "drift"  # a figure alarms
    REFUSED = "refused"  # a limit, an audit or a gate kept a release back
    APPROVAL = "approval"  # a run waits for a person
    STORAGE = "storage"  # the store is larger than limits.max_store_gb
    HELD = "held"  # a run was built and not published, since somebody holds the store


class NotifyConfig(BaseModel):
    """One way to tell people: a table `[[notify]]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["webhook", "slack", "mail"] = Field(
        description="webhook (one JSON POST an event: event, run, release, message, url), slack or mail."
    )
    on: tuple[Event, ...] = Field(
        default=(Event.FAILED, Event.DIED, Event.STALE, Event.DRIFT, Event.REFUSED, Event.APPROVAL, Event.STORAGE),
        min_length=1,
        description="Of what: failed, died (killed, or its machine went down), stale (no refresh ended well for "
        "limits.stale_hours), drift, refused (by a limit, an audit or a gate), approval (a run waits for a person), "
        "storage (over limits.max_store_gb), held (built, and not published).",
    )
    url_env: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The environment variable that holds the address, which is a secret: an http(s) URL, or for mail "
        "smtp[s]://user:password@host:port/?from=a@b.org&to=c@d.org.",
    )

    @property
    def target(self) -> str:
        """What names it in records and logs: never the address."""
        return f"{self.kind}:{self.url_env}"
