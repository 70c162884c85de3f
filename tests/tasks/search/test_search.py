"""Search as tasks and the command line use it: texts in, hits out, with the encoder of the release."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, prose

from flows.config.schema import Config
from flows.refresh import refresh
from models.config import EncoderConfig
from models.encoder import Encoder, resolve
from storage.errors import InputError
from storage.reader import Hit
from storage.registry import Registry
from storage.tables.releases import Draft, Releases
from storage.tables.roles import TEXT, Fusion, IndexFacts
from storage.tables.store import Store
from tasks.search.fuse import fuse
from tasks.search.search import BATCH, Asked, Search, read_queries


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


@pytest.mark.parametrize("mode", ["dense", "text"])
def test_half_of_a_character_cannot_be_asked(config: Config, mode: Asked) -> None:
    with pytest.raises(InputError, match=r"'caf\\udcff' cannot be asked: '\\udcff' is half of a character"):
        list(Search(config.store.uri).find(["anchor", "caf\udcff"], 1, mode=mode))


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


QUERIES = ["notes anchor", "a dry row of the logs", "buoy of column 2"]


def republished(config: Config, folder: Path, **facts: Any) -> str:
    """A copy of the store whose newest release says something else of its text role."""
    uri = folder / "store"
    shutil.copytree(config.store.uri, uri)
    releases = Releases(Store(uri))
    current = releases.get()
    draft = Draft(**{field.name: getattr(current, field.name) for field in fields(Draft)})
    releases.publish(current.seq, replace(draft, roles={TEXT: replace(current.text, **facts)}))
    return str(uri)


def answers(search: Search, mode: Asked, k: int = 5) -> list[list[Hit]]:
    return [hits for _, hits in search.find(QUERIES, k, mode=mode)]


def test_both_sides_answer_together_where_questions_showed_that_words_help(config: Config, tmp_path: Path) -> None:
    search = Search(republished(config, tmp_path, fusion=Fusion(weight=0.4, depth=20)))
    assert search.mode() == "hybrid"
    found = answers(search, "auto")
    assert found == answers(search, "hybrid")
    vectors = search.encoder.encode_queries(QUERIES)
    wanted = fuse(search.reader.dense(vectors, 20), search.reader.words(QUERIES, 20), 0.4, 20, level="id")
    for number, hits in enumerate(found):
        rows = wanted.filter(query=number).head(5)
        assert [(hit.chunk, hit.score) for hit in hits] == [
            (chunk, round(score, 6)) for chunk, score in rows.select("id", "score").iter_rows()
        ]
    more = answers(search, "hybrid", 8)
    assert [hits[:5] for hits in more] == found  # how many hits are asked for does not change their order
    by_vectors = {hit.chunk: hit for hits in answers(search, "dense", 50) for hit in hits}
    for hit in (hit for hits in found for hit in hits):
        assert replace(hit, score=0.0) == replace(by_vectors[hit.chunk], score=0.0)


def test_vectors_answer_alone_where_nothing_showed_that_words_help(config: Config, tmp_path: Path) -> None:
    assert Search(config.store.uri).mode() == "dense"
    search = Search(republished(config, tmp_path, fusion=Fusion(weight=0.0)))
    assert search.mode() == "dense"
    vectors = search.encoder.encode_queries(QUERIES)
    assert answers(search, "auto") == search.reader.search(vectors, 5)
    by_both = [[hit.chunk for hit in hits] for hits in answers(search, "hybrid")]
    assert by_both == [[hit.chunk for hit in hits] for hits in answers(search, "dense")]
    assert answers(Search(config.store.uri), "hybrid") != answers(Search(config.store.uri), "dense")


def test_words_are_searched_without_an_encoder(config: Config, tmp_path: Path) -> None:
    shutil.copytree(config.store.uri, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / "models")
    search = Search(str(tmp_path / "store"), mode="text")
    queries = ["ANCHORS", "", "notes anchor"]
    found = list(search.find(queries, 3, {"source": "notes"}, "text"))
    assert [query for query, _ in found] == queries
    assert [{hit.document for hit in hits} for _, hits in found] == [{"anchor.md"}, set(), {"anchor.md"}]
    assert found[0][1][0].score > 0
    with pytest.raises(InputError, match=r"the encoder of space \w+ is not in models/"):
        list(search.find(queries, 3, mode="hybrid"))


def test_a_release_without_words_says_so_and_is_searched_by_vectors(config: Config, tmp_path: Path) -> None:
    search = Search(republished(config, tmp_path, index=IndexFacts(), fusion=Fusion(weight=0.5)))
    assert search.mode() == "dense"
    modes: tuple[Asked, ...] = ("text", "hybrid")
    for mode in modes:
        with pytest.raises(InputError, match="release 2 has no full-text index"):
            answers(search, mode)
