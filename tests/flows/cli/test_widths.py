"""What a terminal of any width shows of a real store: whole words, whole ids, no line beyond its edge."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commands import corpus, tidemark, told
from rich.cells import cell_len

WIDTHS = (60, 80, 120)
LONG = "a-name-that-nobody-may-cut-in-two.md"
COMMANDS: dict[str, tuple[str, ...]] = {
    "releases": ("releases",),
    "runs": ("runs",),
    "show release": ("show", "1"),
    "show run": ("show", "RUN"),
    "models": ("models",),
    "models show": ("models", "show", "stub"),
    "drift": ("drift",),
    "evaluate": ("evaluate", "--golden", "GOLDEN"),
    "quarantine list": ("quarantine", "list"),
    "plan": ("plan",),
    "diff": ("diff", "1", "2"),
    "status": ("status",),
    "audit": ("audit",),
    "search": ("search", "moon", "-k", "3"),
    "explain": ("explain", "CHUNK"),
}
# What only a narrow terminal says, and what is another at each look: rules, ages, seconds, the id of a new run.
NOTES = "no room for: (a wider terminal or --json shows it) in every row:"
FLEETING = re.compile(r"\d+ (min|h) ago|just now|(\d+ min )?[\d.]+ s\b|[─█▉▊▋▌▍▎▏]+")
NUMBER = re.compile(r"[\d.,]*%?")


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store with three releases, refused and equal documents, and a change to come: where it lies."""
    folder = corpus(tmp_path_factory.mktemp("widths"))
    notes = folder / "notes"
    (notes / LONG).write_text("# Long\n\nThe moon over the harbour draws the tide.\n", encoding="utf-8")
    (notes / f"copy-of-{LONG}").write_text("# Long\n\nThe moon over the harbour draws the tide.\n", encoding="utf-8")
    (notes / f"empty-{LONG}").touch()
    golden = folder / "golden.jsonl"
    golden.write_text(json.dumps({"query": "tide at pier 3", "documents": ["n3.md"]}) + "\n", encoding="utf-8")
    told(folder, "refresh")
    (notes / "n1.md").rename(notes / f"moved-{LONG}")
    (notes / "n2.md").unlink()
    told(folder, "refresh")
    told(folder, "rollback")
    (notes / "n3.md").unlink()
    chunk = told(folder, "search", "moon", "-k", "1")["hits"][0]["chunk"]
    run = told(folder, "runs")[-1]["run"]
    return {"folder": str(folder), "GOLDEN": str(golden), "CHUNK": chunk, "RUN": run}


def drawn(shown: dict[str, str], name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    result = tidemark(Path(shown["folder"]), *(shown.get(word, word) for word in COMMANDS[name]))
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def words(lines: list[str]) -> set[str]:
    """The words of some lines, without what differs from look to look."""
    found = {word.strip(",;:()") for line in lines for word in FLEETING.sub(" ", line).split()}
    return {word for word in found if not NUMBER.fullmatch(word)}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_view_fits_every_width_with_whole_words(
    shown: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = words([*drawn(shown, name, 5_000, monkeypatch), NOTES])
    for width in WIDTHS:
        lines = drawn(shown, name, width, monkeypatch)
        # A single word that is wider is left to the terminal, whole.
        assert [line for line in lines if cell_len(line) > width and len(line.split()) > 1] == []
        assert [line for line in lines if line != line.rstrip()] == []
        assert words(lines) - whole == set(), "parts of words"


@pytest.mark.parametrize("width", WIDTHS)
def test_ids_can_be_passed_to_a_command_at_every_width(
    shown: dict[str, str], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shown["folder"])
    runs = {row["run"] for row in told(folder, "runs")}
    assert runs <= words(drawn(shown, "runs", width, monkeypatch))
    found = words(drawn(shown, "releases", width, monkeypatch) + drawn(shown, "models", width, monkeypatch))
    assert {row["space"][:12] for row in told(folder, "releases")} <= found
    assert {hit["chunk"] for hit in told(folder, "search", "moon", "-k", "3")["hits"]} <= words(
        drawn(shown, "search", width, monkeypatch)
    )
    assert f"empty-{LONG}" in words(drawn(shown, "quarantine list", width, monkeypatch))
    assert any(f"moved-{LONG}" in line for line in drawn(shown, "diff", width, monkeypatch))


def test_a_pipe_has_120_columns(shown: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    wide = drawn(shown, "runs", 120, monkeypatch)
    monkeypatch.delenv("COLUMNS")
    piped = tidemark(Path(shown["folder"]), "runs").stdout.splitlines()
    assert [words([line]) for line in piped] == [words([line]) for line in wide]
