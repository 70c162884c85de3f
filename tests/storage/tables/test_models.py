"""The `models` table keeps what is known of a model, and says which stay that no release uses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from storage.tables.models import UNUSED, ModelRecord, Models
from storage.tables.store import Store


def record(space: str, day: int = 1, parent: str | None = "aa") -> ModelRecord:
    return ModelRecord(space=space, name=f"model {space}", parent=parent, created=datetime(2026, 1, day, tzinfo=UTC))


def test_a_record_comes_back_as_it_was_and_is_replaced_by_a_later_one(tmp_path: Path) -> None:
    models = Models(Store(tmp_path))
    assert (models.all(), models.find("aa")) == ([], None)
    first = ModelRecord(
        space="bb",
        name="better",
        parent="aa",
        root="aa",
        run="r1",
        licence="MIT",
        recipe={"minutes": 4},
        data={"pairs": "d1", "documents": 3},
        digests={"model.safetensors": "0f"},
        bytes=12,
    )
    models.record(first)
    models.record(record("cc"))
    assert models.find("bb") == first
    measured = ModelRecord(**{**first.to_dict(), "metrics": {"ndcg@10": 0.7}})
    models.record(measured)
    assert (models.find("bb"), [one.space for one in models.all()]) == (measured, ["bb", "cc"])


def test_the_newest_unused_of_each_origin_stay(tmp_path: Path) -> None:
    models = Models(Store(tmp_path))
    for day in range(1, 6):
        models.record(record(f"c{day}", day))
        models.record(record(f"d{day}", day, parent=None))
    assert models.waiting(["c5", "d1"]) == {"c2", "c3", "c4", "d3", "d4", "d5"}


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.booleans(), max_size=12), st.data())
def test_what_is_used_is_never_counted_among_the_unused(made: dict[str, bool], data: st.DataObject) -> None:
    class Held(Models):
        def __init__(self) -> None:
            """It asks no store."""

        def all(self) -> list[ModelRecord]:
            return [record(space, parent="p" if trained else None) for space, trained in made.items()]

    used = data.draw(st.sets(st.sampled_from(sorted(made) or ["a"])))
    waiting = Held().waiting(used)
    assert not waiting & used
    assert len(waiting) <= 2 * UNUSED
    assert waiting <= made.keys()
