"""Put a challenger into the registry: what it was made of at first, and what was measured of it in the end."""

from __future__ import annotations

from models.encoder import EncoderFolder
from storage.tables.models import ModelRecord
from storage.tables.releases import Release
from tasks.context import Context
from tasks.learn.report import Report
from tasks.release.model import keep_model

__all__ = ["register"]


def register(context: Context, report: Report, base: Release, configured: EncoderFolder) -> ModelRecord:
    """Keep the chosen challenger with its card, also one that the gate refuses: people may want to look at it.

    The caller holds the lease; once the gate has spoken it calls again, which renews row and card.

    Args:
        context: The run.
        report: Pairs, training and choice; the gate's verdict where there is one.
        base: The release whose encoder it was trained from.
        configured: The encoder of the configuration, with which its line begins.
    """
    chosen = report.chosen
    told = next(each for each in report.challengers() if each.name == chosen.name)
    training, pairs = report.training, report.pairs
    assert training is not None and pairs is not None  # noqa: S101 - there is no challenger without them
    record = ModelRecord(
        space=chosen.encoder.space.id,
        name=chosen.encoder.space.name,
        parent=base.space,
        root=base.text.encoder.root or configured.space.id,
        created=context.now,
        run=context.run,
        recipe=training.trained.settings.model_dump(mode="json") | {"challenger": chosen.name},
        data=report.data | {"documents": pairs.version, "examples": training.trained.examples},
        metrics=told.metrics | {"verdict": told.verdict, "reasons": list(told.reasons)},
    )
    return keep_model(context.store, context.workspace, chosen.encoder, record)
