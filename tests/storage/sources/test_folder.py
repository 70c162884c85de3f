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
from storage.sources.patterns import matcher


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
    rows = listed(tmp_path, path="notes", follow_links=True)
    assert rows["id"].to_list() == ["a.md", "dead.md", "out/b.md"]
    assert "nowhere" in rows["problem"][1]
    rows = listed(tmp_path, path="notes")
    assert rows["id"].to_list() == ["a.md", "dead.md", "out", "up"]
    assert [f"to {str(place)!r}" in rows["problem"][at] for at, place in [(2, outside), (3, tmp_path)]] == [True, True]


def test_a_link_that_leads_out_is_refused_by_name_and_never_read(tmp_path: Path) -> None:
    secret, notes = write(tmp_path / "secret.md", "secret"), tmp_path / "notes"
    write(notes / "real" / "a.md", "x")
    (notes / "b.md").symlink_to(secret)
    (notes / "c.md").symlink_to(notes / "real" / "a.md")
    (notes / "d.md").symlink_to(notes / "real" / ".." / ".." / "secret.md")
    (notes / "e").symlink_to("/proc")
    (notes / "f.png").symlink_to(secret)
    rows = listed(tmp_path, path="notes")
    assert rows["id"].to_list() == ["b.md", "c.md", "d.md", "e", "real/a.md"]
    what = f"a symbolic link that leads out of the folder, to {str(secret)!r}"
    said = f"may not be taken in: {what}: it is not followed unless follow_links"
    assert [str(problem).startswith(said) for problem in rows["problem"]] == [True, False, True, False, False]
    found = read(tmp_path, ["b.md", "c.md", "d.md", "e/version", "real/a.md"], path="notes")
    assert found["text"].to_list() == ["", "x", "", "", "x"]
    assert ["leads out" in str(problem) for problem in found["problem"]] == [True, False, True, True, False]
    assert read(tmp_path, ["b.md"], path="notes", follow_links=True)["text"].to_list() == ["secret"]


@settings(max_examples=40, deadline=None)
@given(
    links=st.dictionaries(
        st.sampled_from(["a.md", "b.md", "d/c.md", "d/e", "f"]),
        st.sampled_from(["..", ".", "a.md", "d", "d/c.md", "../secret.md", "../out", "/", "f", "e/../..", "nothing"]),
        max_size=4,
    )
)
def test_no_link_brings_in_a_text_from_outside(tmp_path_factory: pytest.TempPathFactory, links: dict[str, str]) -> None:
    base = tmp_path_factory.mktemp("links")
    write(base / "secret.md", "secret")
    write(base / "out" / "x.md", "secret")
    write(base / "notes" / "d" / "sound.md", "sound")
    for name, target in links.items():
        (base / "notes" / name).symlink_to(target)
    assert "d/sound.md" in read(base, path="notes")["id"].to_list()
    everything = ["secret.md", "x.md", "f/x.md", "d/e/x.md", "f/secret.md", "d/e/secret.md", *links]
    assert "secret" not in read(base, everything, path="notes")["text"].to_list()


def test_what_is_passed_over_is_counted_by_reason(tmp_path: Path) -> None:
    names = ["a.md", "r.pdf", "s.PDF", "t.docx", "noext", "x.tar.lock-file-of-a-tool", ".hidden.md", ".git/b.md"]
    for name in [*names, "node_modules/c.md", "d/draft.md"]:
        write(tmp_path / name, "x")
    source = folder(tmp_path, exclude=["draft.md"])
    for _ in range(2):  # each listing counts anew
        assert pl.concat(source.list())["id"].to_list() == ["a.md"]
        assert source.passed_over == {
            "excluded": 1,
            "folder of a tool": 1,
            "hidden": 2,
            "no known suffix": 2,
            "unknown suffix .docx": 1,
            "unknown suffix .pdf": 2,
        }
    narrow = folder(tmp_path, include=["*.MD"])
    assert list(narrow.list()) == []
    assert narrow.passed_over == {"folder of a tool": 1, "hidden": 2, "unmatched": 7}


def test_a_hidden_file_is_taken_where_a_pattern_names_it(tmp_path: Path) -> None:
    for name in [".github/w.yml", ".git/x.yml", ".env.md", "a.md"]:
        write(tmp_path / name, "x")
    assert listed(tmp_path, include=[".github/**", "*.md"])["id"].to_list() == [".github/w.yml", "a.md"]
    assert listed(tmp_path, include=[".e*.md"])["id"].to_list() == [".env.md"]
    assert listed(tmp_path, include=["**"])["id"].to_list() == ["a.md"]


def test_a_path_that_is_too_long_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "z.md", "x")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=descriptor)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    rows = listed(tmp_path)
    assert len(rows) == 2 and rows["id"][1] == "z.md"
    assert "shorten it or exclude it" in str(rows["problem"][0])


@pytest.mark.parametrize("seconds", [910692648000, -62135596801, 10**14])
def test_a_mad_time_costs_the_time_alone(tmp_path: Path, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The file systems of these tests keep no such time.
    write(tmp_path / "a.md", "x")
    look = os.fstat

    def mad(descriptor: int) -> os.stat_result:
        status = list(look(descriptor))
        return os.stat_result([*status[:8], seconds, *status[9:]])

    monkeypatch.setattr(os, "fstat", mad)
    found = read(tmp_path)
    assert (found["text"].to_list(), found["timestamp"].to_list()) == (["x"], [None])


@pytest.mark.parametrize(
    ("encoding", "raw", "text"),
    [
        ("windows-1252", b"caf\xe9 \x93x\x94 5 \x80", "caf\u00e9 \u201cx\u201d 5 \u20ac"),
        ("iso-8859-1", b"\x80", "\u20ac"),
        ("Shift_JIS", "\u65e5\u672c\u2460".encode("cp932"), "\u65e5\u672c\u2460"),
        ("detect", "caf\u00e9".encode(), "caf\u00e9"),
        (
            "detect",
            ("Le caf\u00e9 est pr\u00eat, et le th\u00e9 aussi. " * 20).encode("cp1252"),
            "Le caf\u00e9 est pr\u00eat",
        ),
        ("windows-1252", "caf\u00e9".encode("utf-8-sig"), "caf\u00e9"),
        ("windows-1252", "caf\u00e9".encode("utf-32"), "caf\u00e9"),
    ],
)
def test_a_source_may_say_what_it_is_written_in(tmp_path: Path, encoding: str, raw: bytes, text: str) -> None:
    write(tmp_path / "a.txt", raw)
    write(tmp_path / "b.html", raw)
    write(tmp_path / "c.html", b"<meta charset=koi8-r>" + "\u0442".encode("koi8-r"))
    found = read(tmp_path, encoding=encoding)["text"].to_list()
    assert [found[0].startswith(text), found[1].startswith(text), found[2]] == [True, True, "\u0442"]


def test_an_encoding_that_no_browser_knows_is_refused(tmp_path: Path) -> None:
    for label in ["utf-7", "klingon", "hz-gb-2312", ""]:
        with pytest.raises(ValueError, match="there is no encoding"):
            folder(tmp_path, encoding=label)


def test_a_sparse_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", "")
    os.truncate(path, 200_000_000)
    [problem] = listed(tmp_path)["problem"]
    assert problem.startswith("the file has 200,000,000 bytes, more than max_bytes = 20,000,000: split it")
    assert read(tmp_path, ["a.md"]).is_empty()


def test_a_file_that_never_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").symlink_to("/proc/self/maps")  # says that it is empty
    [problem] = read(tmp_path, ["a.md"], follow_links=True, max_bytes=10)["problem"]
    assert "more than max_bytes = 10" in problem


def test_hidden_text_of_a_page_is_counted_in_its_metadata(tmp_path: Path) -> None:
    write(tmp_path / "a.html", "<p>seen<p hidden>not seen")
    write(tmp_path / "b.html", "<p>seen")
    metadata = [json.loads(row) for row in read(tmp_path)["metadata"]]
    assert [row.get("hidden_chars") for row in metadata] == [7, None]


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
    slices = list(folder(tmp_path, max_bytes=60_000_000).read(pl.Series(["a.txt", "b.txt", "c.txt", "d.txt"])))
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


def test_a_pattern_of_many_stars_takes_linear_time_and_means_what_it_meant() -> None:
    for pattern, name, taken in [
        ("*a*a*a*a*a*b", "a" * 250, False),
        ("*x**x***x*y", "x" * 250, False),
        ("*a*b*[cd]*.md", "xaybzc.d.md", True),
        ("a*b*c", "abxbxc", True),
        ("a*bc*d", "abbcbd", True),
    ]:
        held = matcher([pattern])
        assert held is not None
        began = time.process_time()
        assert [held(name), held(f"x/{name}")] == [taken, taken]
        assert time.process_time() - began < 0.1
    with pytest.raises(ValueError, match="more than 2 `\\*\\*` between folders"):
        matcher(["a/**/b/**/c/**/d"])
