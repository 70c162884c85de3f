"""The columns that rules read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tasks.curate.config import ValidationConfig
from tasks.curate.validation.features import DOCUMENTS, FEATURES, features, metadata_values

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = ValidationConfig()
ENGLISH = "The harbour was quiet in the morning, and nobody had seen the boats leave during the night."
GERMAN = "Der Hafen lag am Morgen still, und niemand hatte die Boote in der Nacht auslaufen sehen."


def documents(*changes: dict[str, object]) -> pl.DataFrame:
    document = {
        "id": "a.md",
        "source": "notes",
        "key": "notes/a.md",
        "occurrence": 1,
        "text": "A tide.",
        "title": None,
        "metadata": "{}",
        "licence": None,
        "timestamp": NOW,
        "queries": [],
        "revision": "1",
        "problem": None,
    }
    return pl.DataFrame([document | change for change in changes], schema=DOCUMENTS)


def computed(name: str, **change: object) -> object:
    return features(documents(change), CONFIG, NOW, [name])[name].item()


@pytest.mark.parametrize(
    ("name", "change", "value"),
    [
        ("id_chars", {"id": None}, 0),
        ("id_chars", {"id": " "}, 0),
        ("chars", {"text": "né"}, 2),
        ("chars", {"problem": "gone"}, None),
        ("content_chars", {"text": " "}, None),
        ("content_chars", {"text": " a"}, 2),
        ("blank", {"text": "\n\u3000\n"}, True),
        ("blank", {"text": "a"}, False),
        ("lines", {"text": "a\nb"}, 2),
        ("replacements", {"text": "a\ufffdb\ufffd"}, 2),
        ("replacement_at", {"text": "né\ufffdb\ufffd"}, 2),
        ("replacement_at", {"text": "a"}, None),
        ("blank", {"text": "\u200b\u200d\U000e0041\u2060 \u00ad"}, True),
        ("blank", {"text": "\u200b."}, False),
        ("invisible", {"text": "a\u200bb\u202e\U000e0041\U000e007f\u2066"}, 5),
        ("invisible", {"text": "\U0001f469\u200d\U0001f52c \u0645\u06cc\u200c\u062e"}, 0),
        ("invisible_at", {"text": "a\nb\u200b"}, 3),
        ("invisible_code", {"text": "a\U000e0041"}, 0xE0041),
        ("hidden_chars", {"metadata": '{"bytes":3,"hidden_chars":17}'}, 17),
        ("hidden_chars", {"metadata": '{"hidden_chars":"many"}'}, None),
        ("controls", {"text": "a\tb\nc"}, 0),
        ("controls", {"text": "\x00\x1f\x7f\x80\x9f\xa0"}, 5),
        ("control_at", {"text": "né\x07\x08"}, 2),
        ("control_code", {"text": "né\x9b\x08"}, 0x9B),
        ("timestamp_seconds", {"timestamp": datetime(1970, 1, 1, 0, 1, tzinfo=UTC)}, 60.0),
        ("timestamp_ahead", {"timestamp": NOW + timedelta(seconds=5)}, 5.0),
        ("timestamp_ahead", {"timestamp": None}, None),
        ("licence_key", {"licence": " Apache-2.0 "}, "apache-2.0"),
        ("licence_key", {"licence": None}, "(none)"),
        ("language", {"text": ENGLISH}, "en"),
        ("language", {"text": GERMAN.replace(",", "\n")}, "de"),
        ("language", {"text": "short"}, None),
        ("query_count", {"queries": ["a", "b"]}, 2),
    ],
)
def test_a_feature_has_its_value(name: str, change: dict[str, object], value: object) -> None:
    assert computed(name, **change) == value


def test_control_characters_after_a_newline_are_placed() -> None:
    assert computed("control_at", text="a\nb\x07") == 3
    assert computed("replacement_at", text="a\nb\ufffd") == 3


def test_a_text_in_no_clear_language_is_undetermined() -> None:
    strict = ValidationConfig(language_min_score=1.0)
    assert features(documents({"text": f"{ENGLISH} {GERMAN}"}), strict, NOW, ["language"])["language"].item() is None


def test_only_what_is_wanted_is_computed() -> None:
    assert features(documents({}), CONFIG, NOW, ["chars"]).columns == [*DOCUMENTS, "chars"]
    assert features(documents({}), CONFIG, NOW).columns == [*DOCUMENTS, *FEATURES]


def test_features_of_no_rows_are_no_rows() -> None:
    assert features(documents(), CONFIG, NOW).height == 0


def test_metadata_keep_their_types() -> None:
    rows = pl.Series(['{"year": 2020}', '{"year": "2020"}', "{}", None, '{"year": [1]}'])
    assert metadata_values(rows, "year") == [2020, "2020", None, None, "[1]"]
