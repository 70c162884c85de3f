"""What every stage of one run shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from storage.sources import Source
from storage.spill import Workspace
from storage.tables.documents import EMPTY_LEDGER, DocumentTable
from storage.tables.releases import Release
from storage.tables.store import Store
from tasks.ingest.redact import Redaction
from tasks.progress import Progress

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """One run: what it reads and what it starts from.

    Encoders, chunker and rules are no part of it: a stage that needs one takes it as a parameter, so that one run can
    hold two encoders.

    Attributes:
        run: Id of the run.
        now: When it began, with time zone.
        store: The store; nothing in it is written before `embed`.
        workspace: Folder that the stages spill to.
        base: The release that the run starts from; None before the first.
        sources: Where documents come from.
        rules_fingerprints: Source to the fingerprint of its normaliser, rules and configuration. The tables keep it, as
            what a document was judged by, in their column `judged`.
        progress: Where the run says how far it is.
        redactions: What rules take out of documents as they are read, so that nothing later ever sees it.
        rebuild: Take nothing over from any release: every document is read, judged, cut and embedded again. For a
            store whose tables are damaged.
    """

    run: str
    now: datetime
    store: Store
    workspace: Workspace
    base: Release | None
    sources: Sequence[Source]
    rules_fingerprints: Mapping[str, str]
    progress: Progress
    redactions: Sequence[Redaction] = ()
    rebuild: bool = False
    _cache: dict[str, pl.DataFrame] = field(default_factory=dict, repr=False)

    def ledger(self) -> pl.DataFrame:
        """The documents that the run starts from, those of the base release, without their text; read once."""
        if "ledger" not in self._cache:
            if self.base is None or self.rebuild:
                self._cache["ledger"] = EMPTY_LEDGER
            else:
                self._cache["ledger"] = DocumentTable(self.store, self.base.tables["documents"]).ledger()
        return self._cache["ledger"]
