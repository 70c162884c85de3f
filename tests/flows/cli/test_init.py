"""The command that writes a configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import invoke

from flows.cli.init import template
from flows.config.schema import Config
from storage.sources import SOURCES


def test_init_writes_a_configuration_that_works_and_never_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "My Notes").mkdir()
    assert invoke("init", "My Notes").exit_code == 0
    config = Config.load(tmp_path / "tidemark.toml", environ={})
    assert [(source.name, source.kind, source.model_dump()["path"]) for source in config.sources] == [
        ("my-notes", "folder", "My Notes")
    ]
    assert config == Config.from_mapping({"sources": [config.sources[0].model_dump()]}, tmp_path)
    again = invoke("init", "My Notes")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert invoke("-c", "other.toml", "init", "nowhere").exit_code == 2


def test_init_finds_a_usual_folder_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert invoke("init").exit_code == 0
    assert Config.load(tmp_path / "tidemark.toml", environ={}).sources[0].model_dump()["path"] == "docs"


@pytest.mark.parametrize(("name", "kind"), [("a.jsonl", "jsonl"), ("b.csv", "csv"), ("c.parquet", "parquet")])
def test_init_knows_tables_by_their_suffix(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).touch()
    file = tmp_path / "tidemark.toml"
    file.write_text(template(tmp_path / name, tmp_path), encoding="utf-8")
    assert Config.load(file, environ={}).sources[0].kind == kind


@pytest.mark.parametrize("name", [None, "a.jsonl"])
def test_init_writes_every_key_of_every_source_and_each_may_be_taken_out_of_its_comment(
    tmp_path: Path, name: str | None
) -> None:
    if name:
        (tmp_path / name).touch()
    text = template(tmp_path / name if name else None, tmp_path)
    listed = text[text.index("[[sources]]") : text.index("[validation]")]
    for kind, row in SOURCES.items():
        found = listed[listed.index(f'kind = "{kind}"') :].split("[[sources]]")[0]
        for key, field in row.config.model_fields.items():
            assert key == "name" or f"\n{key} = " in found or f"\n# {key} = " in found or key == "kind", (kind, key)
            assert key in ("name", "kind", "path") or " ".join((field.description or "").split()) in " ".join(
                listed.replace("\n#", " ").split()
            )
    mine = listed.split("\n\n")[0].splitlines()
    live = [re.sub("^# (?=[a-z_]+ = )", "", line) for line in mine if "(not set)" not in line]
    file = tmp_path / "tidemark.toml"
    file.write_text("\n".join(live))
    assert Config.load(file, environ={}).sources[0].kind == ("jsonl" if name else "folder")
