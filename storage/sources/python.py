"""Installed Python packages as a source: docstring, signature and source of what is public."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import polars as pl

from storage.errors import InputError
from storage.sources.base import (
    DOCUMENTS,
    SLICE_ROWS,
    Document,
    Item,
    Place,
    digest,
    document_slices,
    listing_slices,
    row_revisions,
)
from storage.sources.config import PythonConfig
from storage.sources.packages import Module, Package, find_packages, modules

__all__ = ["PythonSource"]

# Beyond this a body says more about how than about what.
SOURCE_LENGTH = 2_000

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|no|fig|eq)\.$", re.IGNORECASE)
_LONGEST = 8  # characters of an abbreviation with its stop and the character before it: no more is looked at


class PythonSource:
    """Every public function, class and module with a docstring; see `PythonConfig`."""

    def __init__(self, config: PythonConfig, base_dir: Path) -> None:
        self.name = config.name
        self._licence = config.licence
        found = [package for name in config.packages for package in find_packages(name, source=config.name)]
        self._packages = list(dict.fromkeys(found))

    def list(self) -> Iterator[pl.DataFrame]:
        """Yield the objects, module by module in the order of their names; see `Source.list`."""
        return listing_slices(_item(document) for document in self._documents(None))

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """Yield these objects in the order of the listing, parsing only the files they can be in; see `Source.read`."""
        wanted = set(ids.to_list())
        return document_slices(document for document in self._documents(wanted) if document.id in wanted)

    def place(self, identity: str) -> Place | None:
        """Find the definition of an object; None where it is gone."""
        homes = set(_prefixes(identity))
        for package in self._packages:
            for module in self._modules(package):
                if module.name not in homes and module.relative != identity:
                    continue
                for found in self._objects(package, module):
                    if found.id == identity:
                        return Place(str(module.path), orjson.loads(found.metadata).get("line"))
        return None

    def _documents(self, wanted: set[str] | None) -> Iterator[Document]:
        homes = None if wanted is None else {home for name in wanted for home in _prefixes(name)}
        seen: set[str] = set()
        for package in self._packages:
            for module in self._modules(package):
                if homes is not None and module.name not in homes and module.relative not in homes:
                    continue
                found = [document for document in self._objects(package, module) if document.id not in seen]
                # Conditional definitions share a name: the first with a docstring stands for all.
                unique = list({document.id: document for document in reversed(found)}.values())[::-1]
                seen.update(document.id for document in unique)
                yield from _revised(unique)

    def _modules(self, package: Package) -> Iterator[Module]:
        try:
            yield from modules(package)
        except OSError as error:  # to go on without the folder would make all that is below it look deleted
            why = f"cannot list {str(error.filename)!r} of package {package.name!r}: {error.strerror}"
            raise InputError(f"source {self.name!r}: {why}") from error

    def _objects(self, package: Package, module: Module) -> Iterator[Document]:
        licence = package.licence or self._licence
        try:
            raw = module.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            yield _unparsed(module, b"", f"cannot be read: {error.strerror}")
            return
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
            text = raw.decode(encoding)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # escapes that the package's authors have to mend
                found = list(_found(module.name, ast.parse(raw)))
        except (SyntaxError, ValueError, RecursionError, MemoryError, LookupError) as error:
            yield _unparsed(module, raw, f"cannot be parsed: {error}")
            return
        # Not splitlines: a form feed or U+2028 is no line break to Python's parser.
        lines = re.split(r"\r\n|\r|\n", text)
        for each in found:
            yield _document(each, package, module, lines, licence)


class _Found(NamedTuple):
    name: str
    kind: str
    docstring: str
    node: ast.Module | _Definition


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _found(name: str, tree: ast.Module | _Definition) -> Iterator[_Found]:
    docstring = ast.get_docstring(tree)
    if docstring:
        kind = {ast.Module: "module", ast.ClassDef: "class"}.get(type(tree), "function")
        yield _Found(name, kind, docstring, tree)
    if not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        for node in _definitions(tree.body):
            if not node.name.startswith("_"):
                yield from _found(f"{name}.{node.name}", node)


def _definitions(body: Sequence[ast.stmt]) -> Iterator[_Definition]:
    """Yield what a body defines, within `if`, `try` and `with` too."""
    for node in body:
        if isinstance(node, _Definition):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for block in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(node, block, ()):
                    yield from _definitions(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def _document(found: _Found, package: Package, module: Module, lines: Sequence[str], licence: str | None) -> Document:
    line = 1 if isinstance(found.node, ast.Module) else found.node.lineno
    metadata = {
        "kind": found.kind,
        "line": line,
        "module": module.name,
        "package": package.name.partition(".")[0],
        "path": module.relative,
        "version": package.version,
    }
    text = "\n\n".join(filter(None, [_signature(found), found.docstring, _source(found.node, lines)]))
    sentence = _first_sentence(found.docstring)
    return Document(
        found.name,
        _encodable(text),
        found.name,
        orjson.dumps(metadata).decode(),
        licence,
        None,
        [_encodable(sentence)] if sentence else [],
        "",
    )


def _signature(found: _Found) -> str:
    """The first line of a definition; its arguments are left out where they are deeper than the interpreter's stack."""
    try:
        return _whole_signature(found)
    except RecursionError:
        return f"{'class' if found.kind == 'class' else 'def'} {found.name}(...)"


def _whole_signature(found: _Found) -> str:
    node = found.node
    if isinstance(node, ast.Module):
        return f"module {found.name}"
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, [*node.bases, *node.keywords]))
        return f"class {found.name}({bases})" if bases else f"class {found.name}"
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word} {found.name}({ast.unparse(node.args)}){returns}"


def _source(node: ast.Module | _Definition, lines: Sequence[str]) -> str:
    """The body after the docstring, dedented, cut at the end of a line."""
    body = node.body[1:]
    if not body:
        return ""
    first = body[0].lineno
    if isinstance(body[0], _Definition) and body[0].decorator_list:
        first = body[0].decorator_list[0].lineno
    kept: list[str] = []
    size = 0
    for line in lines[first - 1 : body[-1].end_lineno]:
        size += len(line) + 1
        if size > SOURCE_LENGTH:
            break
        kept.append(line)
    return inspect.cleandoc("\n" + "\n".join(kept)) if kept else ""


def _first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    for end in re.finditer(r"[.!?](?=\s)", paragraph):
        stop = end.end()
        if not _ABBREVIATION.search(paragraph[max(0, stop - _LONGEST) : stop]):
            return paragraph[:stop]
    return paragraph


def _encodable(text: str) -> str:
    """A docstring may spell lone surrogates, which no UTF-8 can hold."""
    return text.encode("utf-8", errors="replace").decode()


def _unparsed(module: Module, raw: bytes, problem: str) -> Document:
    revision = digest(raw, problem.encode(errors="replace"))
    return Document(module.relative, "", None, "{}", None, None, (), revision, f"{module.relative} {problem}")


def _revised(documents: Sequence[Document]) -> Iterator[Document]:
    """Set the revisions: a hash of all that a document holds, since parsing has made it anyway.

    The file's times are not in it: an environment that is installed anew has new times and the same documents.
    """
    for start in range(0, len(documents), SLICE_ROWS):
        part = documents[start : start + SLICE_ROWS]
        revisions = row_revisions(pl.DataFrame(part, schema=DOCUMENTS, orient="row")).to_list()
        for document, revision in zip(part, revisions, strict=True):
            yield document if document.problem else document._replace(revision=revision)


def _item(document: Document) -> Item:
    size = None if document.problem else len(document.text.encode())
    return Item(document.id, document.revision, size, document.problem)
