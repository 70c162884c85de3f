"""What of a page its styles hide: those of its elements, and those of the sheets that the page itself holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from storage.colours import FAINT, NUMBER, Colour, colour_of, number_of, paper_of, same, transparent

__all__ = ["Look", "Sheet", "declarations", "hides"]

Declared = dict[str, tuple[str, bool]]
"""Property to its value, in lower case, and whether it is marked as important."""

# What can hide text; everything else in a sheet is passed over.
_PROPERTIES = frozenset(
    """background background-clip background-color background-image -webkit-background-clip bottom clip clip-path color
    display font font-size height left margin-left margin-top max-height max-width opacity overflow overflow-x
    overflow-y position right text-indent text-shadow top transform visibility width""".split()  # noqa: SIM905
)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_STRING = r"\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)"
_SIGN = re.compile(rf"{_STRING}|[{{}};]|\\.?|[^{{}};\"'\\]++", re.DOTALL)
_DECLARATION = re.compile(rf"(?:{_STRING}|\([^)]*+(?:\)|\Z)|\\.?|[^;\"'(\\]++)++", re.DOTALL)
_FONT_SIZE = re.compile(r"(?:^|\s)([+-]?[\d.]+(?:px|pt|r?em|ex|ch|%|vw|vh|cm|mm|in|pc)?)(?=\s|/|$)")
_COMPOUND = re.compile(r"([a-z*][a-z0-9-]*)?((?:[.#][\w\u0080-\uffff-]+)*)")
_PART = re.compile(r"[.#][^.#]+")
_MEDIA = frozenset(["", "all", "screen", "only screen"])
_RULES = 512  # compounds of selectors that are heeded: each may be looked at once an element
_CHAIN = 6  # compounds of one selector

# How far outside a length lies, by its unit: that many of it are beyond every screen.
_FAR = {"": 500.0, "px": 500.0, "pt": 400.0, "%": 100.0, "vw": 100.0, "vh": 100.0, "cm": 13.0, "mm": 130.0, "in": 5.0}
_FAR_BESIDE = 5_000.0  # px to the right or below, where people do scroll
_TINY = {"px": 1.0, "pt": 1.0, "": 0.0, "em": 0.08, "rem": 0.08, "%": 8.0}  # at most, of a font that nobody reads


class Look(NamedTuple):
    """What an element hands on to those in it: whether nothing of it shows, and what they may take back."""

    gone: bool = False
    invisible: bool = False
    tiny: bool = False
    clear: bool = False
    clipped: bool = False
    ink: Colour | None = None  # of the letters, and what they stand on; None where the page does not say it
    paper: Colour | None = None

    @property
    def hidden(self) -> bool:
        """Whether a reader sees nothing of a text there."""
        return self.gone or self.invisible or self.tiny or self.clear or self.clipped or same(self.ink, self.paper)

    def within(self, declared: Mapping[str, str]) -> Look:
        """The look of a child of which these properties are declared."""
        visibility, colour = declared.get("visibility"), declared.get("color")
        invisible = self.invisible if visibility in (None, "inherit") else visibility in ("hidden", "collapse")
        clear = self.clear if colour in (None, "inherit", "currentcolor") else transparent(str(colour))
        clear = clear and not any(name.endswith("background-clip") for name in declared)  # letters of a picture
        # What is fixed to the window is not cut by the box it stands in.
        clipped = (self.clipped and declared.get("position") != "fixed") or _clipped(declared)
        ink = self.ink if colour in (None, "inherit", "currentcolor") else colour_of(str(colour))
        if declared.get("text-shadow", "none") != "none":
            ink = None  # which shows letters of whatever colour
        gone, tiny = self.gone or _gone(declared), _tiny(declared, self.tiny)
        return Look(gone, invisible, tiny, clear, clipped, ink, paper_of(declared, self.paper))


def hides(declared: Declared) -> bool:
    """Tell whether these declarations alone hide what is in an element."""
    return Look().within({name: value for name, (value, _) in declared.items()}).hidden


def declarations(text: str) -> Declared:
    """Read the declarations of a block or of a `style` attribute, those that can hide text."""
    found: Declared = {}
    for part in _DECLARATION.findall(_COMMENT.sub("", text)):
        name, colon, value = part.partition(":")
        name = _unescaped(name).strip().lower()
        if not colon or name not in _PROPERTIES:
            continue
        value = _unescaped(value).strip().lower()
        before, mark, important = value.rpartition("!")
        marked = bool(mark) and important.strip() == "important"
        if marked or not found.get(name, ("", False))[1]:
            found[name] = (before.strip() if marked else value, marked)
    return found


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _character(found[1]) if found[1] else found[2], text)


def _character(digits: str) -> str:
    code = int(digits, 16)
    return chr(code) if 0 < code <= 0x10FFFF else "\ufffd"


def _gone(declared: Mapping[str, str]) -> bool:
    """Whether an element takes its whole content with it, which nothing inside can take back."""
    if declared.get("display") == "none" or number_of(declared.get("opacity", "1"), 1.0) <= FAINT:
        return True
    if declared.get("transform", "").replace(" ", "").startswith(("scale(0)", "scale(0,0)", "scale3d(0,0,0)")):
        return True
    if any(_beyond(declared.get(name), -1) for name in ("text-indent", "margin-left", "margin-top")):
        return True
    if declared.get("position") in ("absolute", "fixed") and _cut_away(declared):
        return True
    return declared.get("position") in ("absolute", "fixed", "relative", "sticky") and _away(declared)


def _clipped(declared: Mapping[str, str]) -> bool:
    """Whether an element is a box of no size that cuts off what is beyond it."""
    cuts = "hidden" in {declared.get(name) for name in ("overflow", "overflow-x", "overflow-y")}
    return cuts and any(_no_length(declared.get(name)) for name in ("width", "height", "max-width", "max-height"))


def _cut_away(declared: Mapping[str, str]) -> bool:
    clip, path = declared.get("clip", ""), declared.get("clip-path", "").replace(" ", "")
    if clip.startswith("rect"):
        edges = [float(found[1]) for found in NUMBER.finditer(clip)]
        return len(edges) == 4 and max(edges) <= 1
    return path.startswith(("inset(50%", "inset(100%", "circle(0", "polygon(00,00"))


def _away(declared: Mapping[str, str]) -> bool:
    if any(_beyond(declared.get(name), -1) for name in ("left", "top", "right", "bottom")):
        return True
    return any(_beyond(declared.get(name), 1, _FAR_BESIDE / _FAR["px"]) for name in ("left", "top"))


def _beyond(value: str | None, sign: int, times: float = 1.0) -> bool:
    found = NUMBER.fullmatch(value or "")
    if not found:
        return False
    unit = found[2] or ""
    return sign * float(found[1]) >= _FAR.get(unit, 50.0) * times


def _no_length(value: str | None) -> bool:
    found = NUMBER.fullmatch(value or "")
    return found is not None and abs(float(found[1])) <= (1 if found[2] == "px" else 0)


def _tiny(declared: Mapping[str, str], inherited: bool) -> bool:
    """Whether letters are too small to be seen."""
    size = declared.get("font-size")
    if size is None and (font := declared.get("font")):
        shown = _FONT_SIZE.search(font)
        size = shown[1] if shown else "medium"
    found = NUMBER.fullmatch(size or "")
    if size is None or size == "inherit" or (inherited and found and found[2] in ("em", "%", "ex", "ch")):
        return inherited  # a share of nothing is nothing
    return found is not None and float(found[1]) <= _TINY.get(found[2] or "", 0.0)


class _Compound(NamedTuple):
    """One part of a selector: the tag, the classes and the id that an element must have."""

    tag: str
    classes: frozenset[str]
    id: str

    @property
    def key(self) -> str:
        """What an element must have at least, by which a sheet is looked up."""
        return f"#{self.id}" if self.id else f".{min(self.classes)}" if self.classes else self.tag

    def holds(self, tag: str, classes: frozenset[str], identity: str) -> bool:
        return self.tag in ("*", tag) and self.id in ("", identity) and self.classes <= classes


@dataclass(frozen=True)
class _Rule:
    """A selector with what it declares; `children[i]` tells whether part i must be a child of part i - 1."""

    parts: Sequence[_Compound]
    children: Sequence[bool]
    specificity: tuple[int, int, int, int]
    declared: Declared


_State = tuple[int, int]
_NOTHING: frozenset[_State] = frozenset()


@dataclass
class Sheet:
    """The rules of a page that can hide text: tags, classes and ids, in each other or as children.

    What else a selector may ask for (states, attributes, neighbours) is not heeded: such a rule is left out. Selectors
    are followed downwards, from an element to those in it, so that no element looks up its ancestors.
    """

    _rules: list[_Rule] = field(default_factory=list)
    _by_key: dict[str, list[_State]] = field(default_factory=dict)
    _size: int = 0

    def add(self, text: str) -> None:
        """Add the rules of one `<style>`."""
        for prelude, body in _blocks(_COMMENT.sub("", text)):
            declared = declarations(body)
            if not declared:
                continue
            for selector in prelude.split(","):
                self._add(selector, declared)

    def _add(self, selector: str, declared: Declared) -> None:
        parsed = _selector(selector)
        if parsed is None or self._size + len(parsed[0]) > _RULES:
            return
        parts, children = parsed
        ids, classes = sum(bool(part.id) for part in parts), sum(len(part.classes) for part in parts)
        tags = sum(part.tag != "*" for part in parts)
        self._rules.append(_Rule(parts, children, (ids, classes, tags, len(self._rules)), declared))
        self._size += len(parts)
        for at, part in enumerate(parts):
            self._by_key.setdefault(part.key, []).append((len(self._rules) - 1, at))

    def matched(
        self, tag: str, classes: frozenset[str], identity: str, above: frozenset[_State], parent: frozenset[_State]
    ) -> frozenset[_State]:
        """Which parts of which selectors hold at an element.

        Args:
            tag: Its name.
            classes: Its classes.
            identity: Its id, empty where it has none.
            above: What held at all of its ancestors together.
            parent: What held at its parent.
        """
        if not self._rules:
            return _NOTHING
        keys = ["*", tag, *(f".{name}" for name in classes), *([f"#{identity}"] if identity else [])]
        found = set()
        for key in keys:
            for rule, at in self._by_key.get(key, ()):
                chosen = self._rules[rule]
                led = at == 0 or (rule, at - 1) in (parent if chosen.children[at] else above)
                if led and chosen.parts[at].holds(tag, classes, identity):
                    found.add((rule, at))
        return frozenset(found) if found else _NOTHING

    def declared(self, matched: frozenset[_State], own: str | None) -> dict[str, str]:
        """The properties of an element: of the rules that hold whole, by their weight, and of its own `style`.

        Args:
            matched: What holds at the element.
            own: Its `style` attribute.
        """
        rules = [self._rules[rule] for rule, at in matched if at == len(self._rules[rule].parts) - 1]
        found: Declared = {}
        for declared in [
            *(rule.declared for rule in sorted(rules, key=lambda rule: rule.specificity)),
            declarations(own) if own else {},
        ]:
            for name, (value, important) in declared.items():
                if important or not found.get(name, ("", False))[1]:
                    found[name] = (value, important)
        return {name: value for name, (value, _) in found.items()}


def _selector(text: str) -> tuple[Sequence[_Compound], Sequence[bool]] | None:
    """Read a selector of tags, classes and ids; None where it asks for more than these."""
    parts: list[_Compound] = []
    children: list[bool] = []
    child = False
    for part in text.replace(">", " > ").split():
        if part == ">":
            child = True
            continue
        word = _unescaped(part)
        # Names of elements have no case in HTML, those of classes have.
        end = next((at for at, sign in enumerate(word) if sign in ".#"), len(word))
        found = _COMPOUND.fullmatch(word[:end].lower() + word[end:])
        if not found or len(parts) == _CHAIN:
            return None
        names = _PART.findall(found[2])
        identity = [name[1:] for name in names if name[0] == "#"]
        classes = frozenset(name[1:] for name in names if name[0] == ".")
        parts.append(_Compound(found[1] or "*", classes, identity[0] if identity else ""))
        children.append(child)
        child = False
    return (parts, children) if parts and not child else None


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield each block with what stands before it; blocks for other media than a screen are left out."""
    modes = ["rules"]
    prelude: list[str] = []
    body: list[str] = []
    for sign in _SIGN.findall(text):
        if sign == "{":
            modes.append(_mode(modes[-1], "".join(prelude)))
            if modes[-1] == "rules":
                prelude = []
        elif sign == "}":
            ended = modes.pop() if len(modes) > 1 else "rules"
            if ended == "block":
                yield "".join(prelude), "".join(body)
            if modes[-1] != "block":
                prelude, body = [], []
        elif modes[-1] == "block":
            body.append(sign)
        elif modes[-1] == "rules":
            prelude = [] if sign == ";" else [*prelude, sign]
    if modes[-1] == "block":  # a sheet that ends too early holds as far as it goes
        yield "".join(prelude), "".join(body)


def _mode(around: str, prelude: str) -> str:
    if around != "rules":
        return "other"
    prelude = prelude.strip().lower()
    if not prelude.startswith("@"):
        return "block"
    name, _, condition = prelude.partition(" ")
    return "rules" if name in ("@layer", "@supports") or (name == "@media" and condition.strip() in _MEDIA) else "other"
