"""What a release is made of: one role a kind of question that it answers, each with space, table, index and encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

__all__ = ["TEXT", "EncoderRecord", "IndexFacts", "Role", "chunks_table"]

TEXT = "text"  # the role of text chunks; `image` and `reranker` are others


def chunks_table(space: str) -> str:
    """Name of the table that holds the chunks of one vector space: a new space never meets an old one's vectors."""
    return f"chunks__{space[:16]}"


@dataclass(frozen=True)
class IndexFacts:
    """How a table is searched.

    Attributes:
        kind: `IVF_RQ`, or `exact` where every row is compared.
        rows: Rows of the table when this was decided.
        nprobes: Cells of the index that a search looks into.
        refine_factor: Candidates, as a multiple of k, that are compared again with their full vectors.
        partitions: Cells of the index; None without one.
        recall: Recall@10 against exact search, as the audit measured it; None without an index.
        recall_of_index: What an index found that was given up for exact search.
    """

    kind: str = "exact"
    rows: int = 0
    nprobes: int = 0
    refine_factor: int = 0
    partitions: int | None = None
    recall: float | None = None
    recall_of_index: float | None = None

    @property
    def approximate(self) -> bool:
        """Whether a search goes through the index."""
        return self.kind != "exact"

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a record; what another version of the program wrote beside it is left out."""
        return cls(**_known(cls, content))

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON-able values; what is not known is left out."""
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

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a record; what another version of the program wrote beside it is left out."""
        return cls(**_known(cls, content))

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able values; what is not known is left out."""
        return _stated(self)


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
    """

    space: str
    encoder: EncoderRecord
    table: str | None = None
    version: int | None = None
    index: IndexFacts = IndexFacts()
    chunker: str = ""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a record; what another version of the program wrote beside it is left out."""
        known = _known(cls, content)
        encoder = EncoderRecord.from_dict(known.pop("encoder"))
        return cls(encoder=encoder, index=IndexFacts.from_dict(known.pop("index", None) or {}), **known)

    def to_dict(self) -> dict[str, Any]:
        """The role as JSON-able values."""
        return _stated(self) | {"encoder": self.encoder.to_dict(), "index": self.index.to_dict()}


def _known(kind: type[Any], content: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in content.items() if name in names}


def _stated(record: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if value is not None}
