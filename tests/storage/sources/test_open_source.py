"""The table of sources, and the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import polars as pl
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from storage.errors import InputError
from storage.sources import SOURCES, AnySourceConfig, Source, SourceConfig, open_source, parse_source, resolve

OWN = """
import polars as pl

class Own:
    def __init__(self, config, base_dir):
        self.name = config.name
        self.words = config.model_extra["words"]

    def list(self):
        yield pl.DataFrame({"id": self.words, "revision": self.words, "problem": None})

    def read(self, ids):
        yield pl.DataFrame({"id": ids, "text": ids})

class Half:
    def __init__(self, config, base_dir):
        self.name = config.name
"""


@pytest.mark.parametrize("kind", SOURCES)
def test_every_row_of_the_table_loads_and_describes_its_fields(kind: str) -> None:
    config: type[BaseModel] = SOURCES[kind].config
    assert resolve(SOURCES[kind].source).list
    assert issubclass(config, SourceConfig)
    assert all(field.description for field in config.model_fields.values())
    assert kind in str(get_type_hints(config)["kind"])


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"name": "a", "kind": "folder", "path": ".", "pth": "."}, r"pth\s+Extra inputs"),
        ({"name": "a", "kind": "folder", "path": ".", "columns": {}}, r"columns\s+Extra inputs"),
        ({"name": "a", "kind": "csv", "path": ".", "columns": {"txt": "a"}}, r"columns.txt\s+Extra inputs"),
        ({"name": "A b", "kind": "folder", "path": "."}, r"name\s+String should match"),
        ({"name": "a", "kind": "pdf"}, "kind = 'pdf' is unknown; there are folder, jsonl, csv, parquet, python"),
        ({"name": "a"}, r"kind\s+Field required"),
        ("folder", "valid dictionary"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(entry: object, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        TypeAdapter(list[AnySourceConfig]).validate_python([entry])


def test_a_configuration_is_dumped_with_the_fields_of_its_kind() -> None:
    adapter = TypeAdapter(AnySourceConfig)
    config = adapter.validate_python({"name": "a", "kind": "python", "packages": ["json"]})
    assert adapter.dump_python(config, mode="json")["packages"] == ["json"]
    assert adapter.validate_python(adapter.dump_python(config)) == config


def test_a_class_of_the_users_own_is_opened_from_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", ["."])
    (tmp_path / "own_source.py").write_text(OWN)
    source = open_source(parse_source({"name": "a", "kind": "own_source:Own", "words": ["x", "y"]}), tmp_path)
    assert isinstance(source, Source)
    assert pl.concat(source.list())["id"].to_list() == ["x", "y"]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("own_half:Half", r"own_half:Half lacks list\(\) or read\(ids\)"),
        ("subprocess:Popen", r"subprocess:Popen lacks list\(\) or read\(ids\)"),
        ("own_half:Nix", "'own_half' has no class 'Nix'"),
        ("no_such_module:Own", "cannot import 'no_such_module'"),
    ],
)
def test_a_wrong_reference_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, what: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_half.py").write_text(OWN)
    with pytest.raises(InputError, match=what):
        open_source(parse_source({"name": "a", "kind": kind}), tmp_path)


def test_settings_that_change_no_document_are_not_in_a_sources_identity() -> None:
    plain = {"name": "notes", "kind": "folder", "path": "."}
    # As stores have it since before there was such a setting: another one would have all documents judged anew.
    known = {"licence": None, "include": [], "exclude": [], "max_bytes": 20_000_000, "encoding": "utf-8"}
    assert parse_source(plain).identity() == plain | known
    assert parse_source(plain | {"max_seconds": 1.0, "follow_links": True}).identity() == plain | known
    assert parse_source(plain | {"max_bytes": 1}).identity() == plain | known | {"max_bytes": 1}
