"""Make pairs of questions and passages out of a release, split them, and prove that nothing leaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import polars as pl

from storage.hashing import digest, fingerprint
from storage.spill import Spill
from storage.tables.documents import DocumentTable
from storage.tables.generated import Generated
from storage.tables.pairs import PairTable, write
from storage.tables.releases import Release
from tasks.context import Context
from tasks.learn.asked import ASKED, from_generated, from_judged
from tasks.learn.candidates import CANDIDATES, COLUMNS, candidates
from tasks.learn.choose import NARROW, choose
from tasks.learn.config import PairsConfig
from tasks.learn.feedback import Feedback, read_feedback
from tasks.learn.leakage import find_leaks
from tasks.learn.near import near_pairs, shingles
from tasks.learn.questions import QuestionSet
from tasks.learn.split import Division, divide
from tasks.stage import stage

__all__ = ["Pairs", "pair"]

_VERSION = "1"  # raise it with every change of what pairs are cut, chosen or split
_ALIKE = 0.7  # of passages that are one cluster: below what the leakage check calls a leak
_READ = ["id", "question", "content_hash", "passage", "split", "cluster"]


@dataclass(frozen=True)
class Pairs:
    """What pairs a release gave.

    Attributes:
        version: Data version: that of the documents table.
        kinds: Kind and part to the number of pairs.
        digest: Of every pair and its part: what a model that was trained on them says of its data.
        fingerprint: What they were made of.
        dropped: Reason to the number of candidates that are no pairs; empty where the pairs were there already.
        notes: What a person should know, one line each.
        reused: Whether the pairs of this data version were there already.
    """

    version: int
    kinds: dict[tuple[str, str], int]
    digest: str
    fingerprint: str
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reused: bool = False

    @property
    def splits(self) -> dict[str, int]:
        """Part to the number of pairs."""
        parts = ("train", "dev", "test")
        return {part: sum(count for (_, split), count in self.kinds.items() if split == part) for part in parts}

    @property
    def counts(self) -> dict[str, int]:
        """Pairs, pairs a part, and what was dropped."""
        return {"pairs": sum(self.kinds.values())} | self.splits | self.dropped


@stage
def pair(
    context: Context, release: Release, config: PairsConfig, *, judged: Sequence[QuestionSet] = (), base: Path = Path()
) -> Pairs:
    """Make the pairs of a release's documents, or find those that the same documents gave before.

    Two passes over the documents' slices in the work folder; hashes of every candidate are held, and trigrams of the
    chosen ones. The table is written last, in one commit.

    Args:
        context: The run.
        release: Whose documents.
        config: Which kinds, how many, and how they are split.
        judged: Judged sets of every part: those of train are trained on, the documents of the others by none.
        base: Folder that paths of feedback logs start from.

    Raises:
        InputError: A feedback log cannot be read.
        Refused: The pairs leak between training and judging.
    """
    documents = DocumentTable(context.store, release.tag)
    version, table = release.tables["documents"], PairTable(context.store)
    ledger = documents.ledger(["key", "source", "id", "content_hash", "record_hash", "duplicate_of"])
    logs = [base / path for path in config.feedback] if "feedback" in config.kinds else []
    feedback = read_feedback(logs, ledger)
    asked = _asked(context, config, ledger, feedback, judged)
    made_of = _fingerprint(config, ledger, asked)
    if table.fingerprint(version) == made_of:
        # The check trusts no split, and no earlier run either: a table lies where others can write too.
        find_leaks(table.slices(version=version, columns=_READ)).enforce()
        kept = table.slices(version=version, columns=_READ, negatives=True)
        return Pairs(version, table.counts(version), _digest(kept), made_of, notes=feedback.notes, reused=True)
    found, short = context.workspace.spill("candidates"), 0
    for part, left_out in candidates(documents.slices(COLUMNS), config.kinds, asked):
        found.append(part)
        short += left_out
    chosen, dropped = choose(found.frame(NARROW, CANDIDATES), config.most)
    division = _divided(found, chosen, config)
    pairs = _placed(found, division, context.workspace.spill("pairs"))
    find_leaks(part.filter(pl.col("grade") > 0) for part in pairs.slices()).enforce()
    write(context.store, version, pairs.slices(), fingerprint=made_of, run=context.run)
    every = {
        "short": short,
        **dropped,
        **division.dropped,
        "malformed": feedback.malformed,
        "unknown": feedback.unknown,
    }
    return Pairs(
        version,
        table.counts(version),
        _digest(pairs.slices(_READ)),
        made_of,
        {reason: count for reason, count in every.items() if count},
        (*feedback.notes, *division.notes),
    )


def _asked(
    context: Context, config: PairsConfig, ledger: pl.DataFrame, feedback: Feedback, judged: Sequence[QuestionSet]
) -> pl.DataFrame:
    """What people and models asked, in ASKED and in a fixed order."""
    # Sets that are not trained on hold back their documents in any case.
    sets = [each for each in judged if "judged" in config.kinds or each.split != "train"]
    indexed = ledger.filter(pl.col("duplicate_of").is_null())
    parts = [from_judged(sets), feedback.asked]
    if "synthetic" in config.kinds:
        parts.append(from_generated(Generated(context.store).all(), indexed))
    every = pl.concat(parts)
    # Left: few documents duplicate another, whose passage then stands for theirs.
    homes = every.join(ledger.select("key", "duplicate_of"), on="key", how="left", maintain_order="left")
    return homes.with_columns(pl.coalesce("duplicate_of", "key").alias("key")).select(ASKED.names())


def _fingerprint(config: PairsConfig, ledger: pl.DataFrame, asked: pl.DataFrame) -> str:
    settings = config.model_dump(mode="json", exclude={"feedback"})
    data = blake2b(digest_size=16)
    for row in ledger.sort("key").select("key", "content_hash", "record_hash", "duplicate_of").iter_rows():
        data.update(f"{row}\n".encode())
    for row in asked.sort(ASKED.names()).iter_rows():
        data.update(f"{row}\n".encode("utf-8", "surrogatepass"))
    return fingerprint({"pairs": _VERSION, "alike": _ALIKE, "settings": settings, "data": data.hexdigest()})


def _divided(found: Spill, chosen: pl.DataFrame, config: PairsConfig) -> Division:
    """Split the chosen pairs; near-equal ones are found among their passages, one a document and text."""
    ids = chosen.select("id").with_row_index("row")
    sets, contents = [], []
    seen = pl.DataFrame(schema={"same": pl.UInt64})
    for part in found.slices(["id", "content_hash", "passage", "grade"]):
        # Inner: of the candidates those that were chosen. A document's own pairs are one cluster anyway.
        here = part.join(ids, on="id", how="inner", maintain_order="left").filter(pl.col("grade") > 0)
        texts = here.with_columns(pl.struct("content_hash", "passage").hash().alias("same")).unique(
            "same", keep="first"
        )
        fresh = texts.join(seen, on="same", how="anti")  # texts that no slice before had
        seen = pl.concat([seen, fresh.select("same")])
        sets.append(shingles(fresh.select("row", pl.col("passage").alias("text"))))
        contents.append(fresh.select("row", "content_hash"))
    places = chosen.rename({"content_hash": "content"}).select("id", "source", "content", "group", "asked", "fixed")
    if not contents:
        alike = pl.DataFrame(schema={"a": pl.String, "b": pl.String})
    else:
        of = pl.concat(contents)
        # Inner, twice: both ends of a near pair have a document.
        near = near_pairs(pl.concat(sets), _ALIKE).join(of, left_on="a", right_on="row", how="inner")
        both = near.join(of, left_on="b", right_on="row", how="inner", suffix="_b")
        alike = both.select(pl.col("content_hash").alias("a"), pl.col("content_hash_b").alias("b")).unique()
    return divide(places, alike, dev=config.dev, test=config.test)


def _placed(found: Spill, division: Division, pairs: Spill) -> Spill:
    """The pairs with their part, in the order of the documents."""
    for part in found.slices():
        # Inner: of the candidates those that have a part. Two kinds never share an id, but one kind may cut one twice.
        pairs.append(
            part.unique("id", keep="first", maintain_order=True).join(
                division.placed, on="id", how="inner", maintain_order="left"
            )
        )
    return pairs


def _digest(slices: Iterable[pl.DataFrame]) -> str:
    """Of all pairs, whatever their order."""
    rows = [digest("\x1f".join(row)) for part in slices for row in part.select(_READ).iter_rows()]
    return digest("".join(sorted(rows)))
