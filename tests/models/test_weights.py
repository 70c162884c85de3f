"""The digest of tensors, without torch."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from models.errors import DamagedModel
from models.weights import digest_tensors, list_tensors, weight_files

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.ones(4, dtype=np.float16),
    "none": np.empty((0, 3), dtype=np.float32),
}


def saved(file: Path, tensors: dict[str, np.ndarray], note: str = "") -> str:
    save_file(tensors, file, {"note": note})
    return digest_tensors([file])


def test_order_metadata_and_place_of_tensors_do_not_matter(tmp_path: Path) -> None:
    plain = saved(tmp_path / "one.safetensors", TENSORS)
    (tmp_path / "other").mkdir()
    backwards = dict(reversed(TENSORS.items()))
    assert len(plain) == 32
    assert saved(tmp_path / "other" / "two.safetensors", backwards, "a longer header moves all bytes") == plain


@pytest.mark.parametrize(
    "changed",
    [
        {"c": TENSORS["a"], "b": TENSORS["b"]},
        {**TENSORS, "a": TENSORS["a"].astype(np.float64)},
        {**TENSORS, "a": TENSORS["a"].reshape(3, 2)},
        {**TENSORS, "a": np.nextafter(TENSORS["a"], np.float32(9))},
        {**TENSORS, "a": TENSORS["a"].view(np.int32)},
        {"a": TENSORS["a"], "b": TENSORS["b"]},
        {**TENSORS, "extra": np.zeros(1, dtype=np.float32)},
    ],
    ids=["name", "precision", "shape", "one bit a number", "dtype, same bytes", "one less", "one more"],
)
def test_any_change_of_a_tensor_is_seen(changed: dict[str, np.ndarray], tmp_path: Path) -> None:
    assert saved(tmp_path / "new.safetensors", changed) != saved(tmp_path / "old.safetensors", TENSORS)


def test_constants_that_only_old_releases_saved_do_not_count(tmp_path: Path) -> None:
    constant = {"embeddings.position_ids": np.arange(9, dtype=np.int64)}
    new = saved(tmp_path / "new.safetensors", TENSORS)
    assert saved(tmp_path / "old.safetensors", {**TENSORS, **constant}) == new


def test_shards_are_the_same_as_one_file(tmp_path: Path) -> None:
    whole = saved(tmp_path / "model.safetensors", TENSORS)
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]
    (tmp_path / "model.safetensors").unlink()
    names = {name: f"model-{number}.safetensors" for number, name in enumerate(TENSORS)}
    for name, file in names.items():
        save_file({name: TENSORS[name]}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert digest_tensors(weight_files(tmp_path)) == whole
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(DamagedModel, match=r"names model-1.safetensors, which is missing"):
        weight_files(tmp_path)


def test_an_adapter_counts(tmp_path: Path) -> None:
    saved(tmp_path / "model.safetensors", TENSORS)
    saved(tmp_path / "adapter_model.safetensors", TENSORS)
    assert [file.name for file in weight_files(tmp_path)] == ["model.safetensors", "adapter_model.safetensors"]


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_file_that_is_cut_off_is_refused(share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("cut") / "model.safetensors"
    save_file(TENSORS, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DamagedModel, match=r"model\.safetensors.*(cut off|no JSON)"):
        list_tensors(file)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\n" * 9)
    with pytest.raises(DamagedModel, match="no safetensors file"):
        list_tensors(file)
