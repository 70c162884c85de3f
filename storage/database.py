"""LanceDB, by which readers search: imported late, and connected to a store."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from storage.errors import TableMissing
from storage.tables.store import Store

if TYPE_CHECKING:
    from lancedb.table import Table

__all__ = ["import_lancedb", "open_table"]

_CLIENT = "lance_namespace_urllib3_client"
_MISSING = re.compile(r"^Table '.*' was not found|no longer exists")
_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")


def import_lancedb() -> Any:
    """Import LanceDB without the client of its cloud, which takes two thirds of the import and is never called here.

    LanceDB needs the data classes of that client alone, but they lie in a package whose first file imports forty
    classes of remote calls, and pydantic compiles every signature in them. A package without that file stands in for
    it meanwhile; whoever imports the client later gets the whole one. The two hundred data classes, too, pydantic
    compiles only once they are used.
    """
    from pydantic import BaseModel

    spec = None
    if "lancedb" not in sys.modules and _CLIENT not in sys.modules:
        spec = importlib.util.find_spec(_CLIENT)
    if spec is not None:
        sys.modules[_CLIENT] = importlib.util.module_from_spec(spec)
    usual = BaseModel.model_config
    BaseModel.model_config = {**usual, "defer_build": True}  # what is defined meanwhile inherits it
    try:
        import lancedb
    finally:
        BaseModel.model_config = usual
        if spec is not None:
            del sys.modules[_CLIENT]
    return lancedb


def open_table(store: Store, name: str, tag: str | int) -> Table:
    """Open a table at a tag, or at a version; it stays there.

    Args:
        store: The store.
        name: Name of the table.
        tag: Name of the tag, or number of the version.

    Raises:
        TableMissing: The store has no such table, or the table no such tag.
        InputError: The address or the credentials of an object store are wrong.
        Unreachable: An object store does not answer.
    """
    lancedb = import_lancedb()
    try:
        if store.folder is not None:
            database = lancedb.connect(store.folder.absolute())
        else:
            database = lancedb.connect(store.uri, storage_options=_region(store.uri))
        table: Table = database.open_table(name)
        table.checkout(tag)
    except (ValueError, OSError, RuntimeError) as error:  # LanceDB has a RuntimeError for whatever Lance says
        if _MISSING.search(str(error)):
            raise TableMissing(f"{store.uri}: there is no table {name!r} at version {tag}") from error
        if store.folder is not None:
            raise
        from storage.remote import explained

        raise explained(store.uri, error) from error
    return table


def _region(uri: str) -> dict[str, str] | None:
    """The region of S3, which LanceDB wants to be told where a bucket has a dot in its name; the rest it looks up."""
    region = next((os.environ[name] for name in _REGION if os.environ.get(name)), None)
    return {"aws_region": region} if region and uri.startswith("s3") else None
