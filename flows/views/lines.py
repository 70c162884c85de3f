"""Lines of a terminal: without trailing blanks, hung behind a prefix, folded between words alone.

A word that is wider than the terminal stays whole too: the terminal wraps it, and who copies it gets it in one piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

__all__ = ["Hint", "Hung", "Pairs", "Terminal", "Trimmed", "below", "hung", "longest_word"]

WORD = re.compile(r"^\s+|\S+\s*")  # with the blanks behind it
GAP = 2  # blanks between a prefix and what hangs behind it
NARROWEST = 12  # cells that something is still hung into


class Terminal(Console):
    """Where a command draws its result.

    Args:
        hints: Whether what to do next is told.
        **options: Of the console.
    """

    def __init__(self, *, hints: bool = True, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, markup=False, **options)
        self.hints = hints

    def draw(self, view: RenderableType) -> None:
        """Draw a view: no word folded or cut, no blanks at the end of a line."""
        self.print(Trimmed(_whole(view)), crop=False)


@dataclass(frozen=True)
class Hint:
    """What to do next: nothing where only results are wanted."""

    view: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, unless the console wants none."""
        if getattr(console, "hints", True):
            yield self.view


@dataclass(frozen=True)
class Trimmed:
    """A view whose lines end with their last letter: whoever pipes or copies them gets no blanks."""

    view: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it line by line."""
        for line in Segment.split_lines(console.render(self.view, options)):
            yield from _trimmed(line)
            yield Segment.line()


@dataclass(frozen=True)
class Pairs:
    """Names and values side by side; a value that does not fit beside its name goes below it.

    Attributes:
        rows: Two texts each, or three: the second is then a number that the third explains.
    """

    rows: Sequence[Sequence[str | Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw one after the other."""
        names = max((_cells(row[0]) for row in self.rows), default=0)
        numbers = max((_cells(row[1]) for row in self.rows if len(row) > 2), default=0)
        for name, *values in self.rows:
            prefix = Text(style="dim").append_text(_text(name))
            prefix.pad_right(names - _cells(name) + GAP)
            if len(values) > 1:
                number = _text(values[0])
                number.pad_left(numbers - _cells(number))
                prefix = Text.assemble(prefix, number, " " * GAP)
            yield hung(prefix, _text(values[-1]), options.max_width)


@dataclass(frozen=True)
class Hung:
    """A text behind a prefix, as `hung` lays it out once the width is known."""

    prefix: Text
    body: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        yield hung(self.prefix, self.body, options.max_width)


def hung(prefix: Text, body: Text, width: int) -> RenderableType:
    """Hang a text behind a prefix; below it where its longest word does not fit beside it.

    Args:
        prefix: With the blanks that part it from the text.
        body: The text; it is folded between words.
        width: Cells of a line.
    """
    indent, word = _cells(prefix), longest_word(body)
    beside = width - indent
    if beside < min(NARROWEST, _cells(body)) or beside < word:
        lead = GAP if word <= width - GAP else 0
        lines = folded(body, max(1, width - lead))
        return Group(prefix, *(_line(" " * lead, line) for line in lines))
    first, *rest = folded(body, beside) or [Text("")]
    return Group(_line(prefix, first), *(_line(" " * indent, line) for line in rest))


def folded(text: Text, width: int) -> list[Text]:
    """Fold a text between its words; rich would cut a word that is wider, or not fold at all.

    Args:
        text: The text, of any number of lines.
        width: Cells of a line; only a single word is wider.
    """
    found = list[Text]()
    for line in text.split("\n", allow_blank=True):
        places, used = list[int](), 0
        for word in WORD.finditer(line.plain):
            cells = cell_len(word[0])
            if used and used + cell_len(word[0].rstrip()) > width:
                places.append(word.start())
                used = 0
            used += cells
        for part in line.divide(places):
            part.rstrip()
            found.append(part)
    return found


@dataclass(frozen=True)
class Paragraph:
    """A text on its own, folded between words."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        for line in folded(self.text, options.max_width):
            yield _line(line)


def below(view: RenderableType, gap: int = 1) -> RenderableType:
    """Draw a view below some blank lines."""
    return Group(*(Text("") for _ in range(gap)), view)


def longest_word(text: str | Text) -> int:
    """Cells of the longest word of a text: what may not be folded."""
    plain = text if isinstance(text, str) else text.plain
    return max(map(cell_len, plain.split()), default=0)


def _line(*parts: str | Text) -> Text:
    """One line that rich leaves as it is, however wide."""
    return Text.assemble(*parts, no_wrap=True, overflow="ignore")


def _cells(text: str | Text) -> int:
    """Cells of the longest line of a text."""
    plain = text if isinstance(text, str) else text.plain
    return max(map(cell_len, plain.splitlines()), default=0)


def _text(value: str | Text) -> Text:
    return Text(value) if isinstance(value, str) else value.copy()


def _whole(view: RenderableType) -> RenderableType:
    """A view whose texts fold between words alone, however deep they lie in groups."""
    if isinstance(view, str | Text):
        return Paragraph(_text(view))
    if isinstance(view, Hint):
        return Hint(_whole(view.view))
    return Group(*map(_whole, view.renderables)) if isinstance(view, Group) else view


def _trimmed(line: Iterable[Segment]) -> Iterator[Segment]:
    """The segments of a line without the blanks at its end."""
    segments = list(line)
    while segments and not segments[-1].control and not segments[-1].text.rstrip(" "):
        segments.pop()
    *most, last = segments or [Segment("")]
    yield from most
    yield Segment(last.text.rstrip(" "), last.style, last.control)
