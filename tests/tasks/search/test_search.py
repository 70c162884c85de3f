"""Search as tasks and the command line use it: texts in, hits out, with the encoder of the release."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from corpus import configure, prose

from flows.config.schema import Config
from flows.refresh import refresh
from models.config import EncoderConfig
from models.encoder import Encoder, resolve
from storage.errors import InputError
from storage.registry import Registry
from storage.tables.store import Store
from tasks.search.search import BATCH, Search, read_queries


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    base = tmp_path_factory.mktemp("made")
    names = ("anchor", "buoy", "chart")
    sources = [{"name": name, "kind": "folder", "path": name} for name in ("notes", "logs")]
    for folder in ("notes", "logs"):
        (base / folder).mkdir()
        for name in names:
            (base / folder / f"{name}.md").write_text(prose(f"{folder} {name}"))
    made = configure(base, sources=sources)
    refresh(made)
    return made


def kept(config: Config) -> Encoder:
    """The encoder that the release keeps, opened by somebody else."""
    search = Search(config.store.uri)
    return resolve(Registry(Store(config.store.uri)).fetch(search.reader.release.space)).open()


def test_queries_are_answered_in_order_and_blank_ones_find_nothing(config: Config) -> None:
    queries = ["The notes anchor of row 0", " ", "The logs buoy of row 1"] * BATCH
    found = list(Search(config.store.uri).find(queries, 1))
    assert [query for query, _ in found] == queries
    assert [hits[0].document if hits else None for _, hits in found] == ["anchor.md", None, "buoy.md"] * BATCH


def test_a_filter_narrows_what_is_found(config: Config) -> None:
    search = Search(config.store.uri)
    [(_, hits)] = search.find(
        ["The notes anchor of row 0"], 50, {"source": "logs", "document": ["buoy.md", "chart.md"]}
    )
    assert {(hit.source, hit.document) for hit in hits} == {("logs", "buoy.md"), ("logs", "chart.md")}
    with pytest.raises(InputError, match="there is no column 'title' to filter"):
        list(search.find(["anchor"], 1, {"title": "Anchor"}))


def test_an_encoder_that_is_open_already_is_used(config: Config) -> None:
    encoder = kept(config)
    search = Search(config.store.uri, 1, encoder=encoder)
    assert search.encoder is encoder
    assert [*search.find(["buoy"], 3)] == [*Search(config.store.uri).find(["buoy"], 3)]
    with pytest.raises(InputError, match="cannot search release 1, which is of space"):
        list(Search(config.store.uri, encoder=resolve(EncoderConfig(name="stub:2")).open()).find(["buoy"], 1))


def test_a_release_without_its_encoder_says_so(config: Config, tmp_path: Path) -> None:
    shutil.copytree(config.store.uri, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / "models")
    with pytest.raises(InputError, match=r"the encoder of space \w+ is not in models/"):
        Search(str(tmp_path / "store"))


def test_queries_are_read_line_by_line_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    file.write_bytes(b"\xef\xbb\xbftide\r\n\nmoon")
    assert list(read_queries(file)) == ["tide", "", "moon"]
    file.write_bytes(b"tide\n\xff\n")
    with pytest.raises(InputError, match="line 2: is not UTF-8"):
        list(read_queries(file))
