"""What the structure of a document gives."""

from __future__ import annotations

from tasks.learn.config import PairsConfig
from tasks.learn.kinds import KINDS, Page
from tasks.learn.kinds.base import Cut

MARKDOWN = """# The harbour of **Dover**

Ships come and go.

## 1. [How to moor](moor.md) `well` {#moor}

Use two lines.

```sh
# this is no heading
```

How tides turn
==============
They turn twice.

| a | b |
---
"""

FUNCTION = """def tides.turn(place, *, at)

Tell when the tide turns
at a place. It looks into the tables of the harbour, which are made once a year.

return table[place]"""


def cuts(kind: str, page: Page) -> list[Cut]:
    return list(KINDS[kind](page))


def test_every_kind_of_the_configuration_that_looks_at_structure_has_a_row() -> None:
    assert set(PairsConfig().kinds) - set(KINDS) == {"judged", "feedback", "synthetic"}


def test_the_queries_of_a_document_ask_for_its_text() -> None:
    assert cuts("queries", Page("", "text", ["when is\nebb", "why"])) == [("when is ebb", "text"), ("why", "text")]


def test_a_title_asks_for_the_text() -> None:
    assert cuts("titles", Page("The  tide", "text")) == [("The tide", "text")]
    assert cuts("titles", Page("", "text")) == []


def test_a_heading_asks_for_its_section() -> None:
    found = cuts("headings", Page("", MARKDOWN))
    assert [cut.question for cut in found] == ["The harbour of Dover", "How to moor well", "How tides turn"]
    assert found[0].passage.strip() == "Ships come and go."
    assert found[1].passage.strip() == "Use two lines.\n\n```sh\n# this is no heading\n```"
    assert found[2].passage.strip().startswith("They turn twice.")


def test_the_first_sentence_of_a_docstring_asks_for_the_rest() -> None:
    [cut] = cuts("docstrings", Page("", FUNCTION))
    assert cut == ("Tell when the tide turns at a place.", FUNCTION)


def test_a_docstring_without_a_sentence_asks_nothing() -> None:
    for body in ("Parameters\n----------\nplace : where it is.", ":param place: where.", "An odd start without a stop"):
        assert cuts("docstrings", Page("", f"def f(x)\n{body}\n\n{'more text ' * 20}")) == []
    assert cuts("docstrings", Page("", "Tell when the tide turns. " * 9)) == []
    assert cuts("docstrings", Page("", "def f(x)\nTell when the tide turns.")) == []
