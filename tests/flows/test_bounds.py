"""What one row may cost a night in memory, whatever its file unpacks to."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from corpus import configure, counted, held, night

PIECE = b"a" * 1_000_000
GOOD = [(f"good{number}", f"The tide at pier {number} rises {number} feet.") for number in range(100)]
LIMIT = 1.5 * 1024 * 1024  # KiB
RUN = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from flows.cli.app import app
try:
    app(["-c", sys.argv[1], "refresh"])
except SystemExit as left:
    # Not ru_maxrss, which begins at what the process that started this one took.
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    print("exit", left.code, "peak", peak.split()[1])
"""


def line_of_300_megabytes(folder: Path) -> str:
    with gzip.open(folder / "t.jsonl.gz", "wb", compresslevel=6) as file:
        file.writelines(b'{"id": "%s", "text": "%s"}\n' % (id.encode(), text.encode()) for id, text in GOOD)
        file.write(b'{"id": "large", "text": "')
        file.writelines([PIECE] * 300)
        file.write(b'"}\n')
    return "t.jsonl.gz"


def cell_of_200_megabytes(folder: Path) -> str:
    rows = [*GOOD, ("large", "a" * 200_000_000)]
    pl.DataFrame(rows, schema=["id", "text"], orient="row").write_parquet(folder / "t.parquet", compression="zstd")
    return "t.parquet"


def quote_that_takes_200_megabytes(folder: Path) -> str:
    with (folder / "t.csv").open("wb") as file:
        file.write(b"id,text\n")
        file.writelines(f"{id},{text}\n".encode() for id, text in GOOD)
        file.write(b'large,"')
        file.writelines([PIECE + b"\n"] * 200)
    return "t.csv"


def line_just_below_the_bound(folder: Path) -> str:
    rows = "".join(f'{{"id": "{id}", "text": "{text}"}}\n' for id, text in GOOD)
    large = "a" * 31_000_000 + "\U0001f30a"  # one character for which Python takes four bytes for each
    (folder / "t.jsonl").write_text(f'{rows}{{"id": "large", "text": "{large}"}}\n', encoding="utf-8")
    return "t.jsonl"


BOMBS = [
    line_of_300_megabytes,
    cell_of_200_megabytes,
    quote_that_takes_200_megabytes,
    line_just_below_the_bound,
]


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_one_row_costs_a_night_no_more_than_the_bound(tmp_path: Path, bomb: Callable[[Path], str]) -> None:
    path = bomb(tmp_path)
    kind = path.split(".")[1]
    toml = (
        f'[store]\nuri = "store"\n[encoder]\nname = "stub"\n[[sources]]\nname = "t"\nkind = "{kind}"\npath = "{path}"\n'
    )
    (tmp_path / "tidemark.toml").write_text(toml)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "tidemark.toml")],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )
    said = done.stdout.split()
    print(bomb.__name__, said[-4:])
    assert (said[-4:-1], int(said[-1]) < LIMIT) == (["exit", "0", "peak"], True), done.stdout + done.stderr
    config = configure(tmp_path, sources=[{"name": "t", "kind": kind, "path": path}])
    assert counted(night(config)) == {"unchanged": 100, "quarantined": 1}
    assert len(held(config)) == 1
