"""Smaller vectors: an encoder that carries its matrix, the same map for stored vectors, and fewer bits a coordinate."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import docstrings

from models.compress import fit_svd, from_bits, hamming, map_vectors, shorten, to_bits, to_int8
from models.config import EncoderConfig
from models.encoder import Vectors, resolve
from models.errors import ModelError
from models.probe import confirm, probe

TEXTS = [text[:150] for text in docstrings()]


def drawn(seed: int, rows: int = 40, width: int = 16) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(1, 15), st.integers(1, 39))
def test_directions_are_those_of_numpys_svd_whatever_the_slices(seed: int, dimension: int, cut: int) -> None:
    vectors = drawn(seed)
    matrix = fit_svd([vectors[:cut], vectors[cut:]], dimension)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(dimension), atol=1e-5)
    _, lengths, _ = np.linalg.svd(vectors.astype(np.float64))
    held = np.linalg.norm(vectors @ matrix.T) ** 2
    assert held == pytest.approx((lengths[:dimension] ** 2).sum(), rel=1e-4)
    np.testing.assert_allclose(np.linalg.norm(map_vectors(vectors, matrix), axis=1), 1, atol=1e-5)


def test_vectors_in_few_dimensions_lose_nothing_and_nothing_stays_nothing() -> None:
    flat = np.concatenate([drawn(1, width=4), np.zeros((40, 12), np.float32)], axis=1)
    matrix = fit_svd([flat], 4)
    mapped = map_vectors(flat, matrix)
    np.testing.assert_allclose(mapped @ mapped.T, flat @ flat.T, atol=1e-5)
    assert map_vectors(np.zeros((1, 16), np.float32), matrix).tolist() == [[0] * 4]
    with pytest.raises(ModelError, match="there are no vectors to shorten"):
        fit_svd([], 4)
    with pytest.raises(ModelError, match="16 dimensions: vectors of 16 can be shortened to 1 to 15"):
        fit_svd([flat], 16)


@pytest.mark.parametrize("bare", [False, True])
def test_a_shortened_encoder_is_a_space_of_its_own_whose_vectors_are_the_mapped_ones(
    tiny_model: Path, tmp_path: Path, bare: bool
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "base")
    if bare:
        (folder / "modules.json").unlink()
    base = resolve(folder).open()
    vectors = base.encode_documents(TEXTS)
    matrix = fit_svd([vectors], 8)
    space = shorten(folder, matrix, tmp_path / "short")
    found = resolve(tmp_path / "short")
    assert found.space == space and space.id != base.space.id and (space.dimension, space.normalise) == (8, True)
    short = found.open()
    np.testing.assert_allclose(short.encode_documents(TEXTS), map_vectors(vectors, matrix), atol=1e-5)
    found.export(tmp_path / "kept")
    confirm(probe(short), resolve(tmp_path / "kept").open())


def test_sentence_transformers_loads_a_shortened_encoder_as_it_is(tiny_model: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    vectors = resolve(tiny_model).open().encode_documents(TEXTS)
    matrix = fit_svd([vectors], 8)
    shorten(tiny_model, matrix, tmp_path / "short")
    model = SentenceTransformer(str(tmp_path / "short"), device="cpu", local_files_only=True)
    np.testing.assert_allclose(model.encode(TEXTS), map_vectors(vectors, matrix), atol=1e-5)


def test_a_matrix_that_does_not_fit_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a matrix for vectors of 16 dimensions does not fit tiny, which gives 32"):
        shorten(tiny_model, np.eye(16, dtype=np.float32)[:4], tmp_path / "short")
    resolve(EncoderConfig(name="stub")).export(tmp_path / "stub")
    with pytest.raises(ModelError, match="which is a stub"):
        shorten(tmp_path / "stub", np.eye(384, dtype=np.float32)[:4], tmp_path / "short")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(1, 20), st.integers(1, 33))
def test_int8_is_off_by_half_a_step_and_signs_by_what_they_count(seed: int, rows: int, width: int) -> None:
    vectors = drawn(seed, rows, width)
    kept = to_int8(vectors)
    assert np.abs(kept.vectors() - vectors).max() <= kept.scale * 0.5001
    assert (to_int8(kept.vectors(), kept.scale).codes == kept.codes).all()
    bits = to_bits(vectors)
    assert bits.shape == (rows, -(-width // 8))
    signs = from_bits(bits, width)
    # The cosine of signs is one less twice the share that differs: both ways of counting agree.
    np.testing.assert_allclose(signs @ signs.T, 1 - 2 * hamming(bits, bits) / width, atol=1e-5)


def test_nothing_is_rounded_to_nothing() -> None:
    assert to_int8(np.zeros((2, 3), np.float32)).vectors().tolist() == [[0] * 3] * 2
    assert to_int8(np.empty((0, 3), np.float32)).vectors().shape == (0, 3)
