"""Real encoders: the same vectors as sentence-transformers, in other batches."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from stacks import FOREIGN, OWN
from tiny import build, docstrings

from models.config import EncoderConfig
from models.encoder import Progress, Vectors, resolve
from models.errors import ModelError, UnknownModel
from models.probe import confirm, probe
from models.text.sentence import SentenceEncoder, batched

TEXTS = [*docstrings(), "", "a", "Größe 漢字 🌊", "word " * 300, "x" * 500]

Reference = Callable[..., Vectors]


@pytest.fixture(scope="module")
def reference() -> Reference:
    """Vectors by SentenceTransformer.encode."""
    from sentence_transformers import SentenceTransformer

    def encode(folder: Path, texts: list[str] = TEXTS, **settings: Any) -> Vectors:
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        vectors: Vectors = model.encode(texts, **settings)
        return vectors

    return encode


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "copy")


@pytest.mark.parametrize("change", OWN.values(), ids=OWN)
def test_own_networks_give_the_vectors_of_sentence_transformers(
    change: Callable[[Path], object], folder: Path, reference: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder)
    with caplog.at_level("INFO"):
        encoder = resolve(folder).open()
    assert not caplog.messages, "it runs here, not there"
    expected = reference(folder, normalize_embeddings=True)
    assert np.abs(encoder.encode_documents(TEXTS) - expected).max() < 1e-6


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_other_stacks_run_through_sentence_transformers(
    change: Callable[[Path], object], folder: Path, reference: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder)
    config = EncoderConfig(name=str(folder), document_prompt="passage: ")
    with caplog.at_level("INFO", logger="models.text.sentence"):
        encoder = resolve(config).open()
    assert "runs through sentence-transformers" in caplog.text
    texts = [text for text in TEXTS if text]
    expected = reference(folder, texts, normalize_embeddings=True, prompt="passage: ")
    assert np.abs(encoder.encode_documents(texts) - expected).max() < 1e-6


def test_prompts_and_window_are_those_of_sentence_transformers(tmp_path: Path, reference: Reference) -> None:
    folder = build(tmp_path / "prompted", prompts={"query": "return: ", "passage": "print: "})
    encoder = resolve(folder).open()
    assert (encoder.space.query_prompt, encoder.space.document_prompt) == ("return: ", "print: ")
    documents, queries = encoder.encode_documents(TEXTS), encoder.encode_queries(TEXTS)
    assert np.abs(documents - reference(folder, prompt_name="passage")).max() < 1e-6
    assert np.abs(queries - reference(folder, prompt_name="query")).max() < 1e-6
    assert np.abs(queries - documents).max() > 0.01


def test_the_packaged_encoder_gives_its_known_vectors(reference: Reference) -> None:
    texts = ["The tide mark shows how high the water stood.", "", "def f(x): return x", "long " * 400]
    encoder = resolve(EncoderConfig())
    assert encoder.folder is not None
    expected = reference(encoder.folder, texts)
    assert np.abs(encoder.open().encode_documents(texts) - expected).max() < 1e-6


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=120), max_size=12), budget=st.integers(1, 300))
def test_batches_do_not_change_vectors(texts: list[str], budget: int, tiny_model: Path) -> None:
    config = EncoderConfig(name=str(tiny_model), batch_tokens=budget)
    encoder = resolve(config).open()
    together = encoder.encode_documents(texts)
    assert together.shape == (len(texts), 32)
    for text, vector in zip(texts, together, strict=True):
        assert np.abs(encoder.encode_documents([text])[0] - vector).max() < 1e-6


@given(lengths=st.lists(st.integers(0, 80), max_size=60), budget=st.integers(1, 200))
def test_every_text_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    tokens: list[npt.NDArray[np.int32]] = [np.zeros(length, dtype=np.int32) for length in lengths]
    batches = [batch.tolist() for batch in batched(tokens, budget)]
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget or not lengths[batch[0]]
    longest = [max(lengths[row] for row in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_progress_counts_texts_and_tokens_to_the_end(tiny_model: Path) -> None:
    seen: list[Progress] = []
    resolve(tiny_model).open().encode_documents(TEXTS, seen.append)
    assert [step.texts for step in seen] == sorted(step.texts for step in seen)
    assert (seen[-1].texts, seen[-1].tokens) == (len(TEXTS), seen[-1].all_tokens)
    assert {(step.all_texts, step.all_tokens) for step in seen} == {(len(TEXTS), seen[-1].tokens)}
    assert max(later.tokens - step.tokens for step, later in itertools.pairwise(seen)) <= 1000


def test_a_device_that_is_missing_is_refused(tiny_model: Path) -> None:
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ModelError, match=r'encoder.device "mps": this machine has none'):
        resolve(EncoderConfig(name=str(tiny_model), device="mps")).open()


def test_vectors_that_are_not_finite_are_refused(folder: Path) -> None:
    from safetensors.numpy import load_file

    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.1.output.LayerNorm.bias"][3] = np.inf
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(RuntimeError, match="2 of 2 vectors are not finite"):
        resolve(folder).open().encode_documents(["one", "two"])


def test_a_kind_of_encoder_without_a_folder_is_a_mistake() -> None:
    with pytest.raises(UnknownModel, match="needs the folder of its model"):
        SentenceEncoder.identify(None, EncoderConfig())


def test_a_gpu_gives_the_vectors_of_the_cpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    cpu, gpu = (resolve(EncoderConfig(device=device)).open() for device in ("cpu", "cuda"))
    assert cpu.space.id == gpu.space.id
    assert confirm(probe(cpu), gpu) > 0  # the sums are taken in another order
