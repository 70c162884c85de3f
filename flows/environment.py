"""The environment that a run works in: which code and libraries, and that none of them reports elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TextIO

from models.memory import return_memory
from storage.redaction import Discreet

__all__ = ["LIBRARIES", "QUIET", "code", "libraries", "log_to_stderr", "set_up"]

# Only where the user has not decided: who sets one of these to something else means it.
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # they watch, and to look for them reads the metadata of every package
    "LANCE_LOG": "warn,lance::index::vector::builder=error",  # it tells of each cell into which a night brought nothing
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # gives freed blocks back as `models.memory` asks; its own pools keep them
    "OPENBLAS_THREAD_TIMEOUT": "4",  # else each of numpy's threads spins for 50 ms before it sleeps, at every start
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0",  # the same of polars, whose allocator is its own
}
OURS = ("flows", "tasks", "models", "storage")
PROGRESS = "flows.views.progress"
RUNS = ("prefect.flow_runs", "prefect.task_runs")
LIBRARIES = (
    "tidemark", "pylance", "lancedb", "polars", "pyarrow", "torch", "transformers", "sentence-transformers",
    "tokenizers", "great-expectations", "prefect",
)  # fmt: skip


class Stderr(logging.StreamHandler[TextIO]):
    """Writes to the standard error of the moment, which a progress bar replaces while it is drawn."""

    def __init__(self, least: int, *, verbose: bool, quiet: bool) -> None:
        logging.Handler.__init__(self)
        self.least, self.verbose, self.quiet = least, verbose, quiet

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through what was asked for of ours, and of others only warnings: some set their own level lower.

        The levels of our loggers do not say what was asked for: a flow run lowers them, for the dashboard shows it all.
        What a record says is `told` by the command itself is left to it, and so is how runs of Prefect end.
        """
        return self._wanted(record) and bool(super().filter(record))

    def _wanted(self, record: logging.LogRecord) -> bool:
        if getattr(record, "told", False):
            return False
        if record.name.startswith(RUNS):
            return self.verbose
        if record.name.split(".")[0] not in OURS:
            return record.levelno >= logging.WARNING
        # Without a terminal the progress is lines of the log, and they are wanted there.
        wanted = self.verbose or (record.name == PROGRESS and not self.quiet)
        return record.levelno >= (logging.INFO if wanted else self.least)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Where lines go."""
        return sys.stderr


def set_up() -> None:
    """Keep dependencies from reporting to others, and memory from being kept after it was used."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    return_memory()


def log_to_stderr(verbose: bool, quiet: bool = False) -> None:
    """Send logs to standard error: warnings of all, and of ours what a run tells, or everything.

    Args:
        verbose: Show what each stage logs.
        quiet: Show errors alone.
    """
    least = logging.ERROR if quiet else logging.WARNING
    handler = Stderr(least, verbose=verbose, quiet=quiet)
    handler.addFilter(Discreet())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger().setLevel(least)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO if verbose else least)
    logging.getLogger(PROGRESS).setLevel(least if quiet else logging.INFO)


@cache
def libraries() -> dict[str, str]:
    """Versions of the libraries that results depend on."""
    from importlib.metadata import PackageNotFoundError

    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = _version(name)
    return found


@cache
def code() -> dict[str, str]:
    """Version of Tidemark and, in a checkout, the commit that runs."""
    from shutil import which
    from subprocess import run as run_command

    found = {"tidemark": _version("tidemark")}
    root = Path(__file__).resolve().parents[1]
    git = which("git")
    if git and (root / ".git").exists():
        ask = [git, "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        found["commit"] = run_command(ask, capture_output=True, text=True, check=False).stdout.strip()
    return found


def _version(name: str) -> str:
    """The version of a package, from the head of its metadata: parsed whole, those of a dozen take a tenth of a second.

    Raises:
        PackageNotFoundError: It is not installed.
    """
    from importlib.metadata import distribution

    package = distribution(name)
    head, _, _ = (package.read_text("METADATA") or "").partition("\n\n")
    told = [line.removeprefix("Version: ") for line in head.splitlines() if line.startswith("Version: ")]
    return told[0] if told else package.version
