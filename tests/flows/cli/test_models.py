"""The commands about models list, show, export and import them."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import TOML, corpus, tidemark, told

from storage.tables.models import ModelRecord, Models
from storage.tables.store import Store


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Path:
    """One release, and a model that was brought in."""
    made = corpus(tmp_path / "index", 2)
    assert tidemark(made, "refresh").exit_code == 0
    assert tidemark(made, "models", "import", str(tiny_model), "--name", "mine").exit_code == 0
    return made


def test_models_are_listed_with_the_releases_that_use_them(folder: Path) -> None:
    mine, stub = told(folder, "models")
    assert set(mine) == {"space", "name", "kind", "parent", "created", "metrics", "releases", "bytes", "bridged"}
    assert [(one["name"], one["parent"], one["releases"]) for one in (mine, stub)] == [
        ("mine", None, []),
        ("stub", None, [1]),
    ]
    assert mine["bytes"] > stub["bytes"] > 0
    shown = tidemark(folder, "models").stdout
    assert all(word in shown for word in ("mine", "stub", mine["space"][:12], "none"))
    assert told(folder, "runs")[0]["kind"] == "import"
    whole = told(folder, "models", "show", mine["space"][:6])
    assert "model.safetensors" in whole["digests"]
    assert told(folder, "models", "show", "stub")["space"] == stub["space"]
    assert "model mine" in tidemark(folder, "models", "show", "mine").stdout
    ahead = tidemark(folder, "models", "--json", "show", "mine")
    assert (ahead.exit_code, "stand behind a command" in ahead.stderr) == (2, True)


def test_a_model_that_was_brought_in_can_be_switched_to(folder: Path, tmp_path: Path) -> None:
    space = told(folder, "models")[0]["space"]
    planned = told(folder, "plan", "--encoder", space[:10])
    assert (planned["outcome"], planned["counts"]["embedded"]) == ("published", 2)
    done = told(folder, "reembed", "--encoder", space[:10])
    assert (done["outcome"], done["release"], done["space"]) == ("published", 2, space)
    assert [one["releases"] for one in told(folder, "models")] == [[2], [1]]
    assert told(folder, "refresh")["outcome"] == "unchanged"
    assert "mine" in tidemark(folder, "releases").stdout
    out = told(folder, "models", "export", space[:10], str(tmp_path / "out"))
    assert out == {"space": space, "folder": str(tmp_path / "out")}
    assert told(folder, "models", "import", str(tmp_path / "out"))["name"] == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("models", "show", "ffff"), "there is no model 'ffff'"),
        (("models", "import", "nowhere"), "there is no such folder"),
        (("models", "export", "stub", "."), "is not empty"),
        (("reembed", "--encoder", "./nowhere"), "there is no folder"),
    ],
)
def test_wrong_input_is_told(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = tidemark(folder, *arguments)
    assert ended.exit_code == 2
    assert message in ended.stderr


def test_a_store_without_models_says_so(tmp_path: Path) -> None:
    (tmp_path / "tidemark.toml").write_text(TOML)
    assert told(tmp_path, "models") == []
    assert "keeps no model yet" in tidemark(tmp_path, "models").stdout
    Models(Store(tmp_path / "store")).record(ModelRecord(space="aa", name="gone"))
    assert told(tmp_path, "models") == []  # its folder is not there any more
    assert Models(Store(tmp_path / "store")).find("aa") is not None
