"""The demonstration behind `make demo`: an index of installed packages, built, changed, refreshed and rolled back."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from flows.environment import set_up
from flows.views.progress import duration

__all__ = ["Broken", "Demo", "main"]

PACKAGES = (
    *(
        "calendar",
        "collections",
        "configparser",
        "contextlib",
        "csv",
        "datetime",
        "ftplib",
        "glob",
        "gzip",
        "ipaddress",
    ),
    *("json", "logging", "multiprocessing", "pathlib", "random", "requests", "safetensors", "shutil", "smtplib"),
    *(
        "socketserver",
        "statistics",
        "subprocess",
        "tarfile",
        "tempfile",
        "threading",
        "tokenizers",
        "urllib",
        "zipfile",
    ),
)
# The READMEs that distributions carry become a folder of Markdown files.
READMES = ("fsspec", "polars", "pydantic", "requests", "rich", "tqdm", "typer")
EDITED, RENAMED, DELETED = "pydantic.md", ("rich.md", "terminal-output.md"), "tqdm.md"
SENTENCE = "Our own services freeze every settings model, so that no request can change one."
NOTE = """# Night desk

When the search index was not refreshed at night, telephone the night desk at extension 4417.
They look at `tidemark runs` first, and roll back to the last good release if readers complain.
"""
QUESTION = "whom do I call when the index was not refreshed at night?"
MARKER = ".made-by-tidemark-demo"
CONFIG = """\
[store]
uri = "store"

[encoder]
name = "{encoder}"

[[sources]]
name = "packages"
kind = "python"
packages = [
{packages}
]

[[sources]]
name = "readmes"
kind = "folder"
path = "readmes"
"""


class Broken(Exception):
    """A step showed something other than what it promised."""


class Demo:
    """Runs the real command line in a folder, shows every command, and checks what it promised.

    Args:
        folder: Where the demonstration plays; made anew.
        encoder: The encoder to use.
    """

    def __init__(self, folder: Path, encoder: str) -> None:
        self.folder = folder
        self.encoder = encoder
        self.console = Console(highlight=False, emoji=False, markup=False)
        program = Path(sys.executable).with_name("tidemark")
        self._program = [str(program)] if program.exists() else [sys.executable, "-m", "flows.cli.app"]
        # Settings of the caller's own index must not reach this one, and no dashboard is needed.
        private = ("TIDEMARK_", "PREFECT_API_")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(private)}

    def chapter(self, title: str, *lines: str) -> None:
        """Say what comes next."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold cyan"), align="left", style="dim"))
        for line in lines:
            self.console.print(line, style="dim")

    def shell(self, command: str) -> None:
        """Show a command of the shell that the demonstration does itself."""
        self.console.print(Text.assemble(("\n$ ", "green"), (command, "bold")))

    def run(self, *arguments: str) -> float:
        """Run a command for the reader to see; returns its seconds.

        Raises:
            Broken: It did not end with 0.
        """
        self.shell(shlex.join(["tidemark", *arguments]))
        began = time.monotonic()
        ended = subprocess.run([*self._program, *arguments], cwd=self.folder, env=self._environment, check=False)
        if ended.returncode:
            raise Broken(f"`tidemark {shlex.join(arguments)}` ended with {ended.returncode}")
        return time.monotonic() - began

    def ask(self, *arguments: str) -> Any:
        """Run a command with --json, unseen, and return what it says.

        Raises:
            Broken: It did not end with 0, or said something else than JSON.
        """
        command = [*self._program, *arguments, "--json"]
        ended = subprocess.run(
            command, cwd=self.folder, env=self._environment, check=False, capture_output=True, text=True
        )
        try:
            return json.loads(ended.stdout)
        except ValueError as error:
            shown = f"{shlex.join(arguments)} --json ended with {ended.returncode}: {ended.stdout}{ended.stderr}"
            raise Broken(shown) from error

    def check(self, promise: str, kept: bool, found: object = "") -> None:
        """Say that a promise was kept.

        Raises:
            Broken: It was not.
        """
        if not kept:
            raise Broken(f"{promise}: not so; found {found}")
        self.console.print(Text.assemble(("  checked  ", "green"), promise))


def main() -> None:
    """Run the demonstration: `python -m flows.cli.demo [FOLDER] [ENCODER]`."""
    set_up()
    given = sys.argv[1:]
    folder = Path(given[0] if given else "demo").resolve()
    demo = Demo(folder, given[1] if len(given) > 1 else "all-MiniLM-L6-v2")
    began = time.monotonic()
    try:
        _play(demo)
    except (Broken, OSError) as error:
        demo.console.print(f"\nThe demonstration failed: {error}", style="bold red")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    took = duration(time.monotonic() - began)
    demo.chapter("Done", f"That took {took}. Everything lies in {folder}; go on there:")
    demo.console.print(
        f'\n  cd {folder}\n  tidemark search "read a file line by line"\n  tidemark runs\n', style="cyan"
    )


def _play(demo: Demo) -> None:
    _set_up(demo)
    first = _first_night(demo)
    _change(demo)
    _second_night(demo, first)
    _way_back(demo)


def _set_up(demo: Demo) -> None:
    """Make the folder: a configuration, and READMEs as Markdown files."""
    folder = demo.folder
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise Broken(f"{folder} holds files that are not the demonstration's; name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "readmes").mkdir(parents=True)
    (folder / MARKER).touch()
    for name in READMES:
        try:
            text = distribution(name).metadata.json.get("description") or ""
        except PackageNotFoundError as error:
            raise Broken(f"the package {name} is not installed; run `make install`") from error
        (folder / "readmes" / f"{name}.md").write_text(str(text), encoding="utf-8")
    names = textwrap.fill(", ".join(map(json.dumps, PACKAGES)), 76, initial_indent="  ", subsequent_indent="  ")
    config = CONFIG.format(encoder=demo.encoder, packages=names)
    (folder / "tidemark.toml").write_text(config, encoding="utf-8")
    demo.chapter(
        "Tidemark",
        f"An index over docstrings and sources of {len(PACKAGES)} installed packages and {len(READMES)} READMEs,",
        "kept fresh: only what changed is embedded, every release can be returned to.",
    )
    demo.shell("cat tidemark.toml")
    demo.console.print(config.rstrip())


def _first_night(demo: Demo) -> dict[str, Any]:
    """Build and search the first release; returns its counts."""
    demo.chapter("The first build", "A plan first: it reads, counts and writes nothing.")
    demo.run("plan")
    demo.check("the plan wrote no release", demo.ask("releases") == [])
    took = demo.run("refresh")
    (run, *_) = demo.ask("runs")
    counts: dict[str, Any] = run["counts"]
    demo.check("release 1 is published", (run["outcome"], run["release"]) == ("published", 1), run)
    demo.check(
        f"{counts['embedded']:,} chunks of {counts['documents']:,} documents were embedded in {duration(took)}",
        counts["embedded"] > 500,
        counts,
    )
    demo.run("search", "unpack all files of an archive into a folder", "-k", "3")
    demo.chapter("A question that nothing answers yet")
    demo.run("search", QUESTION, "-k", "2")
    return counts


def _change(demo: Demo) -> None:
    """Edit, rename, touch, delete and add a few files."""
    demo.chapter("A working day", "One sentence is inserted, one file renamed, one touched, one deleted, one added.")
    readmes = demo.folder / "readmes"
    edited = readmes / EDITED
    text = edited.read_text(encoding="utf-8")
    middle = text.index("\n\n", len(text) // 2)
    edited.write_text(f"{text[:middle]} {SENTENCE}{text[middle:]}", encoding="utf-8")
    demo.shell(f"$EDITOR readmes/{EDITED}")
    demo.console.print(f"  inserted: {SENTENCE}", style="dim")
    demo.shell(f"mv readmes/{RENAMED[0]} readmes/{RENAMED[1]}")
    (readmes / RENAMED[0]).rename(readmes / RENAMED[1])
    demo.shell("touch readmes/polars.md")
    (readmes / "polars.md").touch()
    demo.shell(f"rm readmes/{DELETED}")
    (readmes / DELETED).unlink()
    demo.shell("cat > readmes/night-desk.md")
    demo.console.print(NOTE.rstrip(), style="dim")
    (readmes / "night-desk.md").write_text(NOTE, encoding="utf-8")


def _second_night(demo: Demo, first: dict[str, Any]) -> None:
    """Show the plan, refresh, and show that only what changed was embedded."""
    demo.chapter("The second night", "The plan says what the changes cost.")
    demo.run("plan")
    took = demo.run("refresh")
    (run, *_) = demo.ask("runs")
    counts = run["counts"]
    demo.check("release 2 is published", (run["outcome"], run["release"]) == ("published", 2), run)
    wanted = {"added": 1, "changed": 1, "moved": 1, "deleted": 1}
    found = {name: counts[name] for name in wanted}
    demo.check("one document was added, one changed, one moved, one deleted", found == wanted, found)
    demo.check(
        f"{counts['embedded']} chunks were embedded instead of {first['embedded']:,}, in {duration(took)}",
        1 <= counts["embedded"] <= 3,
        counts,
    )
    demo.run("search", QUESTION, "-k", "2")
    hit = demo.ask("search", QUESTION, "-k", "1")["hits"][0]
    demo.check("the new note answers", hit["document"] == "night-desk.md", hit)
    demo.run("diff", "1", "2")


def _way_back(demo: Demo) -> None:
    """Roll back, and show that the earlier answer is there again."""
    demo.chapter(
        "The way back", "A rollback is a release that points to an earlier one: nothing is embedded or deleted."
    )
    demo.run("rollback")
    demo.run("search", QUESTION, "-k", "2")
    now, then = demo.ask("search", QUESTION, "-k", "5"), demo.ask("search", QUESTION, "-k", "5", "--release", "1")
    demo.check("release 3 gives the answers of release 1, hit by hit", now["hits"] == then["hits"], now)
    gone = all(hit["document"] != "night-desk.md" for hit in now["hits"])
    demo.check("the new note is not among them", gone and now["release"] == 3, now)
    demo.run("releases")
    demo.run("audit")
    audit = demo.ask("audit")
    demo.check(f"the audit holds: {len(audit['checks'])} checks", audit["ok"], audit)


if __name__ == "__main__":
    main()
