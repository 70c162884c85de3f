"""Folders of re-rankers: what tells their kind, their identity, and what is refused."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.config import EncoderConfig
from models.encoder import resolve
from models.errors import DamagedModel, ModelError
from models.rerank.base import RERANKERS, SETTINGS_FILE, identify, open_reranker, scaled, write_settings
from models.rerank.fusion import LogisticFusion


def test_the_identity_is_of_names_and_contents_and_moves_with_the_folder(tmp_path: Path) -> None:
    first = write_settings(tmp_path / "a", "late", {})
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "tidemark.json").write_text("{}")  # the manifest of a store that keeps it
    assert identify(tmp_path / "b") == first and len(first) == 32
    assert write_settings(tmp_path / "b", "late", {"more": 1}) != first


def test_a_folder_of_another_kind_format_or_with_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedModel, match="is not the folder of a re-ranker"):
        open_reranker(tmp_path)
    write_settings(tmp_path, "psychic", {})
    with pytest.raises(DamagedModel, match="there is no kind 'psychic' of re-ranker; known are late, fusion, cross"):
        open_reranker(tmp_path)
    (tmp_path / "modeling.py").write_text("")
    with pytest.raises(DamagedModel, match=r"modeling.py: a re-ranker is safetensors, JSON and text"):
        open_reranker(tmp_path)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps({"format": 2, "kind": "late"}))
    with pytest.raises(DamagedModel, match="is not of format 1"):
        identify(tmp_path)
    (tmp_path / SETTINGS_FILE).write_text("{")
    with pytest.raises(DamagedModel, match="is broken"):
        identify(tmp_path)


def test_a_fusion_of_words_needs_no_encoder_and_one_with_late_interaction_says_what_it_needs(tmp_path: Path) -> None:
    LogisticFusion({"dense": 1.0, "words": 2.0}, 0.5, {"questions": 3}).save(tmp_path / "light")
    light = open_reranker(tmp_path / "light", lambda: pytest.fail("no encoder is needed"))
    assert (light.name, light.sides) == ("logistic fusion", ("dense", "words"))
    LogisticFusion({"late": 1.0}, 0.0, {}).save(tmp_path / "late")
    stub = resolve(EncoderConfig(name="stub")).open()
    with pytest.raises(ModelError, match="needs vectors of tokens, and the encoder stub gives none"):
        open_reranker(tmp_path / "late", lambda: stub)
    with pytest.raises(ModelError, match="and no encoder gives none"):
        open_reranker(tmp_path / "late")


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=20))
def test_scaled_scores_lie_between_0_and_1_in_the_order_they_had(values: list[float | None]) -> None:
    found = scaled(values)
    assert found.shape == (len(values),) and ((found >= 0) & (found <= 1)).all()
    known = [index for index, value in enumerate(values) if value is not None]
    raw = np.array([values[index] for index in known])
    order = np.argsort(raw, kind="stable")
    assert (np.diff(found[known][order]) >= 0).all()
    assert all(found[index] == 0 for index in range(len(values)) if values[index] is None)


def test_a_candidate_that_only_one_side_found_is_below_those_that_all_score_the_same() -> None:
    assert scaled([2.0, None, 2.0]).tolist() == [1, 0, 1]
    assert scaled([2.0, 2.0]).tolist() == [0, 0]


@pytest.mark.parametrize("target", RERANKERS.values())
def test_every_row_of_the_table_names_a_class_that_opens(target: str) -> None:
    module, _, name = target.partition(":")
    assert callable(getattr(importlib.import_module(module), name).open)
