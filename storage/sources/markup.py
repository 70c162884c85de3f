"""Titles and visible text of the kinds of file that a folder holds."""

from __future__ import annotations

import re
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, PageElement

from storage.sources.base import decode

__all__ = ["NAMES", "SUFFIXES", "Page", "kind_of", "page"]

_KINDS = {
    "markdown": ".md .markdown .mdown .mkd .mdx",
    "text": ".txt .text .log .org .adoc .asciidoc .tex",
    "html": ".html .htm .xhtml",
    "rst": ".rst .rest",
    "code": (
        ".py .pyi .js .mjs .cjs .jsx .ts .tsx .java .kt .kts .scala .groovy .c .h .cc .cpp .cxx .hpp .hh .cs .fs .go"
        " .rs .rb .php .pl .pm .r .jl .lua .swift .m .mm .dart .ex .exs .erl .hrl .clj .cljs .hs .ml .mli .el .lisp"
        " .scm .sh .bash .zsh .fish .ps1 .bat .sql .graphql .proto .tf .nix .vue .svelte .css .scss .sass .less .cmake"
        " .toml .yaml .yml .ini .cfg .zig .nim .v .vhd .sol .asm .s .f90 .f"
    ),
}
SUFFIXES: dict[str, str] = {suffix: kind for kind, suffixes in _KINDS.items() for suffix in suffixes.split()}
NAMES: dict[str, str] = {
    **dict.fromkeys(["readme", "license", "licence", "copying", "changelog", "changes", "authors", "notice"], "text"),
    **dict.fromkeys(["makefile", "dockerfile", "jenkinsfile", "justfile", "rakefile", "gemfile"], "code"),
}

# No pattern here may take more than linear time, whatever it is run over: a lazy or greedy part before another that
# takes the same characters does, and one line of a few kB would then hold a run, and its lease, for minutes.
# Titles stand at the top; looking further costs time on files that have none.
_TITLE_WINDOW = 64 * 1024
_TITLE_LENGTH = 300
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RST_LINE = re.compile(r"([!-/:-@\[-`{-~])\1+\s*$")
_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hgroup html li main menu nav ol p pre section summary table tbody tfoot
    thead tr ul""".split()  # noqa: SIM905 - a list of fifty quoted words reads worse
)
_BREAKS = {"br": "\n", "hr": "\n", "td": " ", "th": " "}
_SPACES = re.compile(r"\s+")
_UNSEEN = ["script", "style", "template", "noscript", "head", "svg", "iframe", "object"]
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


class Page(NamedTuple):
    """What a reader of a file sees."""

    text: str
    title: str | None


def kind_of(name: str) -> str | None:
    """Tell the kind of a file by its name: `markdown`, `text`, `html`, `rst`, `code`, or None."""
    stem, dot, suffix = name.rpartition(".")
    if dot and stem:
        return SUFFIXES.get("." + suffix.lower())
    return NAMES.get(name.lower())


def page(raw: bytes, name: str) -> Page:
    """Decode a file and find its title; of HTML only the visible text remains."""
    kind = kind_of(name)
    if kind == "html":
        return _html(raw)
    text = decode(raw)
    title = None
    if kind == "code":
        title = name
    elif kind == "markdown":
        title = _markdown_title(text[:_TITLE_WINDOW])
    elif kind == "rst":
        title = _rst_title(text[:_TITLE_WINDOW])
    return Page(text, _tidy(title))


def _tidy(title: str | None) -> str | None:
    return " ".join(title.split())[:_TITLE_LENGTH] or None if title else None


def _markdown_title(text: str) -> str | None:
    front = _FRONT_MATTER.match(text)
    if front:
        title = _front_title(front[1]).strip("\"'")
        if title:
            return title
        text = text[front.end() :]
    fence = ""
    previous = ""
    for line in text.splitlines():
        if fence:
            if line.strip().startswith(fence):
                fence = ""
            continue
        opening = _FENCE.match(line)
        if opening:
            fence, previous = opening[1], ""
        elif heading := _heading(line):
            return heading
        elif previous.strip() and _SETEXT.match(line):
            return previous
        else:
            # A list item, a quote or a table row above a rule is no heading.
            previous = "" if line.lstrip().startswith(("-", "*", "+", ">", "|")) else line
    return None


def _front_title(front: str) -> str:
    """The first `title:` of front matter, with its quotes; empty where there is none."""
    for line in front.split("\n"):
        name, colon, value = line.partition(":")
        if colon and value and name.startswith("title") and not name[5:].strip(" \t"):
            # A title of spaces is one all the same: no other is looked for.
            kept = value.lstrip(" \t") or value[-1]
            return kept.rstrip(" \t\r") or kept[0]
    return ""


def _heading(line: str) -> str:
    """The text of an ATX heading without its closing `#`; empty where the line is none."""
    opening = _HEADING.match(line)
    return line[opening.end() :].rstrip(" \t").rstrip("#").rstrip(" \t") if opening else ""


def _rst_title(text: str) -> str | None:
    previous = ""
    for line in text.splitlines():
        if _RST_LINE.match(line):
            heading = previous.strip()
            if heading and not _RST_LINE.match(previous) and len(line.rstrip()) >= len(heading):
                return heading
        previous = line
    return None


def _html(raw: bytes) -> Page:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = EncodingDetector.find_declared_encoding(raw[:4096], is_html=True)
        try:
            text = raw.decode(declared) if declared and declared.lower() not in {"utf-8", "utf8"} else decode(raw)
        except (LookupError, UnicodeDecodeError):
            text = decode(raw)
    soup = BeautifulSoup(text, "html.parser")
    title = soup.title.get_text() if soup.title else None
    for tag in soup.find_all(_UNSEEN):
        tag.extract()
    for tag in soup.find_all(_hidden):
        tag.extract()
    return Page(_visible_text(soup), _tidy(title))


def _hidden(tag: Tag) -> bool:
    return tag.has_attr("hidden") or bool(_HIDDEN_STYLE.search(str(tag.get("style") or "")))


def _visible_text(soup: BeautifulSoup) -> str:
    """Join the text nodes: a line a block, runs of white space inside a line as one space, `<pre>` as it is."""
    blocks: list[str] = []
    pieces: list[str] = []
    current: PageElement | None = None
    for node in soup.descendants:
        if isinstance(node, Tag):
            if node.name in _BREAKS:
                pieces.append(_BREAKS[node.name])
            continue
        # Comments, doctypes and declarations are subclasses; what a reader sees is the class itself.
        if type(node) is not NavigableString:
            continue
        block = node.parent
        while block is not None and block.name not in _BLOCKS:
            block = block.parent
        if block is not current:
            blocks.append(_block_text(pieces, current))
            pieces, current = [], block
        pieces.append(str(node) if _preformatted(block) else _SPACES.sub(" ", str(node)))
    blocks.append(_block_text(pieces, current))
    return "\n".join(block for block in blocks if block)


def _preformatted(block: PageElement | None) -> bool:
    return isinstance(block, Tag) and block.name == "pre"


def _block_text(pieces: list[str], block: PageElement | None) -> str:
    text = "".join(pieces)
    if _preformatted(block):
        return text.strip("\n")
    return "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
