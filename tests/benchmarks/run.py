"""Run every benchmark one after the other, each in a process of its own; takes a quarter of an hour on two cores.

Usage: run.py [NAME ...]   for example: run.py encoding memory
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run the named benchmarks, all of them by default; returns how many failed."""
    names = sys.argv[1:] or sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    failed = 0
    for name in names:
        script = HERE / f"bench_{name}.py"
        if not script.is_file():
            known = ", ".join(sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py")))
            sys.exit(f"there is no benchmark {name!r}; there are: {known}")
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        failed += subprocess.run([sys.executable, str(script)], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
