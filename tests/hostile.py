"""Documents that break programs, drawn from a seed: of every format, encoding, name, nesting and size."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["MAX_BYTES", "SUFFIXES", "Hostile", "good_text", "write"]

MAX_BYTES = 400_000  # of a file or a row, for all sources
SUFFIXES = ("md", "html", "rst", "py", "txt")
COLUMNS = {"timestamp": "time", "queries": "asked", "metadata": ["more"]}
NAMES = ("id", "text", "title", "time", "asked", "more")
LONG = 6_000  # repeats of one piece

SIGNS = [
    "\n\x00",
    "\x01",
    "\x07",
    "\x08",
    "\x1b[31m",
    "\x1b]0;x\x07",
    "\x7f",
    "\x85",
    "\x0b",
    "\x0c",
    "\u200b",
    "\u202e",
    "\u2028",
    "\ufeff",
    "�",
    "\ufffe",
    "́",
    "\U000e0041",
    "\U0001f30a",
    "\n",
    "\u05d0\u05d1",
    "漢",
    "é",
    "\xad",
    "\t",
    "\r",
    "\r\n",
    "#",
    "##",
    "---",
    "===",
    "```",
    "~~~",
    ">",
    "*",
    "-",
    "+",
    "|",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "<",
    ">",
    "&",
    ";",
    ":",
    "'",
    '"',
    "\\",
    "/",
    "$",
    "%",
    "@",
    "!",
    "?",
    ".\n",
]
WORDS = {
    "md": ["# ", "#", "---\n", "title: &a [*a]\n", "```\n", "[x](", "| ", "\t", "> ", "***", "<b>", "\n\n", "1. "],
    "html": [
        *("<p>", "</p>", "<div>", "<table><tr><td>", "<a ", "<b id=1>", "<!--", "-->", "<![CDATA[", "&#0;", "&#xffff;"),
        *("<style>.x{", "opacity:0}", "</style>", "<script>", "<svg>", "<template>", "<p style='display:none'>", "</"),
        *("<meta charset=iso-2022-jp>", "<meta charset=utf-16>", "<plaintext>", "<select><option>", "<frameset>"),
    ],
    "rst": ["====\n", "----\n", ".. include:: /etc/passwd\n", ".. |x| replace:: |x|\n", "::\n\n", "``", "|x|", "_`a`_"],
    "py": [
        "(",
        ")",
        "def f(",
        "class A:\n",
        "    ",
        "@",
        '"""',
        "f'{",
        "lambda: ",
        "import x\n",
        "\\\n",
        "[" * 60,
        "1**",
    ],
    "txt": ["From: ", "\f", "%PDF-1.7", "PK\x03\x04", "\x89PNG", "BEGIN:VCARD", "\n"],
}
ENCODINGS = ["utf-8"] * 6 + ["utf-16", "utf-16-le", "utf-32", "cp1252", "shift_jis", "gb18030", "iso2022_jp", "utf-7"]
ODD = [
    "\n",
    "\t",
    " ",
    "'",
    '"',
    "[bold]",
    "\u202e",
    "\U0001f30a",
    "e\u0301",
    "\\",
    "*",
    "$(x)",
    ";",
    "\x1b[31m",
    "#",
    "%00",
]
CELLS: list[Callable[[], pa.Array]] = [
    lambda: pa.array([b"\xc3\x28"] * 2).view(pa.string()),
    lambda: pa.array([2**62] * 2, pa.timestamp("us")),
    lambda: pa.array([2932897] * 2, pa.date32()),
    lambda: pa.array([-(2**62)] * 2, pa.timestamp("us", "Europe/Berlin")),
    lambda: pa.array([{"t": 2**62}] * 2, pa.struct({"t": pa.timestamp("us")})),
    lambda: pa.array([[b"\xff"]] * 2).cast(pa.list_(pa.binary())).view(pa.list_(pa.string())),
    lambda: pa.array([2**63] * 2, pa.uint64()),
    lambda: pa.array([float("nan"), float("inf")]),
    lambda: pa.array([b"\xff\x00"] * 2),
    lambda: pa.array(["x", "y"]).dictionary_encode(),
    lambda: pa.array([[("k", "v")]] * 2, pa.map_(pa.string(), pa.string())),
    lambda: pa.nulls(2),
    lambda: pa.array(["a" * (MAX_BYTES + 1), "short"]),
]


@dataclass
class Hostile:
    """What was written.

    Attributes:
        sources: Tables of the configuration.
        good: Source and id of each good document, and a piece of its text.
        listed: How many items each source lists; sources of which nobody can say it are absent.
        passed: How many files the folder passes over.
    """

    sources: list[dict[str, Any]] = field(default_factory=list)
    good: dict[tuple[str, str], str] = field(default_factory=dict)
    listed: Counter[str] = field(default_factory=Counter)
    passed: int = 0


def good_text(number: int) -> str:
    """A document that no rule refuses and no other equals."""
    return f"The tide at pier {number} rises {number + 2} feet before the ferry of line {number} leaves the harbour."


def write(base: Path, seed: int, count: int, good: int = 100) -> Hostile:
    """Write hostile documents beside good ones.

    Args:
        base: The folder of the configuration.
        seed: What they are drawn from.
        count: Hostile documents.
        good: Good ones: half of them files, the others rows.
    """
    random_, made = random.Random(seed), Hostile()
    rows = [{"id": f"good{n}", "text": good_text(n)} for n in range(good // 2, good)]
    _folder(base / "notes", random_, made, count // 2, good // 2)
    made.sources.append({"name": "notes", "kind": "folder", "path": "notes", "max_bytes": MAX_BYTES})
    kinds = [("jsonl", _jsonl), ("gz", _gz), ("csv", _csv), ("parquet", _parquet)]
    for at, (name, writes) in enumerate(kinds):
        mine = rows[at :: len(kinds)]
        path, hostile = writes(base, random_, mine, count // 2 // len(kinds))
        made.listed[name] = len(mine) + hostile
        kind = "jsonl" if name == "gz" else name
        table = {"name": name, "kind": kind, "path": path, "columns": COLUMNS, "max_bytes": MAX_BYTES}
        made.sources.append(table)
        made.good |= {(name, row["id"]): row["text"] for row in mine}
    _wild(base, random_, made, max(2, count // 40))
    return made


def _folder(folder: Path, random_: random.Random, made: Hostile, count: int, good: int) -> None:
    folder.mkdir()
    (folder.parent / "outside").mkdir()
    (folder.parent / "outside" / "secret.txt").write_text("root:x:0:0")
    for number in range(good):
        suffix = SUFFIXES[number % len(SUFFIXES)]
        text = good_text(number)
        forms = {"html": f"<title>Pier</title><p>{text}", "py": f'"""{text}"""\n', "md": f"# Pier\n\n{text}\n"}
        (folder / f"good{number}.{suffix}").write_text(forms.get(suffix, text))
        made.good["notes", f"good{number}.{suffix}"] = text
    for number in range(count):
        if number % 12 == 11:
            _oddity(folder, random_, number, made)
            continue
        suffix = random_.choice(SUFFIXES)
        _named(folder, random_, f"{number:04}", random_.choice([suffix, suffix, suffix.upper()])).write_bytes(
            _content(random_, suffix)
        )
        made.listed["notes"] += 1
    made.listed["notes"] += good


def _named(folder: Path, random_: random.Random, stem: str, suffix: str) -> Path:
    odd = "".join(random_.choices(ODD, k=random_.choice([0, 0, 1, 3])))
    raw = f"{stem}{odd}{'x' * random_.choice([0, 0, 0, 200])}".encode()
    raw += random_.choice([b"", b"", b"", b"\xff\xfe"]) + f".{suffix}".encode()
    return folder / os.fsdecode(raw)


def _content(random_: random.Random, suffix: str) -> bytes:
    """The bytes of a file: of signs, of one piece many times, too many of them, or of nothing but chance."""
    alphabet = WORDS[suffix] + random_.sample(SIGNS, 12) + ["tide ", "harbour "] * 3
    shape = random_.randrange(8)
    if shape == 0:
        return random_.randbytes(random_.randrange(4_000))
    if shape == 1:
        return b" " * (MAX_BYTES + random_.randrange(2, 4_000)) if random_.random() < 0.3 else b""
    if shape in (2, 3):
        text = random_.choice(alphabet) + random_.choice(alphabet) * random_.randrange(1, LONG) + random_.choice("x\n>")
    else:
        text = "".join(random_.choices(alphabet, k=random_.randrange(1, 400)))
    raw = text.encode(random_.choice(ENCODINGS), errors="replace")
    return raw[: -random_.randrange(1, 4)] if random_.random() < 0.1 else raw


def _oddity(folder: Path, random_: random.Random, number: int, made: Hostile) -> None:
    """Something that is no plain file, or one of a mad time."""
    name = folder / f"{number:04}.md"
    kind = random_.randrange(8)
    if kind == 0:
        name.symlink_to("../outside/secret.txt")
    elif kind == 1:
        name.symlink_to(name.name)
    elif kind == 2:
        name.symlink_to("nowhere")
    elif kind == 3:
        os.mkfifo(name)
    elif kind == 4:
        with name.open("wb") as file:
            file.truncate(2**34)
    elif kind == 5:
        name.with_suffix(".docx").write_bytes(b"PK")
        made.passed += 1
        return
    elif kind == 6:
        (folder / f".{number:04}.md").write_text("hidden")
        made.passed += 1
        return
    else:
        name.write_text(f"An old note of {number}.")
        os.utime(name, (random_.choice([-(2**31), 2**33, 0]),) * 2)
    made.listed["notes"] += 1


def _value(random_: random.Random, depth: int = 3) -> Any:
    kind = random_.randrange(12 if depth else 9)
    plain: list[Any] = [None, True, random_.randrange(-(10**30), 10**30), float("nan"), "0000-00-00", "\ud800", 1e400]
    if kind < len(plain):
        return plain[kind]
    if kind < 9:
        return "".join(random_.choices(SIGNS, k=random_.randrange(30)))
    if kind == 9:
        return {random_.choice(SIGNS): _value(random_, depth - 1) for _ in range(random_.randrange(4))}
    return [_value(random_, depth - 1) for _ in range(random_.randrange(4))]


def _line(random_: random.Random) -> bytes:
    kind = random_.randrange(8)
    if kind == 0:
        return random_.randbytes(60).replace(b"\n", b"") + b"{"
    if kind == 1:
        return b'{"id": "deep", "text": %s}' % (b"[" * 400 + b"]" * 400)
    if kind == 2:
        return b'{"id": "large", "text": "%s"}' % (b"a" * (MAX_BYTES + random_.randrange(9)))
    row = {name: _value(random_) for name in random_.sample(NAMES, random_.randrange(1, 6))}
    row |= {"id": f"h{random_.randrange(10**6)}"} if kind > 4 else {}
    return json.dumps(row).encode()


def _lines(random_: random.Random, rows: list[dict[str, str]], count: int) -> bytes:
    good = [json.dumps(row | {"time": 0, "asked": "q", "more": 1}).encode() for row in rows]
    hostile = [_line(random_) for _ in range(count)]
    shuffled = [*good[1:], *hostile]
    random_.shuffle(shuffled)
    return b"\n".join([good[0], *shuffled])


def _jsonl(base: Path, random_: random.Random, rows: list[dict[str, str]], count: int) -> tuple[str, int]:
    (base / "rows.jsonl").write_bytes(_lines(random_, rows, count))
    return "rows.jsonl", count


def _gz(base: Path, random_: random.Random, rows: list[dict[str, str]], count: int) -> tuple[str, int]:
    bomb = b'\n{"id": "bomb", "text": "' + b"a" * 50 * MAX_BYTES + b'"}'
    (base / "rows.jsonl.gz").write_bytes(gzip.compress(_lines(random_, rows, count - 1) + bomb))
    return "rows.jsonl.gz", count


def _csv(base: Path, random_: random.Random, rows: list[dict[str, str]], count: int) -> tuple[str, int]:
    cells = [[row["id"], row["text"], "", "0", "q", "1"] for row in rows]
    for number in range(count):
        odd = ["".join(random_.choices(SIGNS, k=random_.randrange(12))) for _ in range(random_.choice([6, 6, 6, 2, 9]))]
        cells.append([f"h{number}", *odd[1:]] if random_.random() < 0.7 else odd)
    random_.shuffle(cells)
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([NAMES, *cells])
    (base / "rows.csv").write_bytes(file.getvalue().encode("utf-8", "surrogatepass"))
    return "rows.csv", count


def _parquet(base: Path, random_: random.Random, rows: list[dict[str, str]], count: int) -> tuple[str, int]:
    (base / "parquet").mkdir()
    pages = {"id": [row["id"] for row in rows], "text": [row["text"] for row in rows]}
    pq.write_table(
        pa.table(pages | {name: pa.nulls(len(rows)) for name in NAMES[2:]}), base / "parquet" / "good.parquet"
    )
    for number in range(count // 2):
        plain: dict[str, Any] = {name: pa.nulls(2) for name in NAMES[2:]}
        plain |= {"id": [f"h{number}a", f"h{number}b"], "text": [f"row {number} a", f"row {number} b"]}
        plain[random_.choice(NAMES)] = random_.choice(CELLS)()
        pq.write_table(pa.table(plain), base / "parquet" / f"{number}.parquet")
    return "parquet/*.parquet", count // 2 * 2


def _wild(base: Path, random_: random.Random, made: Hostile, count: int) -> None:
    """Tables of which a quote may take any number of lines, so that nobody can say what they list."""
    signs = ['"', ",", "\n", "\r", "\r\n", "a", "tide", "\x00", " ", '""', "\u2028", ";"]
    texts = ["".join(random_.choices(signs, k=random_.randrange(300))) for _ in range(count)]
    for number, text in enumerate(texts):
        (base / f"wild{number}.csv").write_text(f"id,text\nfirst{number},The first row.\n{text}", newline="")
        made.good["wild", f"first{number}"] = "The first row."
    made.sources.append({"name": "wild", "kind": "csv", "path": "wild*.csv", "max_bytes": MAX_BYTES})
