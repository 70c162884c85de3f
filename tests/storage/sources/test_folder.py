"""The folder source, on real folders."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.errors import InputError
from storage.sources import DOCUMENTS, LISTING, open_source, parse_source
from storage.sources.base import SLICE_BYTES


def folder(base: Path, **keys: object) -> object:
    return open_source(parse_source({"name": "notes", "kind": "folder", "path": ".", **keys}), base)


def listed(base: Path, **keys: object) -> pl.DataFrame:
    return pl.concat([LISTING.to_frame(), *folder(base, **keys).list()])


def read(base: Path, ids: list[str] | None = None, **keys: object) -> pl.DataFrame:
    wanted = pl.Series(ids, dtype=pl.String) if ids is not None else sound(listed(base, **keys))["id"]
    return pl.concat([DOCUMENTS.to_frame(), *folder(base, **keys).read(wanted)])


def sound(listing: pl.DataFrame) -> pl.DataFrame:
    return listing.filter(pl.col("problem").is_null())


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_ids_are_relative_paths_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ["b.md", "a/z.txt", "a/b/c.py", "c.rst", "picture.png", "README"]:
        write(tmp_path / name, "x")
    assert listed(tmp_path)["id"].to_list() == ["README", "a/b/c.py", "a/z.txt", "b.md", "c.rst"]


def test_hidden_files_and_tool_folders_are_left_out(tmp_path: Path) -> None:
    for name in [".a.md", ".git/b.md", "node_modules/c.md", "d/__pycache__/e.py", "d/f.md"]:
        write(tmp_path / name, "x")
    assert listed(tmp_path)["id"].to_list() == ["d/f.md"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"include": ["*.md"]}, ["a.md", "drafts/b.md", "drafts/deep/c.md"]),
        ({"include": ["drafts/*.md"]}, ["drafts/b.md"]),
        ({"include": ["drafts/**/*.md"]}, ["drafts/b.md", "drafts/deep/c.md"]),
        ({"exclude": ["drafts/"]}, ["a.md", "z.txt"]),
        ({"exclude": ["[!z]*"]}, ["z.txt"]),
        ({"include": ["*.data"]}, ["x.data"]),
        ({"include": ["./drafts"]}, ["drafts/b.md", "drafts/deep/c.md"]),
        ({"include": ["*.md", "!b.md"]}, ["a.md", "drafts/deep/c.md"]),
        ({"include": ["/*.md"]}, ["a.md"]),
        ({"exclude": ["deep/", "z.txt/"]}, ["a.md", "drafts/b.md", "z.txt"]),
        ({"exclude": ["*.md", "!a.md"]}, ["a.md", "z.txt"]),
        ({"exclude": ["drafts", "!drafts/b.md"]}, ["a.md", "z.txt"]),
    ],
)
def test_include_and_exclude_choose_files(tmp_path: Path, keys: dict[str, object], expected: list[str]) -> None:
    for name in ["a.md", "drafts/b.md", "drafts/deep/c.md", "x.data", "z.txt"]:
        write(tmp_path / name, "x")
    assert listed(tmp_path, **keys)["id"].to_list() == expected


@pytest.mark.parametrize("key", ["include", "exclude"])
@pytest.mark.parametrize("pattern", ["a[", "[z-a]", "!", "a\\", "", "  ", "# note", "!*.md"])
def test_a_pattern_that_cannot_hold_is_refused_with_its_text(tmp_path: Path, key: str, pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern") as refused:
        folder(tmp_path, **{key: [pattern]})
    assert repr(pattern) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "title"),
    [
        ("a.md", "intro\n\n```\n# no\n```\n\n## The *heading* ##\n", "The *heading*"),
        ("a.md", "Over\n====\n\n# later\n", "Over"),
        ("a.md", "---\ntags: [x]\ntitle: 'Front: matter'\n---\n# later\n", "Front: matter"),
        ("a.md", "- item\n---\nno heading\n", None),
        ("a.rst", "=====\nFirst\n=====\n\nSecond\n------\n", "First"),
        ("a.rst", ".. comment\n\nÜber uns\n~~~~~~~~\n", "Über uns"),
        ("a.txt", "# no title\n", None),
        ("a.py", "x = 1\n", "a.py"),
        ("a.html", "<title> A\n  page </title><p>x", "A page"),
    ],
)
def test_titles_are_found_by_kind(tmp_path: Path, name: str, content: str, title: str | None) -> None:
    write(tmp_path / name, content)
    assert read(tmp_path)["title"].to_list() == [title]


def test_html_gives_its_visible_text(tmp_path: Path) -> None:
    write(
        tmp_path / "a.html",
        "<html><head><title>T</title><style>p {}</style></head><body><!-- no --><script>no()</script>"
        "<h1>Head\n  line</h1><p>Hello <b>bold</b>, world<br>next &amp; last</p><p hidden>no</p>"
        "<div style='display: none'>no</div><table><tr><td>1<td>2</tr></table><pre>a\n  b</pre></body></html>",
    )
    assert read(tmp_path)["text"].to_list() == ["Head line\nHello bold, world\nnext & last\n1 2\na\n  b"]


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        ("a.txt", b"\xef\xbb\xbfcaf\xc3\xa9", "café"),
        ("a.txt", "café".encode("utf-16"), "café"),
        ("a.txt", b"caf\xe9", "caf\ufffd"),
        ("a.md", b"a\x00b", "a\x00b"),
        ("a.html", b"<meta charset=iso-8859-1><p>caf\xe9", "café"),
        ("a.html", b"<p>caf\xe9", "caf\ufffd"),
    ],
)
def test_what_is_not_utf8_is_decoded_by_mark_or_replaced(tmp_path: Path, name: str, raw: bytes, text: str) -> None:
    write(tmp_path / name, raw)
    assert read(tmp_path)["text"].to_list() == [text]


def test_an_edit_that_keeps_size_and_mtime_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", "before")
    status, before = path.stat(), listed(tmp_path)
    time.sleep(0.02)
    path.write_text("behind")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert listed(tmp_path)["revision"].to_list() != before["revision"].to_list()


def test_metadata_holds_no_times(tmp_path: Path) -> None:
    write(tmp_path / "d" / "a.MD", "# A")
    document = read(tmp_path, licence="MIT").row(0, named=True)
    assert json.loads(document["metadata"]) == {"path": "d/a.MD", "suffix": ".md", "bytes": 3}
    assert document["licence"] == "MIT"
    assert abs(document["timestamp"].timestamp() - (tmp_path / "d/a.MD").stat().st_mtime) < 0.001


def test_the_default_licence_is_part_of_the_revision(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "# A")
    assert listed(tmp_path)["revision"][0] != listed(tmp_path, licence="MIT")["revision"][0]


def test_loops_and_dead_links_survive(tmp_path: Path) -> None:
    notes, outside = tmp_path / "notes", tmp_path / "outside"
    write(notes / "a.md", "x")
    write(outside / "b.md", "x")
    (notes / "loop").symlink_to(notes)
    (notes / "up").symlink_to(tmp_path)
    (notes / "out").symlink_to(outside)
    (outside / "back").symlink_to(notes)
    (notes / "dead.md").symlink_to("nowhere")
    rows = listed(tmp_path, path="notes")
    assert rows["id"].to_list() == ["a.md", "dead.md", "out/b.md"]
    assert "nowhere" in rows["problem"][1]


def test_a_file_whose_state_cannot_be_seen_is_a_problem_when_read(tmp_path: Path) -> None:
    (tmp_path / "a.md").symlink_to(tmp_path / "b.md")
    (tmp_path / "b.md").symlink_to(tmp_path / "a.md")
    assert listed(tmp_path)["problem"].to_list() == [None, None]
    assert all("Too many levels" in problem for problem in read(tmp_path)["problem"])


def test_a_store_below_the_folder_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "x")
    write(tmp_path / "index" / "data_docs" / "index.html", "<p>x</p>")
    (tmp_path / "index" / "leases.lance").mkdir()
    assert listed(tmp_path)["id"].to_list() == ["a.md"]


def test_a_name_that_is_not_utf8_is_a_problem(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("x")
    rows = listed(tmp_path).rows(named=True)
    assert [(row["id"], "UTF-8" in row["problem"]) for row in rows] == [("caf\\xe9.md", True)]


def test_a_pipe_is_a_problem_not_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    assert listed(tmp_path)["problem"].to_list() == ["not a regular file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_a_problem_when_read(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "x").chmod(0)
    assert read(tmp_path)["problem"].to_list() == ["cannot be read: Permission denied"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_stops_the_listing(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0)
    with pytest.raises(InputError, match="cannot list the folder 'd'"):
        listed(tmp_path)


def test_a_folder_whose_state_cannot_be_seen_stops_the_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "d" / "a.md", "x")
    write(tmp_path / "gone" / "b.md", "x")
    look, errors = Path.stat, {"d": errno.EIO, "gone": errno.ENOENT}

    def failing(path: Path, **named: bool) -> os.stat_result:
        if path.name in errors:
            raise OSError(errors[path.name], os.strerror(errors[path.name]))
        return look(path, **named)

    monkeypatch.setattr(Path, "stat", failing)
    with pytest.raises(InputError, match=r"cannot list the folder 'd': Input/output error; make it readable"):
        listed(tmp_path)
    errors.pop("d")
    assert listed(tmp_path)["id"].to_list() == ["d/a.md"]


def test_a_file_above_the_limit_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "12345")
    assert "more than max_bytes = 4" in listed(tmp_path, max_bytes=4)["problem"][0]


def test_a_huge_single_line_travels_alone(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", b"word " * 10_000_000)
    for name in "acd":
        write(tmp_path / f"{name}.txt", "small")
    slices = list(folder(tmp_path).read(pl.Series(["a.txt", "b.txt", "c.txt", "d.txt"])))
    assert [frame["id"].to_list() for frame in slices] == [["a.txt"], ["b.txt"], ["c.txt", "d.txt"]]
    assert slices[1]["text"].str.len_bytes()[0] == 50_000_000 > SLICE_BYTES


def test_ids_that_are_gone_or_lead_out_are_absent(tmp_path: Path) -> None:
    write(tmp_path / "notes" / "a.md", "x")
    write(tmp_path / "secret.md", "x")
    assert read(tmp_path, ["gone.md", "../secret.md", "a.md", "a.md/b.md"], path="notes")["id"].to_list() == ["a.md"]


@pytest.mark.parametrize(("path", "what"), [("nowhere", "does not exist"), ("a.md", "is not a folder")])
def test_a_missing_folder_is_an_input_error(tmp_path: Path, path: str, what: str) -> None:
    write(tmp_path / "a.md", "x")
    with pytest.raises(InputError, match=what):
        folder(tmp_path, path=path)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(NAMES, st.binary(max_size=200), max_size=6))
def test_listing_and_reading_agree_on_any_files(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    base = tmp_path_factory.mktemp("files")
    for name, content in files.items():
        write(base / f"x{name}.md", content)
    rows = listed(base)
    documents = read(base)
    assert rows.equals(listed(base))
    assert sorted(rows["id"]) == sorted(f"x{name}.md" for name in files)
    assert documents.select("id", "revision").equals(rows.select("id", "revision"))
    assert documents.schema == DOCUMENTS and rows.schema == LISTING
