"""What a `retrain` leaves: a release whose encoder was made from the one before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flows.build import publish_built, stage_space
from flows.config.schema import Config
from flows.context import opened, rebased
from flows.run import recorded
from models.encoder import resolve
from storage.outcome import Outcome
from storage.tables.models import ModelRecord, Models
from storage.tables.releases import Release
from storage.tables.store import Store
from tasks.progress import Silent
from tasks.release.publish import clean_up
from tasks.release.serving import described

__all__ = ["promoted"]


def promoted(config: Config, folder: Path) -> Release:
    """Publish what the current release holds with the encoder of a folder, as one that was trained from its own."""
    store, trained, configured = Store(config.store.uri), resolve(folder), resolve(config.encoder, config.base)
    with (
        opened(config, "promotion", Silent(), sources=False) as unbound,
        recorded(store, "retrain", config=config, lease=True) as run,
    ):
        context = replace(rebased(unbound), run=run.id)
        assert context.base is not None
        parent, root = context.base.space, configured.space.id
        Models(store).record(ModelRecord(space=trained.space.id, name="trained", parent=parent, root=root))
        built = stage_space(context, trained, described(store, context.base, trained, configured), config, run)
        release = publish_built(context, trained, config, run, built, "a better encoder")
        run.conclude(Outcome.PUBLISHED, release.message, release.seq)
        clean_up(store, config.releases, trained.space.id)
    return release
