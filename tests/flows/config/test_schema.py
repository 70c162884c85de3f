"""The configuration: found, checked, resolved, identified, and without secrets in its records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from flows.config.schema import Config
from storage.errors import InputError

NOTES = {"name": "notes", "kind": "folder", "path": "notes"}


def made(base: Path, **sections: Any) -> Config:
    return Config.from_mapping({"sources": [NOTES], **sections}, base)


def written(folder: Path, text: str) -> Path:
    file = folder / "tidemark.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    file = written(tmp_path, '[encoder]\nname = "stub"\n[[sources]]\nname = "notes"\nkind = "folder"\npath = "notes"\n')
    config = Config.load(file, environ={})
    assert config.encoder.name == "stub"
    assert [source.name for source in config.sources] == ["notes"]
    assert config.store.uri == str(tmp_path / "store")
    assert config.base == tmp_path


def test_every_field_is_described_and_every_section_refuses_unknown_keys() -> None:
    def check(model: type[BaseModel]) -> None:
        assert model.model_config["extra"] == "forbid"
        assert model.model_config["frozen"]
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                check(field.annotation)

    check(Config)


def test_the_file_is_found_by_option_then_variable_then_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEMARK_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("tidemark.toml", "variable.toml", "option.toml"):
        (tmp_path / name).write_text(f'[store]\nuri = "{name}-store"\n')
    assert Config.load().store.uri.endswith("tidemark.toml-store")
    assert Config.load("").store.uri.endswith("tidemark.toml-store")
    monkeypatch.setenv("TIDEMARK_CONFIG", "variable.toml")
    assert Config.load().store.uri.endswith("variable.toml-store")
    assert Config.load(Path("option.toml")).store.uri.endswith("option.toml-store")


def test_local_paths_start_at_the_file_and_urls_stay(tmp_path: Path) -> None:
    assert made(tmp_path, store={"uri": "deep/store"}).store.uri == str(tmp_path / "deep" / "store")
    assert made(tmp_path, store={"uri": "s3://bucket/store"}).store.uri == "s3://bucket/store"
    config = made(tmp_path, validation={"expectations": "rules.yaml"})
    assert config.validation.expectations == tmp_path / "rules.yaml"


def test_a_store_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    for uri in ("taken", "/dev/null"):
        with pytest.raises(InputError, match="is no folder; name a folder"):
            made(tmp_path, store={"uri": uri})


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 sources are named 'notes'"):
        Config.from_mapping({"sources": [NOTES, NOTES]}, tmp_path)


def test_the_configuration_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        made(tmp_path).store = None  # type: ignore[assignment]


def test_secrets_are_in_no_record(tmp_path: Path) -> None:
    own = {"name": "own", "kind": "own:Thing", "password": "hunter2", "nested": {"api_key": "hunter2"}}
    urls = ["https://me:hunter2@host/x?token=hunter2&page=2"]
    config = made(tmp_path, store={"uri": "s3://me:hunter2@bucket/a"}, sources=[NOTES, own | {"urls": urls}])
    told = config.to_json()
    assert "hunter2" not in told
    assert "page=2" not in told  # any parameter may be a secret
    assert config.store.uri == "s3://me:hunter2@bucket/a"
