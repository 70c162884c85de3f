"""The kinds of file that a folder holds, and the titles of those that are text as they are."""

from __future__ import annotations

import re
from typing import NamedTuple

from storage.encoding import UTF_8, decode

__all__ = ["NAMES", "SUFFIXES", "Page", "kind_of", "page", "tidy", "unknown"]

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
_SUFFIX_LENGTH = 12  # of a suffix that is told; longer ones are parts of names
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RST_LINE = re.compile(r"([!-/:-@\[-`{-~])\1+\s*$")


class Page(NamedTuple):
    """What a reader of a file sees, or why nothing; `hidden` counts the characters of HTML that its styles hide."""

    text: str
    title: str | None
    problem: str | None = None
    hidden: int = 0


def kind_of(name: str) -> str | None:
    """Tell the kind of a file by its name: `markdown`, `text`, `html`, `rst`, `code`, or None."""
    stem, dot, suffix = name.rpartition(".")
    if dot and stem:
        return SUFFIXES.get("." + suffix.lower())
    return NAMES.get(name.lower())


def unknown(name: str) -> str:
    """Say of a file of no known kind which suffix it has, as a reason to pass it over."""
    stem, dot, suffix = name.rpartition(".")
    known_form = dot and stem and suffix.isascii() and suffix.isalnum() and len(suffix) <= _SUFFIX_LENGTH
    return f"unknown suffix .{suffix.lower()}" if known_form else "no known suffix"


def page(raw: bytes, name: str, encoding: str = UTF_8) -> Page:
    """Decode a file of any kind but HTML, which `storage.sources.worker` reads, and find its title."""
    kind = kind_of(name)
    text = decode(raw, encoding)
    title = None
    if kind == "code":
        title = name
    elif kind == "markdown":
        title = _markdown_title(text[:_TITLE_WINDOW])
    elif kind == "rst":
        title = _rst_title(text[:_TITLE_WINDOW])
    return Page(text, tidy(title))


def tidy(title: str | None) -> str | None:
    """A title on one line, cut where it is long; None where nothing is left of it."""
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
