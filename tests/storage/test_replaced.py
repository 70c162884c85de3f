"""A file that somebody named is replaced whole or not at all, and what is no file stays what it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from storage.replaced import replaced


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def write(file: Path, content: bytes, *, private: bool = False) -> None:
    with replaced(file, private=private) as stream:
        stream.write(content)


def test_what_is_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    write(file, b"one")
    with replaced(file) as stream:
        stream.write(b"two")
        stream.flush()
        assert file.read_bytes() == b"one"
    assert file.read_bytes() == b"two"
    with pytest.raises(RuntimeError, match="stop"), replaced(file) as stream:
        stream.write(b"three")
        raise RuntimeError("stop")
    assert (file.read_bytes(), names(tmp_path)) == (b"two", ["page.html"])


@pytest.mark.parametrize("private", [False, True])
def test_only_what_is_private_is_for_this_user_alone(tmp_path: Path, private: bool) -> None:
    before = os.umask(0o022)
    try:
        write(tmp_path / "plan", b"", private=private)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "plan").stat().st_mode) == (0o600 if private else 0o644)


@pytest.mark.parametrize("there", [False, True])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path, there: bool) -> None:
    (tmp_path / "pages").mkdir()
    file, link = tmp_path / "pages" / "today.html", tmp_path / "latest.html"
    if there:
        file.write_bytes(b"one")
    link.symlink_to(Path("pages", "today.html"))
    write(link, b"two")
    assert (link.is_symlink(), file.read_bytes(), names(tmp_path / "pages")) == (True, b"two", ["today.html"])


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(pipe, b"whole")
        assert os.read(reader, 10) == b"whole"
    finally:
        os.close(reader)
    assert (pipe.is_fifo(), names(tmp_path)) == (True, ["pipe"])
    master, slave = os.openpty()  # a device, of which no other test and nobody else knows
    try:
        write(Path(os.ttyname(slave)), b"whole")
        assert os.read(master, 10) == b"whole"
        assert Path(os.ttyname(slave)).is_char_device()
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("name", ["none/page.html", ".", "x" * 300])
def test_what_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"No such file|Is a directory|too long"):
        write(tmp_path / name, b"")
    assert names(tmp_path) == []
