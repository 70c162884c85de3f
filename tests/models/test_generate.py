"""Models that write questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoint import Endpoint, serving
from pydantic import SecretStr

from models.errors import ModelError, UnknownModel
from models.generate import EndpointGenerator, LocalGenerator, cost, open_generator

PASSAGES = ["The tide turns twice a day.", "A pilot knows the reef.", "The wind is from the west."]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Answers with the last word of what it is asked."""
    with serving(lambda asked: f'\n"What about {asked.split()[-1]}"\nAnd more.') as found:
        yield found


@pytest.fixture(scope="module")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 with random weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration, set_seed

    folder = tmp_path_factory.mktemp("t5") / "tiny-t5"
    words = ["<pad>", "</s>", "<unk>", *dict.fromkeys(" ".join(PASSAGES).replace(".", "").split())]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )
    fast.save_pretrained(folder)
    set_seed(0)
    config = T5Config(
        vocab_size=len(words),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_a_local_model_writes_the_same_questions_every_time(tiny_t5: Path) -> None:
    with open_generator(str(tiny_t5)) as generator:
        assert generator.name == "tiny-t5"
        first = generator.write(PASSAGES)
        assert len(first) == 3
        assert generator.write(PASSAGES) == first
        assert generator.write([]) == []


def test_what_is_no_local_model_is_named(tmp_path: Path, tiny_model: Path) -> None:
    for model in (str(tmp_path), str(tiny_model), "nobody/nothing"):
        with pytest.raises(UnknownModel, match="is no seq2seq model with safetensors"):
            LocalGenerator(model)


def test_an_endpoint_is_asked_once_a_passage(endpoint: Endpoint) -> None:
    with open_generator("m", url=endpoint.url + "/v1/", key=SecretStr("s3cret")) as generator:
        assert generator.write(PASSAGES[:2]) == ["What about day.", "What about reef."]
    assert endpoint.keys == ["Bearer s3cret"] * 2
    asked = endpoint.asked[0]
    assert (asked["path"], asked["model"], asked["temperature"]) == ("/v1/chat/completions", "m", 0)


def test_an_endpoint_that_is_busy_is_asked_again(endpoint: Endpoint) -> None:
    endpoint.answers = [(429, {}), (503, {})]
    with EndpointGenerator("m", endpoint.url, waits=(0, 0)) as generator:
        assert generator.write(PASSAGES[:1]) == ["What about day."]
    assert len(endpoint.asked) == 3
    endpoint.answers = [(500, {})] * 3
    with (
        EndpointGenerator("m", endpoint.url, waits=(0, 0)) as generator,
        pytest.raises(ModelError, match="answered 500, 3 times"),
    ):
        generator.write(PASSAGES[:1])


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, {"error": "bad key s3cret"}, "refused the key"),
        (404, {"error": "s3cret"}, "answered 404"),
        (200, {"choices": []}, "gave no chat completion"),
        (200, ["s3cret"], "gave no chat completion"),
    ],
)
def test_an_endpoint_that_fails_is_told_without_the_key(
    endpoint: Endpoint, status: int, answer: Any, words: str
) -> None:
    endpoint.answers = [(status, answer)]
    generator = EndpointGenerator("m", endpoint.url, SecretStr("s3cret"))
    with generator, pytest.raises(ModelError, match=words) as caught:
        generator.write(PASSAGES[:1])
    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert len(endpoint.asked) == 1


def test_an_endpoint_that_is_not_there_is_told() -> None:
    with (
        EndpointGenerator("m", "http://127.0.0.1:9", waits=(0,)) as generator,
        pytest.raises(ModelError, match="does not answer: ConnectError, 2 times"),
    ):
        generator.write(PASSAGES[:1])
    with pytest.raises(ModelError, match="begins neither"):
        EndpointGenerator("m", "127.0.0.1")


def test_the_cost_follows_passages_and_their_length() -> None:
    small, large = cost(100, 100_000, 2.0), cost(200, 200_000, 2.0)
    assert (small.passages, large.tokens) == (100, 2 * small.tokens)
    assert small.price == pytest.approx(small.tokens * 2e-6)
    assert 30_000 < small.tokens < 40_000
    assert cost(0, 0).tokens == 0
