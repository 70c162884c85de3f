"""Logistic fusion: weights that dev questions taught, kept as JSON."""

from pathlib import Path

import numpy as np
import pytest
from tiny import docstrings

from models.encoder import resolve
from models.errors import DamagedModel, ModelError
from models.rerank.base import Candidate, open_reranker, token_encoder, write_settings
from models.rerank.fusion import LogisticFusion, features, fit


def lists(questions: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates of which one a question answers: told by the first feature, partly by the second."""
    random = np.random.default_rng(seed)
    values = random.random((questions * 10, 3))
    relevant = np.arange(questions * 10) % 10 == 0
    values[relevant, 0] = 1.0
    values[relevant, 1] += 0.2
    return values, relevant, np.repeat(np.arange(questions), 10)


def test_the_weights_say_which_feature_tells_and_order_what_was_not_seen() -> None:
    fitted = fit(*lists(200))
    assert list(fitted.weights) == ["dense", "words", "late"]
    assert fitted.weights["dense"] > fitted.weights["words"] > abs(fitted.weights["late"])
    assert fitted.evidence == {"questions": 200, "candidates": 2000, "relevant": 200}
    values, _, _ = lists(100, seed=1)
    first = fitted.score(values).reshape(100, 10).argmax(axis=1) == 0
    assert first.mean() > 0.8


def test_questions_whose_candidates_all_answer_or_none_teach_nothing() -> None:
    values, relevant, groups = lists(20)
    more = np.concatenate([values, np.ones((20, 3))]), np.concatenate([relevant, [True] * 10, [False] * 10])
    fitted = fit(*more, np.concatenate([groups, [20] * 10, [21] * 10]))
    assert fitted.weights == pytest.approx(fit(values, relevant, groups).weights)
    assert fitted.evidence["questions"] == 20
    with pytest.raises(ModelError, match="no dev question has a right candidate beside a wrong one"):
        fit(np.ones((20, 3)), np.array([True] * 10 + [False] * 10), np.repeat([0, 1], 10))


def test_the_order_of_the_candidates_does_not_matter_to_the_fit() -> None:
    values, relevant, groups = lists(30)
    mixed = np.random.default_rng(3).permutation(len(values))
    again = fit(values[mixed], relevant[mixed], groups[mixed]).weights
    assert again == pytest.approx(fit(values, relevant, groups).weights, abs=1e-3)


def test_a_saved_fusion_scores_as_before(tiny_model: Path, tmp_path: Path) -> None:
    encoder = resolve(tiny_model).open()
    candidates = [Candidate(text[:99], i / 7, None if i % 2 else 3.0 + i) for i, text in enumerate(docstrings()[:9])]
    fusion = LogisticFusion({"dense": 2.0, "words": 1.0, "late": 3.0}, -1.0, {}, token_encoder(encoder))
    fusion.save(tmp_path)
    opened = open_reranker(tmp_path, lambda: encoder)
    assert opened.rerank("json", candidates).tolist() == fusion.rerank("json", candidates).tolist()
    values = features(candidates, ("dense", "words", "late"), np.arange(9.0))
    assert values.shape == (9, 3) and values[1, 1] == 0 and values[8, 0] == 1
    with pytest.raises(ModelError, match="needs an encoder that gives vectors of tokens"):
        features(candidates, ("late",))


def test_a_folder_without_weights_is_damaged(tmp_path: Path) -> None:
    write_settings(tmp_path, "fusion", {"weights": {"dense": "much"}})
    with pytest.raises(DamagedModel, match="holds no weights of a fusion"):
        open_reranker(tmp_path)
