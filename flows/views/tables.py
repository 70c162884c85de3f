"""The one table of all views: it fits any width without folding a word or cutting an id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from flows.views.lines import Pairs, longest_word

__all__ = ["Rows", "table"]

GAP = 2  # cells between two columns
WHOLE = 32  # cells up to which a text stays on one line
EASY = 24  # cells that a longer one gets at least: below that it becomes a tower of single words


@dataclass(frozen=True, eq=False)
class Column:
    """One column: what it needs and what it would like.

    Attributes:
        name: Its heading.
        right: It holds numbers.
        natural: Cells of its longest line.
        least: Cells below which it would fold a word, or a text into a tower.
        alike: All rows say the same.
        cells: What it holds.
    """

    name: str
    right: bool
    natural: int
    least: int
    alike: bool
    cells: Sequence[RenderableType]

    @property
    def says(self) -> bool:
        """Whether any row has something in it."""
        return any(str(cell) for cell in self.cells)


@dataclass
class Rows:
    """A table that is laid out when its width is known.

    Where there is no room for all, columns are left out: first those that say the same in every row, which is told
    once below, then the others from the end of `optional`. Where even the needed ones do not fit, each row becomes a
    few lines of names and values.

    Attributes:
        columns: Headings.
        right: Positions of the columns of numbers.
        optional: Headings of the columns that may be left out, the most important first.
    """

    columns: Sequence[str]
    right: Sequence[int] = ()
    optional: Sequence[str] = ()
    rows: list[tuple[Sequence[RenderableType], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse a heading that is not there: a table would silently keep its column."""
        if unknown := {*self.optional} - {*self.columns}:
            raise ValueError(f"a table has no columns {sorted(unknown)}")

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def add_row(self, *cells: RenderableType, style: str = "") -> None:
        """Add a row.

        Args:
            *cells: One a column.
            style: Of the whole row.
        """
        if len(cells) != len(self.columns):
            raise ValueError(f"a row of {len(cells)} cells in a table of {len(self.columns)} columns")
        self.rows.append((cells, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay it out and draw it."""
        columns = [self._column(position, console, options) for position in range(len(self.columns))]
        shown = self._chosen(columns, options.max_width)
        if _needed(shown) > options.max_width:
            yield from self._records()
            return
        widths = _widths(shown, options.max_width)
        made = Table(box=box.SIMPLE_HEAD, header_style="cyan", pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
        for column, width in zip(shown, widths, strict=True):
            justify = "right" if column.right else "left"
            made.add_column(column.name, justify=justify, width=width, overflow="fold")  # type: ignore[arg-type]
        for position, (_, style) in enumerate(self.rows):
            made.add_row(*(column.cells[position] for column in shown), style=style)
        yield made
        yield from _left_out([column for column in columns if column not in shown])

    def _column(self, position: int, console: Console, options: ConsoleOptions) -> Column:
        name = self.columns[position]
        cells = [cells[position] for cells, _ in self.rows]
        natural, word = Text(name).cell_len, longest_word(name)
        for cell in cells:
            if isinstance(cell, str | Text):
                lines = str(cell).splitlines()
                natural = max(natural, *(Text(line).cell_len for line in lines or [""]))
                word = max(word, longest_word(cell))
            else:
                natural = word = max(natural, Measurement.get(console, options, cell).maximum)
        said = {str(cell) for cell in cells}
        alike = len(cells) > 1 and len(said) == 1
        least = natural if natural <= WHOLE else max(word, EASY)
        return Column(name, position in self.right, natural, least, alike, cells)

    def _chosen(self, columns: Sequence[Column], width: int) -> list[Column]:
        """The columns that there is room for, in their order."""
        chosen = [column for column in columns if column.name not in self.optional]
        others = [column for name in self.optional for column in columns if column.name == name and column.says]
        for column in sorted(others, key=lambda column: column.alike):
            if _needed([*chosen, column]) <= width:
                chosen.append(column)
        return [column for column in columns if column in chosen]

    def _records(self) -> Iterator[RenderableType]:
        """Each row as names and values; a column without a heading marks the first value."""
        for position, (cells, style) in enumerate(self.rows):
            mark, pairs = Text(""), list[tuple[str, Text]]()
            for name, cell in zip(self.columns, cells, strict=True):
                if not isinstance(cell, str | Text) or not str(cell):
                    continue  # a bar says what a figure beside it says
                text = Text(cell, style=style) if isinstance(cell, str) else cell.copy()
                if name:
                    pairs.append((name, Text.assemble(mark, " ", text) if mark.plain else text))
                    mark = Text("")
                else:
                    mark = text
            if position:
                yield Text("")
            yield Pairs(pairs)


def table(*columns: str, right: Sequence[int] = (), optional: Sequence[str] = ()) -> Rows:
    """Make an empty table in the house's look.

    Args:
        *columns: Headings.
        right: Positions of the columns of numbers.
        optional: Headings of the columns that may be left out where there is no room, the most important first.
    """
    return Rows(columns, right, optional)


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.least for column in columns) + GAP * max(0, len(columns) - 1)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Share the room: each column gets what it needs, the rest goes in equal parts to those that would like more."""
    widths, rest = [column.least for column in columns], width - _needed(columns)
    while rest > 0 and (wanting := [at for at, column in enumerate(columns) if widths[at] < column.natural]):
        for at in wanting:
            more = min(max(1, rest // len(wanting)), columns[at].natural - widths[at], rest)
            widths[at] += more
            rest -= more
    return widths


def _left_out(columns: Sequence[Column]) -> Iterator[RenderableType]:
    """Tell what there was no room for: what is alike in all rows with its value."""
    told = [column for column in columns if column.says and column.name]
    alike = [f"{column.name} {column.cells[0]}" for column in told if column.alike]
    others = [column.name for column in told if not column.alike]
    if alike:
        yield Text(f"in every row: {'; '.join(alike)}", style="dim")
    if others:
        yield Text(f"no room for: {', '.join(others)} (a wider terminal or --json shows it)", style="dim")
