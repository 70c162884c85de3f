"""Standard output is the result alone."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.text import Text

from flows.cli.output import Output, plain
from flows.exits import exit_code
from models.errors import DamagedModel, ModelError, ProbeMismatch, UnknownModel


@dataclass(frozen=True)
class Thing:
    name: str
    when: datetime


def test_json_says_what_python_holds() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert plain({"thing": Thing("a", noon), "path": Path("x"), 1: (math.nan, 0.5, True, None)}) == {
        "thing": {"name": "a", "when": "2026-03-01T12:00:00.000Z"},
        "path": "x",
        "1": [None, 0.5, True, None],
    }
    assert plain(datetime(2026, 3, 1)) == "2026-03-01T00:00:00.000Z"


def test_standard_output_is_the_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(as_json=True).reserved() as output:
        print("a library talks")
        output.show({"a": 1}, lambda: Text("never drawn"))
    streams = capsys.readouterr()
    assert json.loads(streams.out) == {"a": 1}
    assert streams.err == "a library talks\n"


def test_people_get_the_view(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).show({"a": 1}, lambda: Text("[b]drawn[/b]"))
    assert capsys.readouterr().out == "[b]drawn[/b]\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_any_text_can_be_written_to_any_stream(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    name = os.fsdecode(b"caf\xe9 \xe2\x82\xac")
    Output(as_json=True).line({"name": name})
    assert json.loads(raw.getvalue().decode(encoding)) == {"name": name}


def test_a_view_is_drawn_on_a_stream_that_knows_few_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output = Output(as_json=False)
    output.show(None, lambda: Text("● tide"))
    sys.stdout.flush()
    assert b"tide" in raw.getvalue()


@pytest.mark.parametrize(("kind", "code"), [(ModelError, 2), (UnknownModel, 2), (DamagedModel, 2), (ProbeMismatch, 1)])
def test_an_encoder_that_cannot_be_used_is_wrong_input_unless_the_machine_is_what_changed(
    kind: type[ModelError], code: int
) -> None:
    assert exit_code(kind("the encoder")) == code
