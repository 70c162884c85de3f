"""Few texts without torch: the vectors of the encoder itself, and torch for whatever is more."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from stacks import FOREIGN, OWN

from models.config import EncoderConfig
from models.encoder import EncoderFolder, resolve
from models.text import few
from models.text.few import FewTexts, open_few
from models.text.sentence import SentenceEncoder

CLOSE = 3e-6  # of a coordinate; sums are added up in another order
ASKED = ["When is the tide high?", "", "a", "Größe 漢字 🌊", "def f(x): return x", "word " * 20]


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


@pytest.fixture
def torchless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that seems to have no torch yet: so that both can be asked in one."""
    monkeypatch.setattr(few, "loaded", lambda: False)


def pair(found: EncoderFolder) -> tuple[FewTexts, SentenceEncoder]:
    encoder, whole = open_few(found), found.open()
    assert isinstance(encoder, FewTexts)
    assert isinstance(whole, SentenceEncoder)
    return encoder, whole


@pytest.mark.usefixtures("torchless")
@pytest.mark.parametrize("change", OWN.values(), ids=OWN)
def test_few_texts_have_the_vectors_of_the_encoder_itself(change: Callable[[Path], object], folder: Path) -> None:
    change(folder)
    encoder, whole = pair(resolve(folder))
    for text in ASKED:
        found = encoder.encode_queries([text])
        assert found.dtype == np.float32
        assert np.abs(found - whole.encode_queries([text])).max() < CLOSE
    together = encoder.encode_queries(ASKED)
    assert np.abs(together - whole.encode_queries(ASKED)).max() < CLOSE
    assert "_whole" not in vars(encoder), "torch was asked"


@pytest.mark.usefixtures("torchless")
def test_the_packaged_encoder_is_the_same_with_its_prompt() -> None:
    encoder, whole = pair(resolve(EncoderConfig(query_prompt="Represent this question: ")))
    assert np.abs(encoder.encode_queries(ASKED) - whole.encode_queries(ASKED)).max() < CLOSE


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=120))
def test_any_text_has_the_vector_of_the_encoder_itself(text: str, tiny_model: Path) -> None:
    found = resolve(tiny_model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few, "loaded", lambda: False)
        encoder, whole = pair(found)
        assert np.abs(encoder.encode_queries([text]) - whole.encode_queries([text])).max() < CLOSE


@pytest.mark.usefixtures("torchless")
@pytest.mark.parametrize("texts", [["tide"] * 9, ["word " * 200] * 3], ids=["many", "long"])
def test_what_is_no_longer_few_is_asked_of_the_encoder_itself(texts: list[str], tiny_model: Path) -> None:
    encoder, whole = pair(resolve(tiny_model))
    assert np.array_equal(encoder.encode_queries(texts), whole.encode_queries(texts))
    assert "_whole" in vars(encoder)
    assert np.array_equal(encoder.encode_documents(texts), whole.encode_documents(texts))
    ours, theirs = encoder.encode_tokens(texts, "query"), whole.encode_tokens(texts, "query")
    assert all(map(np.array_equal, ours, theirs))


def halves(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: each.to(torch.bfloat16) for name, each in weights.items()}, folder / "model.safetensors")


@pytest.mark.usefixtures("torchless")
@pytest.mark.parametrize("change", [*FOREIGN.values(), halves], ids=[*FOREIGN, "bfloat16"])
def test_what_numpy_does_not_compute_is_the_encoder_itself(change: Callable[[Path], object], folder: Path) -> None:
    change(folder)
    assert isinstance(open_few(resolve(folder)), SentenceEncoder)


@pytest.mark.usefixtures("torchless")
def test_a_device_that_is_named_is_used(tiny_model: Path) -> None:
    assert isinstance(open_few(resolve(EncoderConfig(name=str(tiny_model), device="cpu"))), FewTexts)
    if torch.cuda.is_available():
        assert isinstance(open_few(resolve(EncoderConfig(name=str(tiny_model), device="cuda"))), SentenceEncoder)


def test_a_process_that_has_torch_uses_it(tiny_model: Path) -> None:
    assert isinstance(open_few(resolve(tiny_model)), SentenceEncoder)


def test_a_stub_is_opened_as_it_is() -> None:
    found = resolve(EncoderConfig(name="stub"))
    assert open_few(found).space == found.space


def test_a_question_needs_no_torch_and_a_second_process_gives_the_same(tiny_model: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from models.encoder import resolve
        from models.text.few import open_few
        encoder = open_few(resolve(Path(sys.argv[1])))
        one = encoder.encode_queries(["When is the tide high?"])
        print(sorted({"torch", "transformers", "scipy", "safetensors"} & sys.modules.keys()))
        print(one.tobytes().hex())
        many = encoder.encode_queries(["When is the tide high?"] * 9)
        print("torch" in sys.modules, abs(many - one).max() < 3e-6)
        """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tiny_model)]
    said = {subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout for _ in range(2)}
    [lines] = [each.splitlines() for each in said]
    assert (lines[0], lines[2]) == ("[]", "True True")
