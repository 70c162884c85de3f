"""The words of a question: which texts make one, when two are the same, and how they leave the text they came from."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["PASSAGE_LENGTH", "asks", "first_sentence", "plain", "tidy", "without"]

PASSAGE_LENGTH = 2_000  # characters: more than any window that is trained with
_LONGEST, _SHORTEST, _WORDS = 300, 12, 3
_TURNS = 8
_STOPS = ".!?:;"
_WORD = re.compile(r"\w+")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # scripts that put no space between words
_BARE = re.compile(r"^(?:[ \t]*#{1,6}[ \t]*#*|[ \t]*\[\]\(\S*\))[ \t]*$", re.MULTILINE)
_BLANK = re.compile(r"\n(?:[ \t]*\n){2,}")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|no|fig|eq)\.$", re.IGNORECASE)


def plain(question: str) -> str:
    """The words of a question and nothing else: two questions with the same ones are the same question."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", question).casefold()))


def asks(question: str) -> bool:
    """Whether a text is long enough, and enough of it is words, to ask for something."""
    wide = len(_WIDE.findall(question))
    long = len(question) + wide >= _SHORTEST and len(question) <= _LONGEST
    words = len(_LETTERS.findall(question)) + wide // 2
    return long and words >= _WORDS and len(question.split()) + wide // 2 >= _WORDS


def without(text: str, question: str) -> str | None:
    r"""Take the words of a question out of a text, wherever they stand in that order, whatever spaces part them.

    Args:
        text: The text.
        question: What is taken out, with the stop behind it, in any case.

    Returns:
        The text without it; None where what is left spells it again and again.
    """
    core = question.strip().rstrip(_STOPS)
    words = core.split()
    if not words:
        return text
    before = r"(?<!\w)" if re.match(r"\w", core) else ""
    after = r"(?!\w)" if re.match(r"\w", core[-1]) else ""
    pattern = re.compile(before + r"\s+".join(map(re.escape, words)) + after + f"[{_STOPS}]*", re.IGNORECASE)
    for _ in range(_TURNS):  # what stood on both sides may spell it anew
        text, found = pattern.subn(" ", text)
        if not found:
            return text
    return None


def tidy(text: str) -> str:
    """A passage as it is trained on: without what a removed heading leaves, and cut where it is too long."""
    found = _BLANK.sub("\n\n", _BARE.sub("", text)).strip()
    if len(found) <= PASSAGE_LENGTH:
        return found
    head = found[:PASSAGE_LENGTH]
    whole = head.rpartition(" ")[0]
    return (whole if len(whole) > PASSAGE_LENGTH // 2 else head).rstrip()


def first_sentence(text: str) -> str:
    """The first sentence of a text's first paragraph, its white space made single spaces."""
    paragraph = " ".join(text.lstrip().partition("\n\n")[0].split())
    for end in re.finditer(r"[.!?](?=\s)", paragraph):
        if not _ABBREVIATION.search(paragraph[max(0, end.end() - 8) : end.end()]):
            return paragraph[: end.end()]
    return paragraph
