"""Which encoder a run goes on with, and what its release says of where that one came from."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.config import EncoderConfig
from models.encoder import EncoderFolder, resolve
from storage.errors import InputError
from storage.registry import Registry
from storage.tables.models import Models
from storage.tables.releases import Release
from storage.tables.roles import RERANKER, EncoderRecord, Role
from storage.tables.store import Store
from tasks.context import Context
from tasks.verdict import Refused

__all__ = ["carried", "chosen", "described", "kept_encoder", "serving"]

SPACE = re.compile(r"[0-9a-f]{6,32}")  # a space, or its beginning


def serving(store: Store, base: Release | None, configured: EncoderFolder) -> EncoderFolder:
    """The encoder that a run on top of a release goes on with.

    A release whose encoder was trained from the configured one, or took its place by a `reembed`, names that one as
    its root: then the run keeps the release's own encoder. Where the configuration names another encoder than the
    root, it is the configured one, and the gate tells the change.

    Args:
        store: The store.
        base: The release that the run starts from; None before the first.
        configured: The encoder of the configuration.

    Returns:
        One of the two, with device, threads and batches as configured.

    Raises:
        Refused: The release's encoder is gone or damaged.
    """
    if base is None or base.space == configured.space.id or base.text.encoder.root != configured.space.id:
        return configured
    way = (
        "restore that folder, go back with `tidemark rollback`, or embed everything anew from what the store holds "
        f"with `tidemark reembed --encoder {configured.config.name}`"
    )
    if not Registry(store).has(base.space):
        raise Refused(f"release {base.seq} cannot be built upon: its encoder models/{base.space} is missing; {way}")
    found = kept_encoder(store, base.space, configured.config)
    if found.space.id != base.space:
        raise Refused(f"release {base.seq} cannot be built upon: its encoder models/{base.space} is changed; {way}")
    return replace(found, revision=base.text.encoder.revision)


def chosen(
    store: Store, config: EncoderConfig, base: Path | None, name: str | None, revision: str | None
) -> EncoderFolder:
    """The encoder that somebody names: packaged, a folder, a hub name, or the beginning of a kept space.

    Args:
        store: The store.
        config: The configured encoder; it says where the other one runs, and is the one itself where it is named.
        base: The folder that a relative path starts from.
        name: What was named; the configured encoder if None.
        revision: Commit, tag or branch of a hub model.

    Raises:
        InputError: Several spaces of the store begin so.
        ModelError: There is no such encoder, or it cannot be used.
    """
    if name is None or name == config.name:
        return resolve(config if revision is None else config.model_copy(update={"revision": revision}), base)
    if SPACE.fullmatch(name) and revision is None:
        registry = Registry(store)
        spaces = sorted(space for space in registry.spaces() if space.startswith(name) and registry.has(space))
        if len(spaces) > 1:
            raise InputError(f"several models begin with {name!r}: {', '.join(spaces)}; give more of the space")
        if spaces:
            return kept_encoder(store, spaces[0], config)
    return resolve(EncoderConfig.model_validate(_runs(config) | {"name": name, "revision": revision}), base)


def kept_encoder(store: Store, space: str, config: EncoderConfig) -> EncoderFolder:
    """An encoder that the store keeps.

    Args:
        store: The store.
        space: Id of its space.
        config: Says where it runs; the folder itself says all that belongs to the space.

    Raises:
        InputError: The store keeps no such encoder.
        ModelError: Its files are damaged.
    """
    return resolve(EncoderConfig.model_validate(_runs(config) | {"name": str(Registry(store).fetch(space))}))


def carried(context: Context, space: str) -> Role | None:
    """The re-ranker of the base release, where the next one has the encoder that it was tried beside; else None.

    Args:
        context: The run. One that makes everything anew leaves a damaged re-ranker behind.
        space: Space of the encoder of the next release.
    """
    role = None if context.base is None else context.base.roles.get(RERANKER)
    if role is None or role.encoder.parent not in {None, space}:
        return None
    return None if context.rebuild and Registry(context.store).damage(role.space) else role


def _runs(config: EncoderConfig) -> dict[str, Any]:
    """How an encoder runs, whichever it is."""
    return config.model_dump(include={"device", "threads", "batch_tokens"})


def described(store: Store, base: Release | None, encoder: EncoderFolder, configured: EncoderFolder) -> EncoderRecord:
    """What a release of this encoder says of it: its space, where it came from, and what its line begins with.

    Args:
        store: The store; its registry knows what an encoder was trained from.
        base: The release that the run starts from.
        encoder: The encoder of the run.
        configured: The encoder of the configuration.
    """
    space = encoder.space.id
    if base is not None and base.space == space:
        parent = base.text.encoder.parent
    else:
        known = Models(store).find(space)
        parent = None if known is None else known.parent
    # The configured encoder begins a line of its own, also where a release once took it from another line.
    root = None if space == configured.space.id else configured.space.id
    facts = json.loads(encoder.space.to_json())
    return EncoderRecord.from_dict(facts | {"revision": encoder.revision, "parent": parent, "root": root})
