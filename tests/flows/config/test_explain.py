"""What the configuration file and the variables may say, and how a fault in them is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.config.explain import override, read_toml
from flows.config.schema import Config
from storage.errors import InputError

NOTES = {"name": "my-notes", "kind": "folder", "path": "notes"}


def told(data: dict[str, Any], environ: dict[str, str] | None = None) -> str:
    with pytest.raises(InputError) as error:
        Config.from_mapping(data, Path.cwd(), origin="t.toml", environ=environ)
    return str(error.value)


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such configuration file; write one with `tidemark init`"):
        read_toml(tmp_path / "none.toml")


def test_a_folder_cannot_be_read_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_toml(tmp_path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[store]\nuri = store\n", "line 2, column 7"),
        ("[store\n", "line 1, column 7"),
        ('[store]\nuri = "a"\nuri = "b"\n', "line 3, column 10"),
        ('a = """never closed\n', "line 1, column 20"),
    ],
)
def test_bad_toml_is_told_by_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=place) as error:
        read_toml(file)
    assert str(file) in str(error.value)


def test_bytes_that_are_no_utf8_are_told_by_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(b'[store]\nuri = "caf\xe9"\n')
    with pytest.raises(InputError, match="line 2: byte 18 is not UTF-8"):
        read_toml(file)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "bom.toml"
    file.write_bytes(b'\xef\xbb\xbf[store]\nuri = "a"\n')
    assert read_toml(file) == {"store": {"uri": "a"}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"stores": {}}, "t.toml: unknown section [stores]; did you mean 'store'?"),
        ({"limits": {"max_lost": 1}}, "t.toml: unknown key limits.max_lost; did you mean 'max_lost_share'?"),
        (
            {"limits": {"zzz": 1}},
            "valid keys of limits are max_lost_share, max_stale_share, stale_floor,",
        ),
        ({"sources": [NOTES | {"includes": []}]}, "unknown key sources.my-notes.includes; did you mean 'include'?"),
        ({"sources": [NOTES | {"kind": "foldr"}]}, "sources.my-notes: kind = 'foldr' is unknown; there are folder"),
        ({"sources": [{"kind": "folder", "path": "x"}]}, "sources[0].name is missing: Name of the source"),
        ({"sources": NOTES}, "sources must be a list: write [[sources]]"),
        ({"store": "here"}, "store must be a section: write [store]"),
        ({"encoder": {"device": "gpu"}}, "encoder.device = \"gpu\": must be 'auto', 'cpu', 'cuda' or 'mps'"),
        ({"limits": {"max_lost_share": 3}}, "limits.max_lost_share = 3: must be less than or equal to 1"),
        ({"limits": {"refused_floor": "many"}}, 'limits.refused_floor = "many": must be a valid integer'),
        ({"chunker": {"min_tokens": 300}}, "chunker: min_tokens = 300 is over half of max_tokens = 256"),
    ],
)
def test_a_fault_is_told_by_file_section_and_key(data: dict[str, Any], message: str) -> None:
    assert message in told(data)


def test_every_fault_has_its_line() -> None:
    lines = told({"limit": {}, "limits": {"max_lost_share": 3, "zzz": 1}}).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("t.toml: ") for line in lines)


def test_a_column_that_tables_do_not_know_is_refused_by_name() -> None:
    source = {"name": "rows", "kind": "jsonl", "path": "x.jsonl", "columns": {"id": "a", "text": "b", "titel": "c"}}
    assert "unknown key sources.rows.columns.titel; did you mean 'title'?" in told({"sources": [source]})


def test_variables_override_the_file() -> None:
    environ = {
        "TIDEMARK_STORE__URI": "s3://bucket",
        "TIDEMARK_LIMITS__MAX_LOST_SHARE": "0.5",
        "TIDEMARK_ENCODER__NORMALISE": "false",
        "TIDEMARK_SOURCES__MY_NOTES__EXCLUDE": '["*.txt"]',
        "TIDEMARK_CONFIG": "not a key",
        "TIDEMARK_DEBUG": "1",
    }
    config = Config.from_mapping({"store": {"uri": "here"}, "sources": [NOTES]}, Path.cwd(), environ=environ)
    assert config.store.uri == "s3://bucket"
    assert config.limits.max_lost_share == 0.5
    assert config.encoder.normalise is False
    assert config.sources[0].model_dump()["exclude"] == ("*.txt",)


def test_an_override_leaves_the_data_as_it_was() -> None:
    data = {"store": {"uri": "here"}, "sources": [dict(NOTES)]}
    override(data, {"TIDEMARK_STORE__URI": "there", "TIDEMARK_SOURCES__MY_NOTES__PATH": "there"})
    assert data == {"store": {"uri": "here"}, "sources": [NOTES]}


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TIDEMARK_LIMITS__MAX_LOST", "1", "TIDEMARK_LIMITS__MAX_LOST: unknown key limits.max_lost; did you mean"),
        ("TIDEMARK_LIMITS__MAX_LOST_SHARE", "lots", "TIDEMARK_LIMITS__MAX_LOST_SHARE: limits.max_lost_share = "),
        ("TIDEMARK_SOURCES__OTHER__PATH", "x", "must name a source and its key"),
        ("TIDEMARK_STORE__URI__DEEPER", "x", "store.uri is no section"),
        ("TIDEMARK_SOURCES__MY_NOTES__EXCLUDE", "[oops", "is no valid TOML list or table"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(variable: str, value: str, message: str) -> None:
    data = {"store": {"uri": "here"}, "sources": [NOTES]}
    found = told(data, {variable: value})
    assert message in found
    assert variable in found


def test_a_wrong_secret_is_not_shown() -> None:
    own = {"name": "own", "kind": "own:Thing", "licence": {"a": 1}, "token": "hunter2"}
    assert "hunter2" not in told({"sources": [own]})
