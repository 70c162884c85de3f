"""What a release is made of: one role a kind of question that it answers, each with space, table, index and encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

__all__ = [
    "PRECISIONS",
    "RERANKER",
    "TEXT",
    "BridgeRecord",
    "EncoderRecord",
    "Fusion",
    "IndexFacts",
    "Kind",
    "Precision",
    "Role",
    "bridged_table",
    "chunks_table",
    "chunks_tables",
]

Precision = Literal["float32", "float16"]
Kind = Literal["flat", "int8", "binary"]  # of an index: what it keeps of a vector
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

TEXT = "text"  # the role of text chunks; `image` is another
RERANKER = "reranker"  # the role of what orders the best of a search once more; it has no table


def chunks_table(space: str, precision: Precision = "float32") -> str:
    """Name of the table that holds the chunks of one vector space: a new space never meets an old one's vectors.

    A column has one precision, and releases pin their tables: another precision is another table.
    """
    return f"chunks__{space[:16]}" + ("" if precision == "float32" else "__f16")


def bridged_table(space: str, precision: Precision = "float32") -> str:
    """Name of the table whose vectors were mapped into a space: apart from those that its encoder gave."""
    return f"{chunks_table(space, precision)}__bridge"


def chunks_tables(space: str) -> set[str]:
    """Names of the chunk tables that hold vectors of a space's own encoder."""
    return {chunks_table(space, precision) for precision in PRECISIONS}


@dataclass(frozen=True)
class IndexFacts:
    """How a table is searched.

    Attributes:
        kind: `IVF_FLAT`, `IVF_SQ` or `IVF_RQ`, or `exact` where every row is compared.
        rows: Rows of the table when this was decided.
        nprobes: Cells of the index that a search looks into.
        refine_factor: Candidates, as a multiple of k, that are compared again with their full vectors.
        partitions: Cells of the index; None without one.
        recall: Recall@10 against exact search, as the audit measured it; None without an index.
        recall_of_index: What an index found that was given up for exact search.
        nights: Releases since either was measured, which this one takes over; None where it was measured for it.
        changed: Rows that came or went since then; None where it was measured.
        text: Tokenizer of the full-text index beside the vectors; None without one.
        precision: In what the table keeps its vectors.
        asked: Kind of index that the configuration named: a small table has none, and one may have been given up.
    """

    kind: str = "exact"
    rows: int = 0
    nprobes: int = 0
    refine_factor: int = 0
    partitions: int | None = None
    recall: float | None = None
    recall_of_index: float | None = None
    text: str | None = None
    precision: Precision = "float32"
    asked: str = "binary"
    nights: int | None = None
    changed: int | None = None

    @property
    def approximate(self) -> bool:
        """Whether a search goes through the index."""
        return self.kind != "exact"

    @property
    def measured(self) -> str:
        """When its recall was measured, in words that follow a figure."""
        nights = self.nights or 0
        return f"measured {nights} release{'s' * (nights > 1)} before" if nights else "measured for this release"

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a record; what another version of the program wrote beside it is left out."""
        return cls(**_known(cls, content))

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON-able values; what is not known is left out."""
        return _stated(self)


@dataclass(frozen=True)
class Fusion:
    """How a release weighs the words of a question against its meaning, and what says so.

    Attributes:
        weight: Share of the words: a score is (1 - weight) x dense + weight x text, each side scaled to 0 to 1.
        depth: Candidates of each side that are scaled and fused.
        questions: Dev questions that it was fitted on.
        dense: Their nDCG@10 by vectors alone.
        text: Their nDCG@10 by words alone.
        hybrid: Their nDCG@10 at the weight.
        fingerprint: Identity of the questions and of the space: another one is fitted anew.
    """

    weight: float
    depth: int = 100
    questions: int = 0
    dense: float = 0.0
    text: float = 0.0
    hybrid: float = 0.0
    fingerprint: str = ""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a record; what another version of the program wrote beside it is left out."""
        return cls(**_known(cls, content))

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able values."""
        return _stated(self)


@dataclass(frozen=True)
class EncoderRecord:
    """What a release says of an encoder: the fields of its space, and where the model came from.

    Attributes:
        id: Id of the space.
        name: What the encoder is called.
        modality: What it embeds.
        dimension: Length of its vectors.
        window: Tokens that it sees of a text; 0 where it has no limit.
        pooling: How token vectors become one.
        normalise: Whether its vectors have unit length.
        query_prompt: Put before every query.
        document_prompt: Put before every chunk.
        weights: Digest of its tensors.
        tokenizer: Digest of its tokenizer.
        network: Digest of its modules.
        stub: Whether its vectors are a fast fake.
        revision: Commit of the hub that its files came from; None for a package or a folder.
        parent: Space of the encoder that it was trained from; None for one that was not trained here.
        root: Space of the configured encoder that its line begins with; None for that one itself.
    """

    id: str
    name: str = ""
    modality: str = "text"
    dimension: int = 0
    window: int = 0
    pooling: str = ""
    normalise: bool = True
    query_prompt: str = ""
    document_prompt: str = ""
    weights: str = ""
    tokenizer: str = ""
    network: str = ""
    stub: bool = False
    revision: str | None = None
    parent: str | None = None
    root: str | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a record; what another version of the program wrote beside it is left out."""
        return cls(**_known(cls, content))

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able values; what is not known is left out."""
        return _stated(self)


@dataclass(frozen=True)
class BridgeRecord:
    """Says of a role that its vectors were mapped from another space: they are not what its encoder would give.

    Contents that came since are embedded by the encoder itself; their vectors lie staged until all have been.

    Attributes:
        parent: The space that they were mapped from.
        rows: Pairs of vectors that the matrix was fitted on.
        ridge: Its penalty.
        agreement: Share of the ten nearest neighbours of held-out vectors that it kept.
    """

    parent: str
    rows: int = 0
    ridge: float = 0.0
    agreement: float = 0.0

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a record; what another version of the program wrote beside it is left out."""
        return cls(**_known(cls, content))


@dataclass(frozen=True)
class Role:
    """One kind of question that a release answers.

    Attributes:
        space: Id of the vector space.
        encoder: The model of that space, kept under `models/<space>` of the store.
        table: Name of the chunk table; None for a role without rows, such as a re-ranker.
        version: The pinned version of that table.
        index: How the table is searched.
        chunker: Fingerprint of how documents were cut for it.
        fusion: How words are weighed against meaning; None where vectors alone answer.
        bridge: Where its vectors were mapped from; None where its encoder gave them.
    """

    space: str
    encoder: EncoderRecord
    table: str | None = None
    version: int | None = None
    index: IndexFacts = IndexFacts()
    chunker: str = ""
    fusion: Fusion | None = None
    bridge: BridgeRecord | None = None

    @property
    def hybrid(self) -> bool:
        """Whether readers who do not say how are answered by words too: questions showed that words help."""
        return self.fusion is not None and self.fusion.weight > 0 and self.index.text is not None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a record; what another version of the program wrote beside it is left out."""
        known = _known(cls, content)
        encoder, fusion = EncoderRecord.from_dict(known.pop("encoder")), known.pop("fusion", None)
        bridge = known.pop("bridge", None)
        return cls(
            encoder=encoder,
            index=IndexFacts.from_dict(known.pop("index", None) or {}),
            fusion=None if fusion is None else Fusion.from_dict(fusion),
            bridge=None if bridge is None else BridgeRecord.from_dict(bridge),
            **known,
        )

    def to_dict(self) -> dict[str, Any]:
        """The role as JSON-able values."""
        return _stated(self) | {"encoder": self.encoder.to_dict(), "index": self.index.to_dict()}


def _known(kind: type[Any], content: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in content.items() if name in names}


def _stated(record: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if value is not None}
