"""The identity of a vector space."""

import json
from dataclasses import asdict, fields, replace

from hypothesis import given
from hypothesis import strategies as st

from models.space import Space

texts = st.text(max_size=20)
spaces = st.builds(
    Space, name=texts, modality=st.sampled_from(["text", "image", "audio"]), dimension=st.integers(1, 4096),
    window=st.integers(0, 8192), pooling=texts, normalise=st.booleans(), query_prompt=texts, document_prompt=texts,
    weights=texts, tokenizer=texts, network=texts, stub=st.booleans(),
)  # fmt: skip


@given(spaces)
def test_json_says_every_field_and_the_id(space: Space) -> None:
    assert json.loads(space.to_json()) == {"id": space.id, **asdict(space)}
    assert len(space.id) == 32


@given(spaces, spaces)
def test_the_id_is_equal_exactly_when_the_spaces_are(one: Space, other: Space) -> None:
    assert (one.id == other.id) == (one == other)
    for field in fields(Space):
        mixed = replace(one, **{field.name: getattr(other, field.name)})
        assert (mixed.id == one.id) == (mixed == one)
