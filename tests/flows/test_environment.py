"""The environment that a run works in."""

from __future__ import annotations

from flows.environment import code, libraries


def test_versions_of_code_and_libraries_are_known() -> None:
    assert {"tidemark", "pylance", "lancedb", "polars"} <= set(libraries())
    assert code()["tidemark"] == libraries()["tidemark"]
