"""Re-embed: take what a release holds into another encoder's space, while the old one serves on, and switch at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from flows.bridge import bridge_release
from flows.build import publish_built, stage_space
from flows.config.schema import Config
from flows.context import opened
from flows.result import RunResult
from flows.run import Run, recorded
from flows.shorten import judges, shorten_release
from flows.switch import PATIENCE, embed_beside, on_current
from flows.table import Option
from models.device import require_device
from models.encoder import EncoderFolder, resolve
from storage.errors import InputError
from storage.outcome import Outcome
from storage.tables.releases import Release, Releases
from storage.tables.runs import new_run
from storage.tables.store import Store
from tasks.context import Context
from tasks.progress import Progress, Silent
from tasks.release.publish import clean_up
from tasks.release.serving import chosen, described

__all__ = ["reembed"]


def reembed(
    config: Config,
    *,
    encoder: Annotated[str | None, Option(metavar="NAME")] = None,
    revision: Annotated[str | None, Option(metavar="COMMIT")] = None,
    dimensions: Annotated[int | None, Option(metavar="N")] = None,
    bridge: bool = False,
    yes: bool = False,
    trigger: str = "manual",
    console: Progress | None = None,
) -> RunResult:
    """Embed what the release holds with another encoder, and publish it as one release.

    Sources are not read. While it embeds, readers and nights go on with the old encoder, and what nights publish
    meanwhile is taken in; only to write and publish does it hold the store. Nights go on with the new encoder, whatever
    the configuration names, until that names a third one. A killed run goes on where it was.

    Args:
        config: The configuration.
        encoder: A packaged encoder, a folder, a hub name, or the space (or its beginning) of a model that the store
            keeps; the configured encoder if it is left out.
        revision: Commit, tag or branch of a hub model.
        dimensions: Instead, shorten the vectors that there are to so many numbers, if judged questions lose little.
        bridge: Embed only a sample, map the stored vectors by one matrix, and publish that if judged questions gain by
            it; a reembed without it then embeds them all.
        yes: Approve beforehand of a bridge that no judged question proves.
        trigger: Who started it, for the record.
        console: Where it says how far it is.

    Raises:
        InputError: Nothing is published yet, the name fits several models, or no questions judge shorter vectors;
            nothing was recorded.
        ModelError: The encoder cannot be used; nothing was recorded.
        LeaseHeld: Another run held the store for too long; finished vectors are kept.
    """
    progress, name, store = console or Silent(), new_run(), Store(config.store.uri)
    require_device(config.encoder.device, "encoder.device")
    configured = resolve(config.encoder, config.base)
    if dimensions is not None and encoder is not None:
        raise InputError("reembed: --dimensions shortens the release's own vectors; give it or --encoder, not both")
    wanted = chosen(store, config.encoder, config.base, encoder, revision)
    if bridge and dimensions is not None:
        raise InputError("reembed: --bridge maps vectors to another encoder; give it or --dimensions, not both")
    if dimensions is not None:
        judges(config)
    with opened(config, f"stage-{name}", progress, sources=False) as unbound:
        Releases(store).get()  # wrong input is told before anything is written
        with recorded(
            store, "reembed", config=config, trigger=trigger, progress=progress, lease=False, run=name
        ) as run:
            space, context = wanted.space.id, replace(unbound, run=name)
            if bridge:
                bridge_release(context, wanted, configured, config, run, yes=yes)
            elif dimensions is None:
                _reembed(context, wanted, configured, config, run)
            else:
                space = shorten_release(context, configured, dimensions, config, run)
    return RunResult.of(run, space)


def _reembed(context: Context, wanted: EncoderFolder, configured: EncoderFolder, config: Config, run: Run) -> None:
    context, base = on_current(context, run)
    run.facts["model"] = described(context.store, base, wanted, configured).to_dict()
    if _is_there(base, wanted, run):
        return
    embed_beside(context, wanted, config, run)
    with run.clock.stage("wait"):
        run.hold(PATIENCE)
    context, base = on_current(context, run)  # nights may have published meanwhile
    if _is_there(base, wanted, run):
        return
    record = described(context.store, base, wanted, configured)
    built = stage_space(context, wanted, record, config, run)
    run.counts, run.causes = built.counts, built.causes
    release = publish_built(context, wanted, config, run, built)
    run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published with {record.name}", release.seq)
    with run.clock.stage("clean_up"):
        clean_up(context.store, config.releases, wanted.space.id)


def _is_there(base: Release, wanted: EncoderFolder, run: Run) -> bool:
    """Whether readers have the encoder's own vectors already; concludes the run if so."""
    if base.space != wanted.space.id or base.text.bridge is not None:
        return False
    run.conclude(Outcome.UNCHANGED, f"release {base.seq} has that encoder already: 0 chunks embedded", base.seq)
    return True
