"""Late interaction: token vectors of the encoder's own network, and the best match of each."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import docstrings

from models.encoder import Encoder, resolve
from models.rerank.base import Candidate, open_reranker, token_encoder, write_settings
from models.rerank.late import maxsim

TEXTS = [text[:200] for text in docstrings()[:12]]


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return resolve(tiny_model).open()


def test_token_vectors_are_those_of_sentence_transformers_without_the_frame(encoder: Encoder, tiny_model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_model), device="cpu", local_files_only=True)
    wanted = model.encode(TEXTS, output_value="token_embeddings", convert_to_numpy=False)
    for found, raw in zip(token_encoder(encoder).encode_tokens(TEXTS, "document"), wanted, strict=True):
        vectors = raw.numpy()[1:-1]
        np.testing.assert_allclose(found, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-5)


def test_an_empty_text_keeps_the_tokens_that_frame_it(encoder: Encoder) -> None:
    found = token_encoder(encoder).encode_tokens(["", "json"], "query")
    assert [each.shape[1] for each in found] == [32, 32] and len(found[0]) == 2


def test_maxsim_is_the_mean_of_the_best_cosines() -> None:
    question = np.eye(3, dtype=np.float32)[:2]
    passages = [np.eye(3, dtype=np.float32)[[0, 2]], np.eye(3, dtype=np.float32)[[1]], np.eye(3, dtype=np.float32)]
    assert maxsim(question, passages).tolist() == [0.5, 0.5, 1.0]


@settings(max_examples=30)
@given(st.integers(0, 1000), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_maxsim_of_a_batch_is_that_of_each_alone_and_a_passage_answers_itself_best(
    seed: int, lengths: list[int]
) -> None:
    random = np.random.default_rng(seed)
    drawn = [random.normal(size=(length, 8)).astype(np.float32) for length in lengths]
    passages = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in drawn]
    together = maxsim(passages[0], passages)
    np.testing.assert_allclose(together, [maxsim(passages[0], [each])[0] for each in passages], atol=1e-6)
    assert together[0] == pytest.approx(1, abs=1e-5) and together.max() <= 1 + 1e-5


def test_late_interaction_orders_candidates_with_the_encoder_that_it_is_given(encoder: Encoder, tmp_path: Path) -> None:
    write_settings(tmp_path, "late", {})
    reranker = open_reranker(tmp_path, lambda: encoder)
    scores = reranker.rerank(TEXTS[3], [Candidate(text) for text in TEXTS])
    assert (reranker.name, reranker.sides) == ("late interaction", ())
    assert scores.argmax() == 3 and scores.shape == (len(TEXTS),)
    assert reranker.rerank("json", []).shape == (0,)
