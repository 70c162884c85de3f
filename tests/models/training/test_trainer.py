"""Trainings: whole ones and killed ones."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from trainings import Schools

from models.encoder import resolve
from models.training.dev import SPREAD, peak

TEXTS = ["Return the parser.", "a list of names", "x"]


@pytest.fixture(scope="module")
def schools() -> Iterator[Schools]:
    with Schools() as open_ones:
        yield open_ones


@pytest.fixture(scope="module")
def plain(schools: Schools, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A training that nothing disturbs."""
    work = tmp_path_factory.mktemp("plain") / "work"
    return {"work": work, **schools.do("trained", tiny_model, work, {})}


def weights(work: Path) -> str:
    return resolve(work / "model").space.weights


def test_a_training_changes_the_weights_and_nothing_else(plain: dict[str, Any], tiny_model: Path) -> None:
    folder = plain["work"] / "model"
    base, space = resolve(tiny_model).space, resolve(folder).space

    assert space.weights == plain["weights"] != base.weights
    assert (space.tokenizer, space.network, space.window) == (base.tokenizer, base.network, base.window)
    for file in (path for path in tiny_model.rglob("*") if path.is_file() and path.suffix != ".safetensors"):
        assert (folder / file.relative_to(tiny_model)).read_bytes() == file.read_bytes()


def test_losses_fall_and_questions_are_answered_better(plain: dict[str, Any]) -> None:
    losses = [loss for _, loss in plain["losses"]]

    assert [step for step, _ in plain["losses"]] == list(range(1, plain["steps"] + 1))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert plain["curve"][0][0] == 0
    assert plain["best"] == peak([(step, value) for step, value in plain["curve"]], SPREAD / 12**0.5)
    assert plain["settings"]["steps"] == 12


def test_progress_tells_steps_loss_and_seconds_left(plain: dict[str, Any]) -> None:
    assert [told[:4] for told in plain["told"]] == [["training", step, 12, loss] for step, loss in plain["losses"]]
    assert all(told[4] >= 0 for told in plain["told"])


def test_the_exported_folder_holds_no_pickle_and_the_work_folder_no_checkpoint(plain: dict[str, Any]) -> None:
    files = [path for path in plain["work"].rglob("*") if path.is_file()]

    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert sorted(path.name for path in plain["work"].iterdir()) == ["model", "plan.json", "trained.json"]


def test_sentence_transformers_gives_the_vectors_of_our_own_encoder(plain: dict[str, Any], schools: Schools) -> None:
    theirs, window = schools.do("vectors", plain["work"] / "model", TEXTS)

    ours = resolve(plain["work"] / "model").open().encode_queries(TEXTS)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert window == 64


def test_a_finished_training_is_only_read(plain: dict[str, Any], schools: Schools, tiny_model: Path) -> None:
    again = schools.do("trained", tiny_model, plain["work"], {})

    assert {**again, "told": None, "work": None} == {**plain, "told": None, "work": None}
    assert again["told"] == []


def test_a_folder_of_another_training_is_refused(plain: dict[str, Any], schools: Schools, tiny_model: Path) -> None:
    with pytest.raises(AssertionError, match="begun with another base, recipe or other examples"):
        schools.do("trained", tiny_model, plain["work"], {"seed": 1})


def test_a_training_killed_at_many_moments_ends_with_the_same_weights(
    plain: dict[str, Any], schools: Schools, tiny_model: Path, tmp_path: Path
) -> None:
    # One training, killed again and again: as it plans, steps, saves, keeps the best and exports.
    moments = [
        "plan.json.part",
        "training/best.safetensors",
        "training/checkpoint-3/model.safetensors",
        "training/checkpoint-3/complete.json",
        "training/checkpoint-6/rng_state.pth",
        "training/checkpoint-9/complete.json",
        "training/history.json",
        "model.part/model.safetensors",
    ]
    for moment in moments:
        schools.do("trained", tiny_model, tmp_path / "work", {}, kill=moment, within=tmp_path / "work")

    found = schools.do("trained", tiny_model, tmp_path / "work", {})

    assert weights(tmp_path / "work") == found["weights"] == plain["weights"]
    assert (found["curve"], found["losses"]) == (plain["curve"], plain["losses"])
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["model", "plan.json", "trained.json"]


def test_a_cross_encoder_killed_at_many_moments_ends_with_the_same_weights(
    schools: Schools, tiny_model: Path, tmp_path: Path
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    first = schools.do("crossed", tiny_model, whole)
    moments = [
        "training/checkpoint-3/complete.json",
        "training/checkpoint-6/rng_state.pth",
        "training/checkpoint-9/complete.json",
        "model.part/model.safetensors",
    ]
    ended = [schools.do("crossed", tiny_model, torn, kill=moment, within=torn) for moment in moments]
    assert ended[0] is None

    found = schools.do("crossed", tiny_model, torn)

    assert (found["id"], found["steps"], found["losses"]) == (first["id"], 12, first["losses"])
    assert sorted(path.name for path in torn.iterdir()) == ["model", "plan.json", "trained.json"]


@pytest.mark.parametrize(
    "recipe",
    [
        {"lora": 4, "learning_rate": 1e-2},
        {"layers": 1},
        {"cached": True, "matryoshka": [16, 8], "precision": "bfloat16", "seed": 3},
    ],
    ids=["adapters", "a student", "cached, short, bfloat16"],
)
def test_each_recipe_trains_and_resumes_to_the_same_weights(
    recipe: dict[str, Any], schools: Schools, tiny_model: Path, tmp_path: Path
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    first = schools.do("trained", tiny_model, whole, recipe, False, True)
    for stage in ("distilling", "training") if "layers" in recipe else ("training",):
        moment = f"{stage}/checkpoint-6/complete.json"
        schools.do("trained", tiny_model, torn, recipe, False, True, kill=moment, within=torn)

    second = schools.do("trained", tiny_model, torn, recipe, False, True)

    assert first["weights"] == second["weights"] == weights(torn)
    assert first["weights"] != resolve(tiny_model).space.weights
    assert first["curve"] == []
    theirs, _ = schools.do("vectors", torn / "model", TEXTS)
    np.testing.assert_allclose(resolve(torn / "model").open().encode_queries(TEXTS), theirs, atol=1e-5)


def test_a_student_has_fewer_layers(schools: Schools, tiny_model: Path, tmp_path: Path) -> None:
    found = schools.do("trained", tiny_model, tmp_path / "work", {"layers": 1, "steps": 2})

    names = load_file(tmp_path / "work" / "model" / "model.safetensors")
    assert {name.split(".")[2] for name in names if name.startswith("encoder.layer")} == {"0"}
    assert json.loads((tmp_path / "work" / "model" / "config.json").read_text())["num_hidden_layers"] == 1
    assert [told[0] for told in found["told"]] == ["distilling"] * 2 + ["training"] * 2


def test_merged_adapters_give_the_vectors_that_they_gave_beside_the_weights(schools: Schools, tiny_model: Path) -> None:
    beside, merged, left = schools.do("adapted", tiny_model, TEXTS)

    np.testing.assert_allclose(merged, beside, atol=1e-5)
    assert left == []


def test_a_budget_becomes_a_number_of_steps(schools: Schools, tiny_model: Path, tmp_path: Path) -> None:
    found = schools.do("trained", tiny_model, tmp_path / "work", {"steps": None, "minutes": 0.02, "epochs": 2.5})

    plan = json.loads((tmp_path / "work" / "plan.json").read_text())
    assert found["settings"]["steps"] == plan["course"]["steps"] <= 2.5 * found["rows"] / 8
    assert plan["step_seconds"] > 0


def test_prompts_of_the_base_are_trained_with_and_kept(schools: Schools, tmp_path: Path) -> None:
    from tiny import build

    digests = []
    for prompts in ({}, {"query": "question: ", "document": "passage: "}):
        base = build(tmp_path / f"base-{len(prompts)}", prompts=prompts)
        work = tmp_path / f"work-{len(prompts)}"
        digests.append(schools.do("trained", base, work, {"steps": 3})["weights"])
        space = resolve(work / "model").space
        assert (space.query_prompt, space.document_prompt) == (
            prompts.get("query", ""),
            prompts.get("document", ""),
        )
    assert digests[0] != digests[1]


def test_a_base_that_cannot_be_written_to_is_only_read(
    schools: Schools, tiny_model: Path, plain: dict[str, Any], tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    before = {path: path.stat().st_mtime_ns for path in itertools.chain([base], base.rglob("*"))}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)

    found = schools.do("trained", base, tmp_path / "work", {})

    assert found["weights"] == plain["weights"]
    assert {path: path.stat().st_mtime_ns for path in itertools.chain([base], base.rglob("*"))} == before
    for path in before:
        path.chmod(0o755)
