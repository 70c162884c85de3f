"""The same index by CocoIndex v1, in the form of its own examples: files, pieces, memoised vectors, a LanceDB table.

Usage: cocoindex_flow.py FOLDER STORE, by a Python that has `cocoindex` and `lancedb`. The encoder is free (a hash), so
that everything else is what is timed; it is memoised, as an encoder that costs would be.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

folder, store = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
os.environ["COCOINDEX_DISABLE_USAGE_TRACKING"] = "1"

import cocoindex as coco  # noqa: E402
import numpy as np  # noqa: E402
from cocoindex.connectors import lancedb, localfs  # noqa: E402
from cocoindex.ops.text import RecursiveSplitter  # noqa: E402
from cocoindex.resources.chunk import Chunk  # noqa: E402
from cocoindex.resources.file import FileLike, PatternFilePathMatcher  # noqa: E402
from cocoindex.resources.id import IdGenerator  # noqa: E402
from cocoindex.resources.schema import VectorSchema  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

DIMENSION = 384
CHARACTERS = 1_100  # of a piece: what gives about as many pieces as Tidemark's 140 words
TABLE = coco.ContextKey[lancedb.LanceAsyncConnection]("store")
splitter = RecursiveSplitter()
embedded = Counter[str]()


@dataclass
class Piece:
    id: int
    path: str
    text: str
    vector: Annotated[NDArray[np.float32], VectorSchema(dtype=np.dtype(np.float32), size=DIMENSION)]


@coco.lifespan
async def opened(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
    builder.settings.db_path = store / "state"
    builder.provide(TABLE, await lancedb.connect_async(str(store / "tables")))
    yield


@coco.fn(memo=True)
async def encode(text: str) -> NDArray[np.float32]:
    embedded["chunks"] += 1
    seed = np.float32(int(hashlib.sha1(text.encode()).hexdigest()[:8], 16))
    return np.sin(seed * np.arange(1, DIMENSION + 1, dtype=np.float32))


@coco.fn
async def write(chunk: Chunk, path: str, ids: IdGenerator, table: lancedb.TableTarget[Piece]) -> None:
    row = Piece(await ids.next_id(chunk.text), path, chunk.text, await encode(chunk.text))
    table.declare_row(row=row)


@coco.fn(memo=True)
async def file(each: FileLike, table: lancedb.TableTarget[Piece]) -> None:
    chunks = splitter.split(await each.read_text(), chunk_size=CHARACTERS, language="markdown")
    await coco.map(write, chunks, str(each.file_path.path), IdGenerator(), table)


@coco.fn
async def index(source: pathlib.Path) -> None:
    schema = await lancedb.TableSchema.from_class(Piece, primary_key=["id"])
    table = await lancedb.mount_table_target(TABLE, table_name="chunks", table_schema=schema)
    files = localfs.walk_dir(source, recursive=True, path_matcher=PatternFilePathMatcher(included_patterns=["**/*.md"]))
    await coco.mount_each(file, files.items(), table)


store.mkdir(parents=True, exist_ok=True)
coco.App(coco.AppConfig(name="benchmark"), index, source=folder).update_blocking()
print(f"{embedded['chunks']} embedded")
