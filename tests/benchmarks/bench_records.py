"""A night without news where many nights were recorded before: it must not grow with them.

Usage: bench_records.py [--recorded RUNS] [--pairs N]   (default 10000 and 21)
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pyarrow as pa
from workload import COMMAND, Corpus, configure, fresh, run, table

from flows.config.schema import Config
from flows.refresh import refresh
from storage.tables.runs import RUNS, Runs, new_run
from storage.tables.store import Store

FEW = 10
REAL = 40  # nights that are run, whatever is written in bulk before: enough for two rounds of housekeeping


def recorded(folder: Path, runs: int) -> Config:
    """A store with a release and so many recorded runs, the last of them real nights."""
    Corpus(fresh(folder) / "docs", 60)
    configure(folder)
    config = Config.load(folder / "tidemark.toml")
    refresh(config)
    store = Store(config.store.uri)
    row = store.open("runs").to_table().to_pylist()[0]
    past = max(0, runs - REAL) if runs > FEW else 0
    began = datetime.now(UTC) - timedelta(days=past + 1)
    rows = [
        row | {"run": new_run(at), "started": at, "finished": at, "outcome": "unchanged", "release": None}
        for at in (began + timedelta(days=day) for day in range(past))
    ]
    for at in range(0, past, 100):
        store.append("runs", RUNS, pa.Table.from_pylist(rows[at : at + 100], schema=RUNS).to_batches())
    for _ in range(min(runs, REAL)):
        refresh(config)
    return config


def seconds(config: Config) -> float:
    """How long a night without news takes."""
    began = time.perf_counter()
    assert refresh(config).outcome == "unchanged"
    return time.perf_counter() - began


def files(config: Config) -> tuple[int, float]:
    """Files of the record tables, and their megabytes."""
    found = [path for name in ("runs", "leases") for path in Path(Store(config.store.uri).path(name)).rglob("*")]
    sizes = [path.stat().st_size for path in found if path.is_file()]
    return len(sizes), sum(sizes) / 1e6


def main() -> None:
    """Measure nights of both stores in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorded", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=21)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        configs = [recorded(Path(root) / str(count), count) for count in (FEW, asked.recorded)]
        pairs = [[seconds(config) for config in configs] for _ in range(asked.pairs)]
        nights = [median(pair[at] for pair in pairs) for at in range(2)]
        rows = []
        for config, night in zip(configs, nights, strict=True):
            looks = [f"{run([*COMMAND, name], config.base).wall:.1f}" for name in ("releases", "runs")]
            count, megabytes = files(config)
            known = len(Runs(Store(config.store.uri)).all(columns=("run",)))
            rows.append((f"{known:,}", f"{night:.3f}", *looks, f"{count:,}", f"{megabytes:.1f}"))
        print(table(("runs recorded", "night s", "`releases` s", "`runs` s", "files", "MB"), rows))
        print(f"\nratio of the nights: {nights[1] / nights[0]:.2f} (asked: at most 1.2)")


if __name__ == "__main__":
    main()
