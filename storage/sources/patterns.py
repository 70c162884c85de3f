"""Patterns on the paths of a folder, as `.gitignore` has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

__all__ = ["Taken", "hidden_names", "matcher"]

Taken = Callable[[str], bool]
"""Tells whether patterns hold for a path below the root; a folder's path ends in `/`."""

_CROSSINGS = 2  # `**` between folders: each may stand for any of the folders of a path
_SIGN = r"(?:\\.|\[\^/\](?![*+])|\[(?!\^/\])[^\]]+\]|[^\\\[\]()*+?/$^|])"
_STARS = re.compile(r"(?:\[\^/\]\*){2,}")
_STAR = re.compile(rf"\[\^/\]\*({_SIGN}+)(?=\[\^/\]\*)")


def matcher(patterns: Sequence[str]) -> Taken | None:
    """Compile patterns: the last one that matches decides, and one that begins with `!` decides against.

    Args:
        patterns: Lines of a `.gitignore`; a leading `./` is left out.

    Returns:
        What tells whether they hold; None where there are no patterns.

    Raises:
        ValueError: A pattern is malformed, or none of them takes anything.
    """
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec  # 30 ms, which a source without patterns does not pay

    compiled = GitIgnoreSpec.from_lines(map(_checked, patterns), backend="simple")
    for pattern in compiled.patterns:
        if pattern.regex is not None:
            pattern.regex = re.compile(_linear(pattern.regex.pattern))
    if not any(pattern.include for pattern in compiled.patterns):
        raise ValueError(f"patterns {list(patterns)!r} take nothing: each one begins with '!'")
    match = compiled.match_file
    # Without separators: a backslash is a character of a name like any other.
    return lambda path: match(path, ())


def hidden_names(patterns: Sequence[str]) -> Taken | None:
    """Tell which hidden names patterns ask for: those that a part of a pattern matches which begins with a dot.

    Args:
        patterns: Lines of a `.gitignore`.

    Returns:
        What tells whether a hidden file or folder is asked for by its name; None where no pattern asks for any.
    """
    parts = {part for pattern in patterns if not pattern.startswith("!") for part in pattern.split("/")}
    named = [re.compile(translate(part)) for part in sorted(parts) if part.startswith(".") and part not in (".", "..")]
    return (lambda name: any(each.match(name) for each in named)) if named else None


def _linear(regex: str) -> str:
    """Have each `*` but the last of a part end at the first place where what follows it holds, and look no further.

    What comes between two of them holds later too wherever it holds first, so nothing is lost; tried at every place, as
    a plain regular expression does it, five of them hold a walk for minutes at one name.

    Args:
        regex: As pathspec makes it: `[^/]*` for a `*`.
    """
    return _STAR.sub(r"(?>[^/]*?\1)", _STARS.sub("[^/]*", regex))


def _checked(pattern: str) -> str:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    sign = "!" if pattern.startswith("!") else ""
    plain = sign + pattern.removeprefix("!").removeprefix("./")
    try:
        compiled = GitIgnoreSpecPattern(plain)
    except (ValueError, re.error) as error:
        raise ValueError(f"pattern {pattern!r} is malformed: {error}") from error
    if plain.strip("/").split("/")[1:-1].count("**") > _CROSSINGS:
        raise ValueError(f"pattern {pattern!r} has more than {_CROSSINGS} `**` between folders: write several patterns")
    if compiled.include is None:
        raise ValueError(
            f"pattern {pattern!r} matches nothing: close its bracket, or write '#' and '[' themselves as '\\#', '\\['"
        )
    return plain
