"""Cut candidates for pairs out of documents, slice by slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
import polars as pl

from storage.hashing import digest
from tasks.learn.kinds import KINDS, Page
from tasks.learn.wording import asks, plain, tidy, without

__all__ = ["CANDIDATES", "COLUMNS", "candidates", "group_of"]

COLUMNS = ["key", "source", "id", "content_hash", "duplicate_of", "title", "metadata", "queries", "text"]
_TEXTS = ["id", "question", "key", "source", "document", "content_hash", "passage", "kind", "group", "fixed", "asked"]
CANDIDATES = pl.Schema(dict.fromkeys(_TEXTS, pl.String) | {"grade": pl.Int32, "weight": pl.Float32})

_LEAST = 60  # characters of a passage


def candidates(
    documents: Iterable[pl.DataFrame], kinds: Sequence[str], asked: pl.DataFrame
) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield what each slice of documents gives, in CANDIDATES, and how many were too short or gave themselves away.

    A candidate's id is a hash of question, document and kind; `asked` is one of the question's words alone.

    Args:
        documents: COLUMNS.
        kinds: Which kinds of `tasks.learn.kinds` are cut.
        asked: ASKED: what others asked of these documents.
    """
    cutters = [(name, cut) for name, cut in KINDS.items() if name in kinds]
    by_key = asked.partition_by("key", as_dict=True, include_key=False) if asked.height else {}
    for part in documents:
        indexed = part.filter(pl.col("duplicate_of").is_null() & pl.col("text").is_not_null())
        rows: list[dict[str, Any]] = []
        short = 0
        for document in indexed.iter_rows(named=True):
            page = Page(document["title"] or "", document["text"], document["queries"] or ())
            found = [(cut.question, cut.passage, name, 1, 1.0, None) for name, run in cutters for cut in run(page)]
            mine = by_key.get((document["key"],))
            if mine is not None:
                order = ("question", "kind", "grade", "weight", "fixed")
                found += [(q, page.text, *rest) for q, *rest in mine.select(order).iter_rows()]
            group = group_of(document["source"], document["id"], document["metadata"])
            for question, passage, kind, grade, weight, fixed in found:
                left = tidy(without(passage, question) or "")
                # What a set judges with is kept in any case, so that nothing that it judges is trained on.
                if fixed not in {"dev", "test"} and not (asks(question) and len(left) >= _LEAST):
                    short += 1
                    continue
                words = plain(question)
                rows.append(
                    {
                        "id": digest(f"{question}\x1f{document['key']}\x1f{kind}"),
                        "question": question,
                        "key": document["key"],
                        "source": document["source"],
                        "document": document["id"],
                        "content_hash": document["content_hash"],
                        "passage": left,
                        "kind": kind,
                        "group": group,
                        "fixed": fixed,
                        "asked": digest(words),
                        "grade": grade,
                        "weight": weight,
                    }
                )
        yield pl.DataFrame(rows, schema=CANDIDATES), short


def group_of(source: str, identifier: str, metadata: str | None) -> str | None:
    """The group of documents that a document is one of; None where it is alone.

    It is what its metadata call `group`, else the package of a Python object, else the top folder of a file.
    """
    facts = orjson.loads(metadata) if metadata else {}
    name = facts.get("group") or facts.get("package") if isinstance(facts, dict) else None
    if name is None and isinstance(facts, dict) and "suffix" in facts and "/" in identifier:
        name = identifier.partition("/")[0]
    return None if name is None else f"{source}/{name}"
