"""What every stage of one run shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from models.encoder import Encoder
from models.space import Space
from models.text.tokenizer import TextTokenizer
from storage.sources import Source
from storage.spill import Workspace
from storage.tables.columns import LEDGER
from storage.tables.releases import Release
from storage.tables.roles import chunks_table
from storage.tables.store import Store
from tasks.build.chunking.cut import ChunkerConfig
from tasks.build.chunking.cut import fingerprint as chunker_fingerprint
from tasks.curate.validation.rules import Suite
from tasks.progress import Progress

__all__ = ["EMPTY_LEDGER", "Context"]

EMPTY_LEDGER = pl.DataFrame(
    schema={name: pl.Int32 if name == "n_chunks" else pl.String for name in LEDGER}  # the columns of an empty store
)


@dataclass(frozen=True)
class Context:
    """One run: what it reads, what it starts from and the rules that hold.

    Attributes:
        run: Id of the run.
        now: When it began, with time zone.
        store: The store; nothing in it is written before `embed`.
        workspace: Folder that the stages spill to.
        base: The release that the run starts from; None before the first.
        afresh: Take nothing over from any release: every document is read, judged, cut and embedded again. For a
            store whose tables are damaged.
        sources: Where documents come from.
        space: Identity of the encoder's vector space.
        tokenizer: The encoder's tokenizer.
        open_encoder: Loads the encoder; costs seconds, so only `embed` calls it.
        export_encoder: Copies the encoder's files to a folder.
        chunker: Parameters of the chunker.
        suite: Rules of validation.
        judged: Fingerprint of normaliser, rules and sources: what an accepted document was judged by.
        progress: Where the run says how far it is.
    """

    run: str
    now: datetime
    store: Store
    workspace: Workspace
    base: Release | None
    sources: Sequence[Source]
    space: Space
    tokenizer: TextTokenizer
    open_encoder: Callable[[], Encoder]
    export_encoder: Callable[[Path], object]
    chunker: ChunkerConfig
    suite: Suite
    judged: Mapping[str, str]
    progress: Progress
    afresh: bool = False
    _cache: dict[str, pl.DataFrame] = field(default_factory=dict, repr=False)

    @property
    def table(self) -> str:
        """Name of the chunk table of the run's space."""
        return chunks_table(self.space.id)

    @property
    def window(self) -> int:
        """Tokens that a chunk may have: the encoder's window less the two special tokens."""
        return self.space.window - 2 if self.space.window else 1_000_000

    @property
    def cutting(self) -> str:
        """Fingerprint of the chunker with this tokenizer and window."""
        return chunker_fingerprint(self.chunker, self.tokenizer.digest, self.window)

    @property
    def rebuilds(self) -> bool:
        """Whether every chunk is cut anew: another space, another chunker, nothing published yet, or asked for."""
        if self.base is None or self.afresh:
            return True
        return self.table not in self.base.tables or self.base.text.chunker != self.cutting

    def ledger(self) -> pl.DataFrame:
        """The documents that the run starts from, those of the base release, without their text; read once."""
        if "ledger" not in self._cache:
            if self.base is None or self.afresh:
                self._cache["ledger"] = EMPTY_LEDGER
            else:
                table = self.store.open("documents", self.base.tables["documents"])
                frame = pl.DataFrame(pl.from_arrow(table.to_table(columns=LEDGER)))
                self._cache["ledger"] = frame.cast(dict(EMPTY_LEDGER.schema))  # type: ignore[arg-type]
        return self._cache["ledger"]
