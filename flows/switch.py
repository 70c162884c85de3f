"""The way to another space: embed beside what serves, wait for the lease, go on from what serves then."""

from __future__ import annotations

from flows.config.schema import Config
from flows.context import rebased
from flows.prepare import prepare_stored
from flows.run import Run
from models.encoder import EncoderFolder
from storage.tables.releases import Release, Releases
from tasks.build.embed import embed_ahead
from tasks.context import Context

__all__ = ["PATIENCE", "embed_beside", "on_current"]

PATIENCE = 900.0  # seconds that it waits for a night to end: hours of embedding are not to fail for that
FEW = 2_048  # chunks that came meanwhile and may as well be embedded under the lease


def on_current(context: Context, run: Run) -> tuple[Context, Release]:
    """The run on top of the release that is current now."""
    context = rebased(context)
    base = context.base or Releases(context.store).get()
    run.base = base.seq
    return context, base


def embed_beside(context: Context, wanted: EncoderFolder, config: Config, run: Run) -> None:
    """Embed beside nights and readers until little or nothing is left to do."""
    while True:
        before = context.base
        done = prepare_stored(context, wanted, config, run.clock)
        with run.clock.stage("embed"):
            embedded = embed_ahead(context, wanted, done.changes, done.pending).embedded
        context = rebased(context)
        if embedded <= FEW or context.base == before:
            return
