"""The demonstration behind `make demo`: an index is built, changed, refreshed, rolled back, measured and improved."""

from __future__ import annotations

import shutil
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from flows.cli.demo_corpus import PACKAGES, write_corpus
from flows.cli.demo_shell import Broken, Demo
from flows.environment import set_up
from flows.views.progress import duration

__all__ = ["main"]

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
LEARNED = "walk through all files below a directory"
MINUTES = 1  # beside which steps are timed and dev questions looked at
README = 12_000  # characters of a README at most: one carries its whole change log
REPORT = "report.html"
CONFIG = """\
[store]
uri = "store"

[encoder]
name = "{encoder}"

[[sources]]
name = "docs"
kind = "jsonl"
path = "docs.jsonl"
columns = {{ id = "id", text = "text" }}

[[sources]]
name = "readmes"
kind = "folder"
path = "readmes"

[[evaluation]]
name = "docstrings"
path = "questions"
source = "docs"

[learning]
minutes = {minutes}
"""


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
    demo.console.print(f"What a morning looks like: open {folder / REPORT}")


def _play(demo: Demo) -> None:
    _set_up(demo)
    first = _first_night(demo)
    _change(demo)
    _second_night(demo, first)
    _way_back(demo)
    _measure(demo)
    if not demo.encoder.startswith("stub"):  # which has nothing to train
        _learn(demo)
    _report(demo)


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
        (folder / "readmes" / f"{name}.md").write_text(str(text)[:README], encoding="utf-8")
    corpus = write_corpus(PACKAGES, folder)
    config = CONFIG.format(encoder=demo.encoder, minutes=MINUTES)
    (folder / "tidemark.toml").write_text(config, encoding="utf-8")
    demo.chapter(
        "Tidemark",
        f"An index over {corpus.documents:,} docstrings of {len(PACKAGES)} installed packages and {len(READMES)} "
        "READMEs,",
        "kept fresh: only what changed is embedded, every release can be returned to. The first sentences of the",
        f"docstrings were taken out: they are the questions, {corpus.questions['test']:,} of them to judge by.",
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


def _measure(demo: Demo) -> None:
    """Show how well the release answers the questions that were kept apart."""
    demo.chapter("Is it any good?", "The questions of packages that nothing was learned from: by vectors, words, both.")
    demo.run("evaluate")
    (run, *_) = demo.ask("runs")
    told = all(mode in run["message"] for mode in ("dense", "text", "hybrid"))
    demo.check(f"{run['counts']['questions']:,} questions were judged", run["outcome"] == "passed" and told, run)


def _learn(demo: Demo) -> None:
    """Train a better encoder, publish it because the gate lets it pass, compare, and go back."""
    demo.chapter(
        "A better encoder",
        "Some two minutes of training on the questions of other packages. What comes out is averaged with what",
        "it started from, chosen by questions of its own, embedded beside the index that serves on, and judged.",
    )
    demo.run("search", LEARNED, "-k", "3")
    took = demo.run("retrain", codes=(0, 5))
    (run, *_) = demo.ask("runs")
    if run["outcome"] == "refused":  # a slow machine takes few steps in the same minutes
        demo.check("the gate refused what is not surely better, and release 3 serves on", run["release"] == 3, run)
        return
    demo.check("the gate let it pass, and release 4 is published", (run["outcome"], run["release"]) == ("published", 4))
    quality = demo.ask("show", "4")["audit"]["quality"]["sets"]["docstrings"]
    gained = quality["change"]
    demo.check(f"nDCG@10 by vectors is {gained:+.3f} better, in {duration(took)}", gained > 0, quality)
    demo.run("search", LEARNED, "-k", "3")
    demo.run("models")
    demo.run("rollback")
    release = demo.ask("show")
    demo.check("release 5 answers with the encoder of before", release["encoder"]["name"] == demo.encoder, release)


def _report(demo: Demo) -> None:
    """Write the page that tells of all this."""
    demo.chapter("Nine o'clock", "One page says what the nights did, for whoever was asleep.")
    demo.run("report", "-o", REPORT)
    page = (demo.folder / REPORT).read_text(encoding="utf-8")
    demo.check("the page names the release and needs no network", "release" in page and 'src="http' not in page)


if __name__ == "__main__":
    main()
