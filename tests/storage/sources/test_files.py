"""Files behind paths, globs and URLs, by way of the CSV source."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import polars as pl
import pytest

from storage.errors import InputError, Unreachable
from storage.sources import DOCUMENTS, LISTING, Source, open_source, parse_source


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def opened(base: Path, path: str, **keys: object) -> Source:
    return open_source(parse_source({"name": "rows", "kind": "csv", "path": path, **keys}), base)


def listed(source: Source) -> pl.DataFrame:
    return pl.concat([LISTING.to_frame(), *source.list()])


def read(source: Source) -> pl.DataFrame:
    ids = listed(source).filter(pl.col("problem").is_null())["id"]
    return pl.concat([DOCUMENTS.to_frame(), *source.read(ids)])


@pytest.mark.parametrize(
    ("path", "what"),
    [("no.csv", "does not exist"), ("*.csv", "no file matches"), ("d", "is a folder"), ("nix://a", "cannot open path")],
)
def test_a_path_with_nothing_there_is_an_input_error(tmp_path: Path, path: str, what: str) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(InputError, match=what):
        opened(tmp_path, path)


def test_globs_urls_and_compressed_files_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    base = tmp_path / "odd [name]"
    (base / "deep").mkdir(parents=True)
    (base / "deep" / "b.csv").write_text("id,text\nb,x\n")
    with fsspec.open(str(base / "a.csv.gz"), "wt", compression="gzip") as file:
        file.write("id,text\na,x\n")
    assert read(opened(base, "**/*.csv*"))["id"].to_list() == ["a", "b"]
    with fsspec.open("memory://tables/c.csv", "wt") as file:
        file.write("id,text\nc,x\nd\n")
    source = opened(base, "memory://tables/*.csv")
    assert listed(source)["id"].to_list() == ["c", "memory:///tables/c.csv#L3"]


def test_files_behind_http_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\na,the tide\nb\n")
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        source = opened(tmp_path, f"http://{host}/a.csv?token=hunter2")
        ids, rows = listed(source)["id"].to_list(), read(source)
        with pytest.raises(InputError, match=r"nothing is at path 'http://.*/none.csv\?\*\*\*'"):
            listed(opened(tmp_path, f"http://{host}/none.csv?token=hunter2"))
        server.shutdown()
    assert ids == ["a", f"http://{host}/a.csv?***#L3"]
    assert rows["text"].to_list() == ["the tide"]


def test_a_damaged_archive_is_an_input_error(tmp_path: Path) -> None:
    with fsspec.open(str(tmp_path / "a.csv.gz"), "wt", compression="gzip") as file:
        file.write("id,text\n" + "".join(f"{number},{number * 7919}\n" for number in range(1000)))
    whole = (tmp_path / "a.csv.gz").read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot read a\.csv\.gz"):
        listed(opened(tmp_path, "a.csv.gz"))


def test_a_server_that_does_not_answer_is_no_missing_file(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"source 'rows': http://127.0.0.1:9/x.csv: the server does not answer"):
        opened(tmp_path, "http://127.0.0.1:9/x.csv")
