"""Nothing that is run over what a user wrote takes worse than linear time."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flows.views.look import excerpt
from models.text.tokenizer import WordTokenizer, part_pattern, pieces
from storage.errors import words
from storage.html import read
from storage.redaction import redacted
from storage.remote import explained
from storage.sources.markup import page
from storage.sources.python import _first_sentence
from tasks.build.chunking.boundaries import find_boundaries
from tasks.build.chunking.joined import Joined
from tasks.curate.validation.docs import offline
from tasks.ingest.normalise import normalise

BERT = {"normalizer": {"type": "BertNormalizer", "handle_chinese_chars": True}}
PART = part_pattern(BERT | {"pre_tokenizer": {"type": "BertPreTokenizer"}, "added_tokens": [{"content": "[PAD]"}]})
assert PART is not None

# What HTML 5 has rules of its own for, opened and closed, beside the signs of tags and of sheets.
_TAGS = (
    "a b p i div span font li ul table tr td svg math select option form button h1 pre template dd dt ruby rt object"
    " nobr title textarea body html head caption marquee script style em x-y"
)
HTML = [form.format(tag) for tag in _TAGS.split() for form in ("<{}>", "</{}>")]
HTML += ["<a ", "<b id=1>", "<p class=x>", "<p style=display:none>", "<!-- ", "-->", ".x{opacity:0}", ".x p{opacity:0}"]
HTML += [*"x <&='\"{}/\\\x00", "a1=2 ", "&amp", "&#x41;", "</", "<!", "<?", "/*", "<![CDATA["]

# Beside each function what its patterns tell apart.
FUNCTIONS: dict[str, tuple[Callable[[str], Any], list[str]]] = {
    "markdown": (
        lambda text: page(text.encode(), "a.md"),
        ["# ", "#", "\t", " ", "a", "\n", "\r", "---", "---\n", "...", "title", "title:", "=", "-", "```", "~", "> "],
    ),
    "html": (lambda text: read(text.encode()), HTML),
    "rst": (lambda text: page(text.encode(), "a.rst"), ["=", "==", "-", " ", "\t", "a", "\n", "\x0b", "\u2028"]),
    "text": (lambda text: page(text.encode(), "a.txt"), ["a", "\x00", "\ufeff", "\n"]),
    "normalise": (normalise, ["a", " ", "\u3000", "\n", "\r", "\r\n", "\ufeff", "e\u0301"]),
    "boundaries": (
        lambda text: find_boundaries(Joined.of([text])),
        [*"aA.*_) \t\n\u3002\u300d#|(<", "# ", "===", "===\n", "~~~", "```", "@a\n", "def ", "pub(", "public ", "#["],
    ),
    "parts": (PART.findall, ["a", "[", "[PAD]", "!", "\u4e00", "PAD", "]"]),
    "words": (lambda text: WordTokenizer().spans([text]), ["a", " ", "!", "_", "\u4e00"]),
    "pieces": (pieces, ["a", " ", "\n", "\u3000"]),
    "redacted": (
        redacted,
        ["://", "/", "@", "a", ":", "?", "&", ";", "token", "token=", "key", "sig", ".", "-", " ", "'", "http"],
    ),
    "errors": (
        lambda text: words(OSError(text)),
        [" ", ",", " /", "/", "a", ".rs:", ".rs:1", "1", ":", "Debug source:", "\n", "Debug "],
    ),
    "explained": (
        lambda text: explained("s3://bucket", OSError(text)),
        [" in ", "1", ".", "s", "<Code>", "</Code>", "a", "-", "--", " ", " - ", "401 ", "."],
    ),
    "sentence": (_first_sentence, ["e.g.", "e.g. ", ".", " ", "! ", "a", "etc. ", "\n", "\n\n"]),
    "excerpt": (lambda text: excerpt(text, "tide harbour aaa"), ["tide ", "tide", "aaa ", "a", " ", "\n", "harbour,"]),
    "docs": (
        offline,
        [*"'> a)", "<link ", "<script ", "<img ", "<footer ", "src=", "https://", "url(", "url(http://", "</script>"],
    ),
}
KNOWN = {
    "html": [("", "<a ", ""), ("", "<span>a", ""), ("<body>", "<font>x ", ""), ("", "<div>", "x"), ("<p ", "a ", ">x")],
    "markdown": [("# a", "\t", "x"), ("# a ", "#", "x"), ("---\ntitle: a", " ", "x\n---\n"), ("---\ntitle:", " ", "x")],
    "errors": [("a", " ", "b")],
    "sentence": [("", "e.g. ", "")],
    "excerpt": [("", "tide ", "")],
    "docs": [("", "url(http://", "")],
}
LIMIT = 3.0  # a quadratic cost comes near to 4
CASES = 60
LARGEST = 16_384  # characters, about
SURE = 0.002  # seconds below which a time says nothing
ENOUGH = 0.02  # seconds above which no larger size is needed


def drawn(name: str) -> list[tuple[str, str, str]]:
    """Inputs of a function: what comes before, what is repeated, what comes after."""
    alphabet = FUNCTIONS[name][1]
    chance = random.Random(name)

    def text(most: int) -> str:
        return "".join(chance.choices(alphabet, k=chance.randint(0, most)))

    return KNOWN.get(name, []) + [(text(3), text(1) or chance.choice(alphabet), text(2)) for _ in range(CASES)]


def seconds(function: Callable[[str], Any], text: str, runs: int) -> float:
    """The least processor time of several runs, which other processes do not lengthen."""
    best = float("inf")
    for _ in range(runs):
        begun = time.thread_time()
        function(text)
        best = min(best, time.thread_time() - begun)
    return best


def growth(function: Callable[[str], Any], prefix: str, unit: str, suffix: str) -> float:
    """The worst ratio of times when the repeated part doubles, as the mean of two doublings."""

    def made(size: int) -> str:
        return prefix + unit * (size // len(unit)) + suffix

    worst, size, took = 0.0, 512, 0.0
    while size < LARGEST and took < ENOUGH:
        size *= 2
        took = seconds(function, made(size), 1)
        if took > SURE:
            ratio = (took / seconds(function, made(size // 4), 3)) ** 0.5
            if ratio > LIMIT:
                ratio = (seconds(function, made(size), 5) / seconds(function, made(size // 4), 5)) ** 0.5
            worst = max(worst, ratio)
    return worst


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The garbage collector's walks, at moments of its own, are no cost of a text either."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_does_not_grow_faster_than_a_text(name: str) -> None:
    function = FUNCTIONS[name][0]
    function("a")  # what is loaded or compiled at the first call is no cost of a text
    slow = [case for case in drawn(name) if growth(function, *case) > LIMIT]
    # What is not seen each time is the machine's doing.
    sure = (case for case in slow if all(growth(function, *case) > LIMIT for _ in range(3)))
    assert next(sure, None) is None
