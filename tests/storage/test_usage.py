"""What the kept releases take of the disk."""

from __future__ import annotations

from pathlib import Path

from mornings import Histories

from storage.tables.releases import Releases
from storage.usage import usage


def test_what_a_release_shares_with_an_older_one_is_not_its_own(tmp_path: Path) -> None:
    made = Histories(tmp_path)
    for _ in range(3):
        made.publish(4)
    found = usage(made.store, Releases(made.store).retained())
    assert [each.release for each in found] == [1, 2, 3]
    assert found[0].shared == 0
    assert [each.shared for each in found[1:]] == [found[0].own, found[0].own + found[1].own]
    held = {file for file in (tmp_path / "store").glob("*/data/*.lance") if file.parts[-3][:4] in {"docu", "chun"}}
    assert sum(each.own for each in found) == sum(file.stat().st_size for file in held)
