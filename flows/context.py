"""Open what every stage of a run shares, from the configuration, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from flows.config.schema import Config
from storage.errors import InputError
from storage.hashing import fingerprint
from storage.sources import open_source
from storage.spill import Workspace
from storage.tables.format import check
from storage.tables.releases import Releases
from storage.tables.store import Store
from tasks.context import Context
from tasks.curate.validation.rules import Suite
from tasks.curate.validation.rules import fingerprint as rules_fingerprint
from tasks.curate.validation.suite import load_suite
from tasks.ingest.normalise import NORMALISER
from tasks.progress import Progress

__all__ = ["docs_folder", "opened", "rebased"]


def rebased(context: Context) -> Context:
    """The same run on top of the release that is current now."""
    return replace(context, base=Releases(context.store).current(), _cache={})  # the ledger is the old base's


def docs_folder(config: Config) -> Path:
    """Where the data docs of the last run go: beside a local store, else beside the configuration."""
    folder = Store(config.store.uri).folder
    return (folder or config.base / ".tidemark") / "data_docs"


@contextmanager
def opened(
    config: Config, run: str, progress: Progress, suite: Suite | None = None, *, sources: bool = True
) -> Iterator[Context]:
    """Open sources and identify the rules; the work folder goes when the block ends.

    The base release is not looked up yet: a run that writes does so under its lease (`rebased`).

    Args:
        config: The configuration.
        run: Id of the run.
        progress: Where it says how far it is.
        suite: Rules that the run will judge by; loaded for their fingerprint alone if None.
        sources: Whether the run looks at sources; one that works on stored documents needs none, nor rules.

    Raises:
        InputError: The configuration names something that is not there, or a later version of the program made the
            store.
    """
    wanted = config.sources if sources else ()
    if sources and not wanted:
        raise InputError("the configuration names no [[sources]]: there is nothing to index")
    store = Store(config.store.uri)
    check(store)
    suite = suite or (load_suite(config.validation) if wanted else Suite(config.validation))
    rules = rules_fingerprint(config.validation, suite) if wanted else ""
    listed = [open_source(source, config.base) for source in wanted]
    workspace = Workspace(store, run)
    try:
        yield Context(
            run=run,
            now=datetime.now(UTC),
            store=store,
            workspace=workspace,
            base=None,
            sources=listed,
            rules_fingerprints={source.name: fingerprint([NORMALISER, rules, source.identity()]) for source in wanted},
            progress=progress,
            redactions=suite.redactions,
        )
    finally:
        workspace.close()
