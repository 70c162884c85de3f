"""What Arrow and Lance are told before they work: to do without what few need, and with little memory.

PyArrow looks at once for pandas, a quarter of a second, and for its client of S3; Lance holds what it reads ahead.
"""

from __future__ import annotations

import atexit
import os
import sys
from importlib import import_module
from typing import Any

import pyarrow as pa

from storage.lazy import without

__all__ = ["AHEAD", "settle", "spare_pandas", "spare_s3"]

AHEAD = 8 * 2**20  # bytes that a scan reads ahead
# Only where the user has not decided. Some of it is an argument of scans, but the building of an index scans too.
LANCE = {
    "LANCE_INCLUDE_VECTOR_CENTROIDS": "false",
    "LANCE_DEFAULT_IO_BUFFER_SIZE": str(AHEAD),
    # Rows that are compared with the cells at once: so few stay in the processor's cache, a fifth quicker than 8,192.
    "LANCE_DEFAULT_BATCH_SIZE": "1024",
    "LANCE_SHUFFLE_BATCH_BYTES": str(16 * 2**20),  # of vectors that wait for their cell; Lance holds 128 MiB
}
_S3 = "pyarrow._s3fs"


def settle() -> None:
    """Set all of it, once and before Lance is imported: its threads read the environment at any time."""
    spare_pandas()
    spare_s3()
    for name, value in LANCE.items():
        os.environ.setdefault(name, value)


def spare_pandas() -> None:
    """Make PyArrow look for pandas now, and find none.

    It looks once and remembers the answer. Where pandas is really needed, to make data frames of tables, PyArrow looks
    again; only a Series that is given to `pyarrow.array` without such a need is taken for any other sequence.
    """
    with without("pandas"):
        pa.scalar(True)


def spare_s3() -> None:
    """Import PyArrow's file systems, but that of S3 only when somebody asks for it: Lance has a client of its own."""
    if "pyarrow.fs" in sys.modules:
        return
    with without(_S3):
        fs: Any = import_module("pyarrow.fs")
    absent = fs.__getattr__

    def later(name: str) -> Any:
        found = None if name.startswith("__") else getattr(import_module(_S3), name, None)
        return absent(name) if found is None else found

    fs.__getattr__ = later
    atexit.register(_finalize)


def _finalize() -> None:
    """Close what Arrow opened of S3, as `pyarrow.fs` would by itself: left open, it crashes at the end of a process."""
    if _S3 in sys.modules:
        import_module(_S3).ensure_s3_finalized()
