"""Model folders beside the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import InputError
from storage.registry import Registry
from storage.remote import filesystem
from storage.tables.store import Store

SPACE = "ab" * 16


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"weights")
    (folder / "1_Pooling" / "config.json").write_text("{}")
    return folder


@pytest.fixture(params=["local", "remote"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return Registry(Store(tmp_path / "store" if request.param == "local" else request.getfixturevalue("bucket")))


def content(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if name != "tidemark.json"}


def test_a_model_is_kept_and_fetched_whole(registry: Registry, model: Path) -> None:
    assert not registry.has(SPACE)
    registry.keep(SPACE, model)
    assert (registry.has(SPACE), registry.spaces()) == (True, [SPACE])
    assert content(registry.fetch(SPACE)) == content(model)
    assert registry.damage(SPACE) == []


def test_a_model_that_is_not_there_is_named(registry: Registry) -> None:
    with pytest.raises(InputError, match=f"encoder of space {SPACE} is not in models/; restore that folder"):
        registry.fetch(SPACE)
    assert registry.damage(SPACE) == [f"models/{SPACE} is missing"]


def test_a_model_is_kept_once(registry: Registry, model: Path) -> None:
    registry.keep(SPACE, model)
    (model / "weights.safetensors").write_bytes(b"others")
    registry.keep(SPACE, model)
    assert content(registry.fetch(SPACE))["weights.safetensors"] == b"weights"


def test_a_dropped_model_is_gone(registry: Registry, model: Path) -> None:
    registry.drop(SPACE)
    registry.keep(SPACE, model)
    registry.drop(SPACE)
    assert (registry.has(SPACE), registry.spaces()) == (False, [])


def test_what_a_killed_drop_left_goes(registry: Registry, model: Path) -> None:
    registry.keep(SPACE, model)
    files, root = filesystem(f"{registry.store.uri}/models/{SPACE}")
    files.rm_file(f"{root}/tidemark.json")
    assert (registry.has(SPACE), registry.spaces()) == (False, [SPACE])
    registry.drop(SPACE)
    assert registry.spaces() == []


def test_damage_in_a_bucket_is_found_though_the_cache_is_whole(bucket: str, model: Path) -> None:
    registry = Registry(Store(bucket))
    registry.keep(SPACE, model)
    assert content(registry.fetch(SPACE)) == content(model)
    files, root = filesystem(f"{bucket}/models/{SPACE}")
    files.pipe_file(f"{root}/weights.safetensors", b"weightz")
    files.rm_file(f"{root}/1_Pooling/config.json")
    assert registry.damage(SPACE) == [
        f"models/{SPACE}/1_Pooling/config.json is missing",
        f"models/{SPACE}/weights.safetensors is changed",
    ]


def test_damage_names_every_file(tmp_path: Path, model: Path) -> None:
    registry = Registry(Store(tmp_path / "store"))
    registry.keep(SPACE, model)
    kept = registry.fetch(SPACE)
    (kept / "weights.safetensors").write_bytes(b"weightz")
    (kept / "1_Pooling" / "config.json").unlink()
    assert registry.damage(SPACE) == [
        f"models/{SPACE}/1_Pooling/config.json is missing",
        f"models/{SPACE}/weights.safetensors is changed",
    ]


def test_what_a_killed_run_left_is_no_model_and_goes(tmp_path: Path, model: Path) -> None:
    registry = Registry(Store(tmp_path / "store"))
    models = tmp_path / "store" / "models"
    for name in (SPACE, f".{SPACE}-0011aabb"):
        (models / name).mkdir(parents=True)
        (models / name / "weights.safetensors").write_bytes(b"wei")
    (models / f".{SPACE}-22334455").write_text("half of a card")
    assert not registry.has(SPACE)
    registry.sweep()
    assert [path.name for path in models.iterdir()] == [SPACE]
    registry.keep(SPACE, model)
    registry.sweep()
    assert registry.damage(SPACE) == []


def test_a_card_may_be_written_anew_and_counts_as_no_damage(registry: Registry, model: Path) -> None:
    (model / "README.md").write_text("# One")
    registry.keep(SPACE, model)
    size = registry.size(SPACE)
    assert size == sum(len(data) for name, data in content(model).items() if name != "README.md")
    registry.describe(SPACE, "# Another, and longer")
    assert (registry.damage(SPACE), registry.size(SPACE)) == ([], size)
    assert "README.md" not in registry.digests(SPACE)
