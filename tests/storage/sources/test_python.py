"""The source of Python packages, on the standard library and on packages made in the test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from storage.errors import InputError
from storage.sources import DOCUMENTS, LISTING, Source, open_source, parse_source


def packages(*names: str) -> Source:
    return open_source(parse_source({"name": "code", "kind": "python", "packages": names}), Path())


def listed(source: Source) -> pl.DataFrame:
    return pl.concat([LISTING.to_frame(), *source.list()])


def read(source: Source, ids: list[str] | None = None) -> pl.DataFrame:
    rows = listed(source)
    wanted = rows.filter(pl.col("problem").is_null())["id"] if ids is None else pl.Series(ids, dtype=pl.String)
    return pl.concat([DOCUMENTS.to_frame(), *source.read(wanted)])


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.path_importer_cache.clear()
    return tmp_path


def module(base: Path, name: str, content: str) -> Path:
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


MODULE = '''"""The module. More."""
import sys

raise RuntimeError("never imported")

def public(a, *, b: int = 1) -> str:
    """Do it, e.g. now. Then rest.

    Details.
    """
    return str(a)

def bare(a):
    return a

def _private():
    """Hidden."""

if sys.platform == "never":
    def twice():
        return 1
elif sys.version_info:
    def twice():
        """The first."""
else:
    def twice():
        """The second."""

class Thing(dict, metaclass=type):
    """A thing"""

    x = 1

    async def act(self):
        """Act."""

    class Inner:
        """Inside."""
'''


def test_what_is_public_and_has_a_docstring_is_a_document(made: Path) -> None:
    module(made, "pkg_one/__init__.py", MODULE)
    documents = read(packages("pkg_one"))
    assert documents.select("id", pl.col("queries").list.first()).rows() == [
        ("pkg_one", "The module."),
        ("pkg_one.public", "Do it, e.g. now."),
        ("pkg_one.twice", "The first."),
        ("pkg_one.Thing", "A thing"),
        ("pkg_one.Thing.act", "Act."),
        ("pkg_one.Thing.Inner", "Inside."),
    ]
    assert documents["text"][1] == (
        "def pkg_one.public(a, *, b: int=1) -> str\n\nDo it, e.g. now. Then rest.\n\nDetails.\n\nreturn str(a)"
    )
    assert documents["text"][3].startswith("class pkg_one.Thing(dict, metaclass=type)\n\nA thing\n\nx = 1\n\nasync def")
    assert json.loads(documents["metadata"][1]) == {
        "package": "pkg_one",
        "version": "",
        "module": "pkg_one",
        "kind": "function",
        "path": "pkg_one/__init__.py",
        "line": 6,
    }


def test_private_modules_and_tests_are_left_out(made: Path) -> None:
    for name in ["__init__", "_private", "tests/test_a", "conftest", "test_b", "__main__", "sub/deep", "not-a-name"]:
        module(made, f"pkg_two/{name}.py", '"""Doc."""')
    assert listed(packages("pkg_two"))["id"].to_list() == ["pkg_two", "pkg_two.sub.deep"]


def test_a_file_that_cannot_be_parsed_is_a_problem(made: Path) -> None:
    module(made, "pkg_bad/__init__.py", '"""Fine."""')
    module(made, "pkg_bad/worse.py", "def broken(:\n")
    (made / "pkg_bad" / "nul.py").write_bytes(b"x = '\0'")
    source = packages("pkg_bad")
    rows = listed(source)
    assert rows["id"].to_list() == ["pkg_bad", "pkg_bad/nul.py", "pkg_bad/worse.py"]
    assert rows["problem"][2].startswith("pkg_bad/worse.py cannot be parsed: invalid syntax")
    assert read(source)["id"].to_list() == ["pkg_bad"]


def test_the_revision_changes_iff_the_document_does(made: Path) -> None:
    path = module(made, "pkg_rev.py", 'def f():\n    """One."""\n    return 1\n\ndef g():\n    """Two."""\n')
    before = listed(packages("pkg_rev"))
    path.touch()
    assert listed(packages("pkg_rev")).equals(before)
    path.write_text(path.read_text().replace("return 1", "return 2"))
    after = listed(packages("pkg_rev"))
    assert (after["revision"] != before["revision"]).to_list() == [True, False]


def test_a_name_defined_in_two_files_is_listed_and_read_alike(made: Path) -> None:
    module(made, "pkg_twin/__init__.py", 'def same():\n    """Function."""\n')
    module(made, "pkg_twin/same.py", '"""Module."""\n')
    source = packages("pkg_twin", "pkg_twin.same", "pkg_twin")
    rows = listed(source)
    assert rows["id"].to_list() == ["pkg_twin.same"]
    assert read(source, ["pkg_twin.same"])["revision"].to_list() == rows["revision"].to_list()


def test_a_long_body_is_cut_at_the_end_of_a_line(made: Path) -> None:
    lines = "".join(f"    x{number} = {number}\n" for number in range(1000))
    module(made, "pkg_long.py", f'def f():\n    """Doc."""\n{lines}')
    text = read(packages("pkg_long"))["text"][0]
    assert 1_000 < len(text) < 2_000 + 100
    assert text.splitlines()[-1].count(" = ") == 1


def test_the_standard_library_and_distributions_are_found() -> None:
    source = packages("json", "pyyaml")
    documents = read(source)
    decode = documents.row(by_predicate=pl.col("id") == "json.decoder.JSONDecoder.decode", named=True)
    assert decode["text"].startswith("def json.decoder.JSONDecoder.decode(self, s, _w=WHITESPACE.match)\n\nReturn the")
    assert decode["licence"] == "PSF-2.0"
    load = documents.row(by_predicate=pl.col("id") == "yaml.safe_load", named=True)
    assert (load["licence"], json.loads(load["metadata"])["package"]) == ("MIT", "yaml")
    rows = listed(source)
    assert rows["id"].is_unique().all()
    assert documents.select("id", "revision").equals(rows.select("id", "revision"))
    some = rows["id"].gather_every(50).to_list()
    assert read(source, [*some, "json.nothing"]).equals(documents.filter(pl.col("id").is_in(some)))


def test_code_deeper_than_the_interpreters_stack_costs_itself_alone(made: Path) -> None:
    module(made, "deep/__init__.py", "def f(a=" + "1+" * 500 + '1):\n    "Add."\n\ndef g():\n    "Sound."\n')
    module(made, "deep/chain.py", "if a: pass\n" + "elif b: pass\n" * 2_000)
    module(made, "deep/sum.py", "a = " + "1+" * 20_000 + "1\n")
    source = packages("deep")
    rows = listed(source)
    assert rows.filter(pl.col("problem").is_null())["id"].to_list() == ["deep.f", "deep.g"]
    told = rows.filter(pl.col("problem").is_not_null())["id"].to_list()
    assert set(told) <= {"deep/chain.py", "deep/sum.py"} and "deep/sum.py" in told
    assert read(source, ["deep.f"])["text"].to_list() == ["def deep.f(...)\n\nAdd."]


def test_a_folder_of_a_package_that_cannot_be_listed_is_named(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(made, "shut/__init__.py", '"""A."""')
    source = packages("shut")

    def failing(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("storage.sources.packages.os.scandir", failing)
    with pytest.raises(InputError, match=r"source '\w+': cannot list '.*shut' of package 'shut': Permission denied"):
        listed(source)


@pytest.mark.parametrize(("name", "what"), [("no_such_package", "no installed package"), ("math", "no Python source")])
def test_a_missing_package_is_an_input_error(name: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        packages(name)
