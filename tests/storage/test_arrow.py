"""PyArrow without what few need, until somebody needs it."""

from __future__ import annotations

from scripts import run


def test_a_store_imports_neither_pandas_nor_the_client_of_s3() -> None:
    script = """
import sys
import storage.tables.store, lance
print([name for name in ("pandas", "pyarrow._s3fs") if name in sys.modules])
"""
    assert run(script) == "[]\n"


def test_the_client_of_s3_is_there_for_whoever_asks_for_it() -> None:
    script = """
import storage.tables.store
from pyarrow.fs import FileSystem, S3FileSystem, resolve_s3_region
import pyarrow.fs
print(S3FileSystem is pyarrow.fs.S3FileSystem, S3FileSystem(anonymous=True, region="us-east-1").type_name)
print(type(FileSystem.from_uri("s3://bucket/key?region=us-east-1")[0]) is S3FileSystem)
"""
    assert run(script) == "True s3\nTrue\n"


def test_what_no_file_system_is_is_still_missing() -> None:
    script = """
import storage.tables.store
import pyarrow.fs
print(hasattr(pyarrow.fs, "NoFileSystem"), hasattr(pyarrow.fs, "__wrapped__"))
"""
    assert run(script) == "False False\n"


def test_pandas_is_there_for_whoever_makes_a_frame() -> None:
    script = """
import storage.tables.store
import pyarrow as pa
print(pa.table({"a": [1, 2]}).to_pandas()["a"].sum())
"""
    assert run(script) == "3\n"
