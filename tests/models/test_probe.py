"""The functional probe."""

from pathlib import Path

import numpy as np
import pytest
from tiny import build, nudge

from models.config import EncoderConfig
from models.encoder import resolve
from models.errors import ProbeMismatch
from models.probe import PROBE_TEXTS, confirm, probe
from models.text.sentence import SentenceEncoder


def test_the_same_encoder_in_other_batches_confirms_its_probe(tiny_model: Path) -> None:
    stored = probe(resolve(tiny_model).open())
    assert stored.shape == (2 * len(PROBE_TEXTS), 32)
    one_by_one = resolve(EncoderConfig(name=str(tiny_model), batch_tokens=1, threads=1)).open()
    assert confirm(stored, one_by_one) < 1e-6


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_another_precision_of_the_same_files_is_found_out(dtype: str, tiny_model: Path) -> None:
    stored = probe(resolve(tiny_model).open())
    space = resolve(tiny_model).space
    other = SentenceEncoder.open(tiny_model, EncoderConfig(name=str(tiny_model)), space, dtype=dtype)
    message = r"the same files give other vectors than before, by up to \d\.\de-0\d where 1e-05 is allowed"
    with pytest.raises(ProbeMismatch, match=message):
        confirm(stored, other)


def test_the_probe_sees_weights_that_were_nudged(tmp_path: Path) -> None:
    folder = build(tmp_path / "tiny")
    stored = probe(resolve(folder).open())
    nudge(folder, 1.01)
    with pytest.raises(ProbeMismatch):
        confirm(stored, resolve(folder).open())


def test_a_probe_of_another_shape_or_without_numbers_is_a_mismatch(tiny_model: Path) -> None:
    encoder = resolve(tiny_model).open()
    with pytest.raises(ProbeMismatch, match=r"stored probe has the shape \(2, 32\)"):
        confirm(probe(encoder)[:2], encoder)
    with pytest.raises(ProbeMismatch, match="by up to nan"):
        confirm(np.full_like(probe(encoder), np.nan), encoder)
