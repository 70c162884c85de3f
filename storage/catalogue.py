"""The models of a store: those of its releases, those that were trained and those that were brought in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from storage.errors import InputError
from storage.registry import Registry
from storage.tables.models import ModelRecord, Models
from storage.tables.releases import Releases
from storage.tables.roles import Role
from storage.tables.store import Store

__all__ = ["CataloguedModel", "catalogue", "pick_model"]


@dataclass(frozen=True)
class CataloguedModel:
    """One model that the store keeps.

    Attributes:
        space: Id of its space.
        name: What people call it.
        kind: `encoder` or `reranker`.
        parent: Space of the model that it was trained from; None for one that was not trained here.
        created: When it was put into the registry, or first published.
        metrics: What was measured of it.
        releases: Numbers of the kept releases that use it, newest first.
        bytes: Size of its files.
        bridged: Those of the releases whose vectors were mapped into its space, not given by it.
        record: What the registry knows beside; None of a model that only releases name.
    """

    space: str
    name: str
    kind: str
    parent: str | None
    created: datetime | None
    metrics: dict[str, Any]
    releases: list[int]
    bytes: int
    bridged: list[int] = field(default_factory=list)
    record: ModelRecord | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The model as a row of a list."""
        told = asdict(self)
        del told["record"]
        return told


def catalogue(store: Store) -> list[CataloguedModel]:
    """Every model whose folder the store keeps whole, newest first; also those that no record names."""
    registry = Registry(store)
    records = {record.space: record for record in Models(store).all()}
    kept = {release.seq for release in Releases(store).retained()}
    uses: dict[str, list[int]] = {}
    bridged: dict[str, list[int]] = {}
    roles: dict[str, tuple[str, Role, datetime]] = {}
    for release in Releases(store).all(brief=True):  # newest first: what stays is the first that had the role
        for name, role in release.roles.items():
            roles[role.space] = (name, role, release.created)
            if release.seq in kept:
                uses.setdefault(role.space, []).append(release.seq)
                bridged.setdefault(role.space, []).extend([release.seq] if role.bridge else [])
    found = []
    for space in registry.spaces():
        if not registry.has(space):
            continue
        record, published = records.get(space), roles.get(space)
        entry = _entry(space, registry.size(space), record, published, uses.get(space, []))
        found.append(replace(entry, bridged=bridged.get(space, [])))
    return sorted(found, key=lambda model: (model.created is not None, model.created, model.space), reverse=True)


def pick_model(store: Store, prefix: str) -> CataloguedModel:
    """The one model whose space begins so, or whose name is this.

    Raises:
        InputError: There is none, or several.
    """
    every = catalogue(store)
    alike = [model for model in every if prefix and model.space.startswith(prefix)]
    alike = alike or [model for model in every if model.name == prefix]
    if len(alike) == 1:
        return alike[0]
    if not alike:
        raise InputError(f"{store.uri}: there is no model {prefix!r}; `tidemark models` lists them")
    spaces = ", ".join(model.space for model in alike)
    raise InputError(f"{store.uri}: several models are meant by {prefix!r}: {spaces}; give more of the space")


def _entry(
    space: str, size: int, record: ModelRecord | None, published: tuple[str, Role, datetime] | None, uses: list[int]
) -> CataloguedModel:
    """Put together what the registry and the releases know; the registry knows better."""
    if record is not None:
        metrics = dict(record.metrics)
        return CataloguedModel(
            space, record.name, record.kind, record.parent, record.created, metrics, uses, size, record=record
        )
    if published is None:  # of a run that embeds for its first release right now
        return CataloguedModel(space, "", "encoder", None, None, {}, uses, size)
    role_name, role, created = published
    kind = "reranker" if role_name == "reranker" else "encoder"
    return CataloguedModel(space, role.encoder.name, kind, role.encoder.parent, created, {}, uses, size)
