"""Operations that repeat: what torch is told on a GPU, and that it is told back."""

import pytest
import torch

from models.errors import ModelError
from models.training.hardware import repeatable


def test_on_a_gpu_an_operation_that_does_not_repeat_is_refused_in_words() -> None:
    before = torch.get_deterministic_debug_mode()
    places, values = torch.tensor([0, 0]), torch.tensor([1.0, 2.0])
    refused = pytest.raises(ModelError, match=r"training on cuda: put_ does not have .*; set encoder.device to cpu")
    with refused, repeatable("cuda", None):
        # Under a warning only, the gradients of attention would not repeat: they differed on an H100 at 256 tokens.
        assert torch.get_deterministic_debug_mode() == 2
        torch.zeros(3).put_(places, values)
    assert torch.get_deterministic_debug_mode() == before


def test_other_errors_pass_and_threads_are_set_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="of something else"), repeatable("cpu", before + 1) as taken:
        assert taken == before + 1
        assert torch.get_deterministic_debug_mode() == 0
        raise RuntimeError("of something else")
    assert torch.get_num_threads() == before
