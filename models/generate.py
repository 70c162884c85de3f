"""Models that write questions for passages: a local seq2seq model, or an endpoint that speaks OpenAI's protocol."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
from pydantic import SecretStr

from models.errors import ModelError, UnknownModel

__all__ = ["Cost", "EndpointGenerator", "Generator", "LocalGenerator", "called", "cost", "open_generator"]

PROMPT = (
    "Write one question that somebody would type into a search box and that the passage below answers. Do not copy "
    "its sentences. Give the question alone.\n\nPassage:\n{passage}"
)
# What doc2query models were trained on is the passage alone; an instruction before it harms neither them nor T5.
LOCAL_PROMPT = "Generate a question that this passage answers: {passage}"
QUESTION_TOKENS = 48
_CHARACTERS = 4  # of a token, about: for an estimate
_PASSAGE = 2_000  # characters of a passage that are sent
_WAITS = (1.0, 4.0, 15.0)  # seconds before each try but the first
_AGAIN = {408, 429, 500, 502, 503, 504}


class Generator(Protocol):
    """Writes a question for each passage."""

    name: str

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, passages: Sequence[str]) -> list[str]:
        """One question a passage, in order; an empty one where the model had none.

        Raises:
            ModelError: The model cannot be used or does not answer.
        """
        ...


@dataclass(frozen=True)
class Cost:
    """What questions will cost.

    Attributes:
        passages: Passages that are asked about.
        tokens: Tokens in and out, about.
        price: Of all tokens, in the currency of the price.
    """

    passages: int
    tokens: int
    price: float


def cost(passages: int, characters: int, price: float = 0.0) -> Cost:
    """Estimate what questions for some passages cost.

    Args:
        passages: How many.
        characters: Of all of them together.
        price: Of a million tokens, in and out.
    """
    sent = min(characters, passages * _PASSAGE) + passages * len(PROMPT)
    tokens = sent // _CHARACTERS + passages * QUESTION_TOKENS
    return Cost(passages, tokens, tokens / 1_000_000 * price)


def called(model: str, url: str | None = None) -> str:
    """What a generator calls itself: the name of a folder, else the model as it is named.

    Args:
        model: Name or folder.
        url: Its endpoint, where it has one.
    """
    place = Path(model).expanduser()
    return place.resolve().name if url is None and place.is_dir() else model


def open_generator(model: str, *, url: str | None = None, key: SecretStr | None = None, seed: int = 0) -> Generator:
    """Open the generator: the endpoint where an address is given, else a local model by name or folder.

    Raises:
        UnknownModel: There is no such model on this machine.
        ModelError: It is not one that writes, or the address is none.
    """
    if url is None:
        return LocalGenerator(model)
    return EndpointGenerator(model, url, key, seed=seed)


class LocalGenerator:
    """A seq2seq model of transformers, such as T5: safetensors only, no code of its own, the likeliest question.

    Args:
        model: Folder of a model, or its name on the hub.
        batch: Passages at once.

    Raises:
        UnknownModel: There is no such model, or it has no safetensors.
    """

    def __init__(self, model: str, *, batch: int = 8) -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        place = Path(model).expanduser()
        self.name = called(model)
        self._batch = batch
        where = str(place) if place.is_dir() else model
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
            self._model: Any = AutoModelForSeq2SeqLM.from_pretrained(
                where, use_safetensors=True, trust_remote_code=False
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UnknownModel(
                f"learning.generator.model {model!r}: is no seq2seq model with safetensors: {reason}"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing has to be closed."""

    def write(self, passages: Sequence[str]) -> list[str]:
        """One question a passage, by greedy search: the same passages give the same questions."""
        import torch

        questions: list[str] = []
        for first in range(0, len(passages), self._batch):
            texts = [LOCAL_PROMPT.format(passage=text[:_PASSAGE]) for text in passages[first : first + self._batch]]
            limit = min(512, int(self._tokenizer.model_max_length))
            given = self._tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
            with torch.inference_mode():
                made = self._model.generate(
                    input_ids=given["input_ids"],
                    attention_mask=given["attention_mask"],
                    max_new_tokens=QUESTION_TOKENS,
                    do_sample=False,
                    num_beams=1,
                )
            questions += [_question(text) for text in self._tokenizer.batch_decode(made, skip_special_tokens=True)]
        return questions


class EndpointGenerator:
    """A chat model behind `<url>/v1/chat/completions`.

    Args:
        model: What the endpoint calls the model.
        url: Address of the endpoint, with or without `/v1`.
        key: Sent as the bearer; in no message, log or record.
        seed: Asked of endpoints that know one.
        timeout: Seconds that an answer may take.
        waits: Seconds before each try but the first.

    Raises:
        ModelError: The address is none.
    """

    def __init__(
        self,
        model: str,
        url: str,
        key: SecretStr | None = None,
        *,
        seed: int = 0,
        timeout: float = 60.0,
        waits: Sequence[float] = _WAITS,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ModelError(f"learning.generator.url {url!r}: begins neither with http:// nor with https://")
        self.name = model
        self._seed = seed
        self._waits = waits
        base = url.rstrip("/").removesuffix("/chat/completions").removesuffix("/v1")
        self._address = f"{base}/v1/chat/completions"
        headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        self._client = httpx.Client(timeout=httpx.Timeout(timeout, connect=10.0), headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()

    def write(self, passages: Sequence[str]) -> list[str]:
        """One question a passage; what was answered before an error is lost with it, so give few at once."""
        return [_question(self._ask(PROMPT.format(passage=text[:_PASSAGE]))) for text in passages]

    def _ask(self, prompt: str) -> str:
        body = {
            "model": self.name,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": QUESTION_TOKENS,
            "seed": self._seed,
        }
        problem = ""
        for wait in (0.0, *self._waits):
            time.sleep(wait)
            try:
                answer = self._client.post(self._address, json=body)
            except httpx.TransportError as error:
                problem = f"does not answer: {type(error).__name__}"
                continue
            if answer.status_code in _AGAIN:
                problem = f"answered {answer.status_code}"
                continue
            if answer.status_code in {401, 403}:
                raise self._failure("refused the key: set TIDEMARK_LEARNING__GENERATOR__KEY")
            if answer.status_code != 200:
                raise self._failure(f"answered {answer.status_code}")
            return self._content(answer)
        raise self._failure(f"{problem}, {1 + len(self._waits)} times; try again later")

    def _content(self, answer: httpx.Response) -> str:
        try:
            content = answer.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise self._failure("gave no chat completion") from error
        return content if isinstance(content, str) else ""

    def _failure(self, what: str) -> ModelError:
        # Not the words of the endpoint: some repeat the key that they were sent.
        return ModelError(f"learning.generator: {self._address} {what}")


def _question(text: str) -> str:
    """The first line that says something, without quotation marks and lists around it."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    return " ".join(line.split()).removeprefix("Question:").strip(" \"'`*-")
