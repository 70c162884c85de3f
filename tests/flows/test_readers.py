"""Readers ask while the store is written, rolled back and cleaned up: each answer is one release's, and none fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from killing import Child, Orders, rolled_back
from nights import VALUES, Answer, Night, answer, mapping, polled, second_night, uneventful

from storage.errors import InputError
from storage.reader import Reader
from storage.tables.releases import Releases


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return second_night(tmp_path_factory.mktemp("night"))


def nightly(night: Night, uri: Path, encoder: str = "stub", **sections: Any) -> int:
    """Publish a release and say its number."""
    end = uneventful(night.folder, mapping(uri, night.folder / "notes", encoder=encoder, **sections))
    assert end.value.outcome == "published"
    return int(end.value.release)


def back(night: Night, uri: Path, to: int) -> int:
    """Roll back and say the number of the release."""
    with Child(rolled_back, night.settings(uri), night.folder, to, orders=Orders(values=VALUES)) as child:
        return int(child.end().value.release)


def test_readers_see_whole_releases_whatever_the_writer_does(night: Night) -> None:
    uri, done = night.case("read"), night.folder / "done"
    answers: dict[int, Answer] = {1: night.old}
    with Child(polled, uri, done, 1) as pinned, Child(polled, uri, done, None) as following:
        steps = [
            lambda: nightly(night, uri),
            lambda: back(night, uri, 1),
            lambda: nightly(night, uri),
            lambda: nightly(night, uri, encoder="stub:2"),
            lambda: back(night, uri, 2),
            lambda: nightly(night, uri, chunker={"min_tokens": 60}),
        ]
        for step in steps:
            seq = step()
            answers[seq] = answer(Reader.open(str(uri), seq))
        done.touch()
        held, followed = pinned.end(), following.end()
    assert held.failure is None
    assert followed.failure is None
    assert len(held.value) > 20
    assert set(held.value) == {(1, night.old)}
    # Set against what each release answers when nobody writes.
    assert set(followed.value) <= set(answers.items())
    seen = [seq for seq, _ in followed.value]
    assert seen == sorted(seen)
    assert len(set(seen)) >= 4
    assert answers == {seq: answer(Reader.open(str(uri), seq)) for seq in answers}


def test_readers_of_the_current_release_never_err_when_only_one_is_kept(night: Night) -> None:
    uri, done = night.case("one"), night.folder / "done-one"
    with Child(polled, uri, done, None) as following:
        for tokens in (60, 50, 40):
            nightly(night, uri, releases={"keep": 1}, chunker={"min_tokens": tokens})
        done.touch()
        end = following.end()
    assert end.failure is None
    assert {seq for seq, _ in end.value} <= {1, 2, 3, 4}


def test_a_release_that_is_no_longer_kept_says_so(night: Night) -> None:
    uri = night.case("gone")
    nightly(night, uri, releases={"keep": 1}, encoder="stub:2")
    assert Reader.open(str(uri)).release.seq == 2
    with pytest.raises(InputError, match=r"release 1 is no longer kept .*`tidemark releases` lists those that are"):
        Reader.open(str(uri), 1)
    with Child(rolled_back, night.settings(uri), night.folder, 1) as child:
        failure = child.end().failure
    assert failure is not None
    assert (failure.kind, failure.exit_code) == ("InputError", 2)
    assert "you can go back to one of: 2" in failure.text


def test_a_reader_gets_the_next_release_when_its_own_goes_while_it_opens(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = night.case("overtaken")
    get = Releases.get
    late = []

    def overtaken(releases: Releases, seq: int | None = None) -> Any:
        found = get(releases, seq)
        if not late:
            late.append(nightly(night, uri, releases={"keep": 1}))
        return found

    monkeypatch.setattr(Releases, "get", overtaken)
    reader = Reader.open(str(uri))
    assert reader.release.seq == 2
    assert answer(reader) == night.new
