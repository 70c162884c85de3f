"""The fast fake encoder."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.config import EncoderConfig
from models.encoder import Encoder, Progress, resolve

STUB = resolve(EncoderConfig(name="stub")).open()
PAGES = [
    "Merge two sorted lists into one sorted list",
    "Open a socket and wait for a connection",
    "Parse a date from a string and return it in UTC",
]


def test_it_is_marked_as_a_stub() -> None:
    assert STUB.space.stub
    assert '"stub": true' in STUB.space.to_json()


def test_search_finds_the_text_that_shares_words() -> None:
    queries = ["sorted LIST merge", "wait: connection", "utc date"]
    assert (STUB.encode_queries(queries) @ STUB.encode_documents(PAGES).T).argmax(1).tolist() == [0, 1, 2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=20))
def test_a_text_has_one_unit_vector_whatever_its_neighbours(texts: list[str]) -> None:
    together = STUB.encode_documents(texts)
    assert together.shape == (len(texts), 384)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(STUB.encode_documents([text])[0], vector)


def test_vectors_are_the_same_on_every_machine_and_version() -> None:
    rounded = np.round(STUB.encode_documents(PAGES), 5) + 0.0
    assert hashlib.sha256(rounded.tobytes()).hexdigest()[:16] == "9e7f39f207a528c0"


def test_another_seed_is_another_space_with_other_vectors() -> None:
    other = resolve(EncoderConfig(name="stub:2")).open()
    assert other.space.id != STUB.space.id
    assert resolve(EncoderConfig(name="stub:0")).space == STUB.space
    assert np.abs((other.encode_documents(PAGES) * STUB.encode_documents(PAGES)).sum(1)).max() < 0.5


@pytest.mark.parametrize("settings", [{"window": 99}, {"query_prompt": "q "}, {"normalise": False}])
def test_settings_are_part_of_its_space_too(settings: dict[str, object]) -> None:
    assert resolve(EncoderConfig.model_validate({"name": "stub", **settings})).space.id != STUB.space.id


def test_prompts_are_seen() -> None:
    prompted: Encoder = resolve(EncoderConfig(name="stub", query_prompt="find ", document_prompt="page ")).open()
    assert np.array_equal(prompted.encode_queries(["tide"]), STUB.encode_queries(["find tide"]))
    assert np.array_equal(prompted.encode_documents(["tide"]), STUB.encode_documents(["page tide"]))


def test_progress_ends_at_the_total() -> None:
    seen: list[Progress] = []
    STUB.encode_documents(["two words"] * 5000, seen.append)
    assert [step.texts for step in seen] == [*range(128, 5000, 128), 5000]
    assert seen[-1] == Progress(5000, 10000, 5000, 10000)
