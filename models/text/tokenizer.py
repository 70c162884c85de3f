"""Tokenizers that say where the tokens of a text lie: the encoder's own, and one of words for the stub encoder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import tokenizers

from models.encoder import Spans
from models.errors import DamagedModel
from models.text.characters import CharacterTable, code_points

__all__ = ["Tokenizer", "WordTokenizer"]

# A long text is tokenised in pieces: several times faster to read back, and a 50 MB line needs no 10 GB of encodings.
PIECE_CHARACTERS = 8_192
BATCH_CHARACTERS = 1_000_000
# What decides which tokens a text has; truncation and padding are the caller's affair and differ between files.
DIGESTED = ("added_tokens", "normalizer", "pre_tokenizer", "model")
REMEMBERED_WORDS = 500_000
REMEMBERED_CHARACTERS = 64
WORD = re.compile(r"\w+|[^\w\s]")
# What BERT's rules take for a word of its own, as ranges for a pattern: ASCII punctuation, most Chinese characters.
PUNCTUATION = r"!-/:-@\[-`{-~"
CHINESE = r"\u3400-\u4dbf\u4e00-\u9fff"
SPACE = re.compile(r"\s")
Ints = npt.NDArray[np.int64]
IN_WORD, MARK = 1, 2  # what a character is to WORD: part of a word, or a token by itself
CHARACTERS = CharacterTable(lambda one: IN_WORD if one.isalnum() or one == "_" else 0 if one.isspace() else MARK)


class Tokenizer:
    """The tokenizer of an encoder, read from its `tokenizer.json`."""

    def __init__(self, inner: tokenizers.Tokenizer, digest: str, part: re.Pattern[str] | None) -> None:
        # The packaged file truncates and pads at 128 tokens, which would hide the rest of every document.
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        self.digest = digest
        self._part = part
        self._remembered: dict[str, int] = {}

    @classmethod
    def from_folder(cls, path: Path | str) -> Self:
        """Read `tokenizer.json` from a model folder.

        Args:
            path: Folder of the model.

        Raises:
            DamagedModel: If the folder has no `tokenizer.json`, or a broken one.
        """
        import tokenizers

        file = Path(path) / "tokenizer.json"
        try:
            content = file.read_text(encoding="utf-8")
        except OSError as error:
            raise DamagedModel(
                f"{file} cannot be read ({error.strerror}): give a model folder with a tokenizer.json"
            ) from error
        try:
            inner = tokenizers.Tokenizer.from_str(content)
        except Exception as error:
            raise DamagedModel(f"{file} is not a tokenizer that can be read: {error}") from error
        parsed = json.loads(content)
        return cls(inner, tokenizer_digest(parsed), part_pattern(parsed))

    def spans(self, texts: Sequence[str]) -> list[Spans]:
        """Return the character spans (start, end) of each text's tokens, shape (tokens, 2), without special tokens."""
        found: list[list[Spans]] = [[] for _ in texts]
        for batch in batches(texts):
            encodings = self._inner.encode_batch([piece for _, _, piece in batch], add_special_tokens=False)
            for (index, offset, _), encoding in zip(batch, encodings, strict=True):
                flat = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
                found[index].append(flat + offset)
        return [np.concatenate(parts) if parts else np.empty((0, 2), np.int64) for parts in found]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without special tokens."""
        if self._part is None:
            return self._encoded(texts)
        return [count for group, sizes in _groups(texts) for count in self._looked_up(group, sizes, self._part)]

    def _looked_up(self, texts: Sequence[str], sizes: Ints, part: re.Pattern[str]) -> list[int]:
        """Count the tokens of texts word by word: to look a word up is far faster than to tokenise it again."""
        joined = " ".join(["", *texts, ""])
        words = joined.split()
        counts = list(map(self._remembered.get, words))
        if None in counts:
            fresh = list(dict.fromkeys(word for word, count in zip(words, counts, strict=True) if count is None))
            known = self._learned(fresh, part)
            counts = [known[word] if count is None else count for word, count in zip(words, counts, strict=True)]
        totals = np.concatenate([[0], np.cumsum(np.array(counts, dtype=np.int64))])
        inside = (CHARACTERS.of(code_points(joined)) & (IN_WORD | MARK)) != 0
        first = np.flatnonzero(inside & ~np.concatenate([[False], inside[:-1]]))
        # The words before each text, and before the end.
        ends = np.concatenate([[0], np.cumsum(sizes + 1)])
        each: list[int] = np.diff(totals[np.searchsorted(first, ends)]).tolist()
        return each

    def _learned(self, words: list[str], part: re.Pattern[str]) -> dict[str, int]:
        """Count the tokens of words, and keep those that may come again."""
        parts = [part.findall(word) for word in words]
        unique = list(set().union(*parts))
        of_part = dict(zip(unique, self._joined(unique).tolist(), strict=True))
        counts = {word: sum(map(of_part.__getitem__, each)) for word, each in zip(words, parts, strict=True)}
        if len(self._remembered) > REMEMBERED_WORDS:
            self._remembered.clear()
        self._remembered |= {word: count for word, count in counts.items() if len(word) <= REMEMBERED_CHARACTERS}
        return counts

    def _joined(self, words: Sequence[str]) -> npt.NDArray[np.int64]:
        """Count the tokens of many short words at once: a text a word would cost more than the work itself."""
        ends = np.cumsum([len(word) + 1 for word in words], dtype=np.int64)
        tokens = self.spans([" ".join(words)])[0][:, 0]
        counts: npt.NDArray[np.int64] = np.bincount(np.searchsorted(ends, tokens, "right"), minlength=len(words))
        return counts

    def _encoded(self, texts: Sequence[str]) -> list[int]:
        counts = [0] * len(texts)
        for batch in batches(texts):
            encodings = self._inner.encode_batch_fast([piece for _, _, piece in batch], add_special_tokens=False)
            for (index, _, _), encoding in zip(batch, encodings, strict=True):
                counts[index] += len(encoding)
        return counts


class WordTokenizer:
    """Words and single punctuation marks, for the stub encoder: no files, no model."""

    digest = blake2b(WORD.pattern.encode(), digest_size=16).hexdigest()

    def spans(self, texts: Sequence[str]) -> list[Spans]:
        """Return the character spans (start, end) of each text's words, shape (words, 2)."""
        return [np.array([m.span() for m in WORD.finditer(t)], dtype=np.int64).reshape(-1, 2) for t in texts]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of words and punctuation marks of each text."""
        counts: list[int] = []
        for group, sizes in _groups(texts):
            # White space before each text: there is something to add up even of an empty one, and no word goes on.
            kinds = CHARACTERS.of(code_points(" ".join(["", *group])))
            inside = (kinds & IN_WORD).view(np.bool_)
            begins = (kinds & MARK) >> 1
            begins[1:] |= inside[1:] & ~inside[:-1]
            lengths = sizes + 1
            counts += np.add.reduceat(begins, np.cumsum(lengths) - lengths, dtype=np.int64).tolist()
        return counts


def _groups(texts: Sequence[str]) -> Iterator[tuple[Sequence[str], Ints]]:
    """Part texts into groups of bounded size, each with the lengths of its texts; one that is larger is one alone."""
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    ends = np.cumsum(sizes)
    first = done = 0
    while first < len(texts):
        end = max(first + 1, int(np.searchsorted(ends, done + BATCH_CHARACTERS, "right")))
        yield texts[first:end], sizes[first:end]
        first, done = end, int(ends[end - 1])


def tokenizer_digest(content: dict[str, Any]) -> str:
    """Return the identity of a tokenizer from its parsed `tokenizer.json`, without truncation and padding."""
    parts = {key: content.get(key) for key in DIGESTED}
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=16).hexdigest()


def part_pattern(content: dict[str, Any]) -> re.Pattern[str] | None:
    """Return what a word consists of whose tokens can be counted part by part; None where they cannot.

    BERT's rules part a text at white space, around every punctuation mark and around every Chinese character
    before anything else.

    Args:
        content: Parsed `tokenizer.json`.
    """
    normalizer, pre_tokenizer = (content.get(key) or {} for key in ("normalizer", "pre_tokenizer"))
    if normalizer.get("type") != "BertNormalizer" or pre_tokenizer.get("type") != "BertPreTokenizer":
        return None
    added = [token["content"] for token in content.get("added_tokens") or []]
    if not all(re.match(f"[{PUNCTUATION}]", token) for token in added):
        return None
    alone = PUNCTUATION + CHINESE if normalizer.get("handle_chinese_chars") else PUNCTUATION
    return re.compile("|".join([*map(re.escape, added), f"[{alone}]", f"[^{alone}]+"]))


def pieces(text: str) -> list[tuple[int, str]]:
    """Cut a text before white space into (offset, piece): no word is cut, so no token changes."""
    cut: list[tuple[int, str]] = []
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        gap = SPACE.search(text, start + PIECE_CHARACTERS)
        end = gap.start() if gap else len(text)
        cut.append((start, text[start:end]))
        start = end
    if start < len(text):
        cut.append((start, text[start:]))
    return cut


def batches(texts: Sequence[str]) -> list[list[tuple[int, int, str]]]:
    """Group the pieces of all texts, as (index of the text, offset, piece), into batches of bounded size."""
    groups: list[list[tuple[int, int, str]]] = []
    size = BATCH_CHARACTERS
    for index, text in enumerate(texts):
        for offset, piece in pieces(text):
            if size >= BATCH_CHARACTERS:
                groups.append([])
                size = 0
            groups[-1].append((index, offset, piece))
            size += len(piece)
    return groups
