"""Runs flows in processes of their own, which are stopped or killed at exact moments.

A moment is the time before or after a stage, a commit of Lance or a change of the work and model folders. The product
knows nothing of this: in the child, and only there, those functions are wrapped.
"""

from __future__ import annotations

import functools
import io
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

__all__ = [
    "Child",
    "End",
    "Failure",
    "Moments",
    "Orders",
    "command",
    "name_merges",
    "reembedded",
    "refreshed",
    "rolled_back",
    "vacuum_everything",
    "within",
]

TIMEOUT = 120.0
# Starting a process asks after all others, and the exit code of each can be read but once.
_REAPING = threading.Lock()

STAGES = {
    "flows.prepare": ("scan", "plan", "validate", "deduplicate", "chunk", "find_pending"),
    "flows.build": ("embed", "write", "index", "audit", "publish"),
    "flows.refresh": ("gate",),
    "flows.renew": ("clean_up",),
    "flows.reembed": ("clean_up",),
    "flows.switch": ("embed_ahead",),
}
COMMITS = {
    "lance:LanceDataset": (
        *("commit", "insert", "delete", "restore", "drop", "cleanup_old_versions", "create_index"),
        *("add_columns", "update_config", "create_index_uncommitted", "commit_existing_index_segments"),
    ),
    "lance.dataset:MergeInsertBuilder": ("execute",),
    "lance.dataset:Tags": ("create", "delete"),
    "lance.dataset:DatasetOptimizer": ("compact_files", "optimize_indices"),
}
FILES = {"shutil": ("copytree", "rmtree"), "pathlib:Path": ("replace", "rename"), "flows.refresh": ("write_docs",)}


@dataclass(frozen=True)
class Orders:
    """What befalls a child.

    Attributes:
        at: The moment, by number or name; None for none.
        signal: What it then sends to itself.
        values: `module:name` to what stands there in the child.
    """

    at: int | str | None = None
    signal: int = signal.SIGKILL
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An exception of a child."""

    kind: str
    text: str
    exit_code: int


@dataclass(frozen=True)
class End:
    """How a child ended.

    Attributes:
        code: Its exit code; negative for a signal.
        value: What its work returned, None where it did not.
        failure: What its work raised.
        moments: Every moment that it came to; empty for a killed one.
        texts: Every text that it embedded as a document, in order; empty for a killed one.
    """

    code: int
    value: Any = None
    failure: Failure | None = None
    moments: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.code == -signal.SIGKILL


class Child:
    """A process that does one piece of work; it is dead when the `with` block ends.

    Args:
        work: A function of an importable module.
        *arguments: Its arguments.
        orders: What befalls it.
    """

    def __init__(self, work: Callable[..., Any], *arguments: Any, orders: Orders | None = None) -> None:
        context = _context()
        self._channel, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(theirs, work, arguments, orders or Orders()))
        with _REAPING:
            self._process.start()
        theirs.close()
        self.pid = self._process.pid or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # a stopped process ignores anything milder
        assert self._ended() is not None, "the child does not die"
        self._channel.close()

    def begun(self) -> None:
        """Wait until the work begins."""
        assert self._channel.poll(TIMEOUT)
        assert self._channel.recv() == "begun"

    def stopped(self) -> None:
        """Wait until it has stopped itself."""
        deadline = time.monotonic() + TIMEOUT
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline, "the child did not come to the moment that it was to stop at"
            time.sleep(0.01)

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self) -> End:
        """Wait for its end."""
        answer: dict[str, Any] = {}
        try:
            assert self._channel.poll(TIMEOUT), "the child hangs"
            while not answer:
                received = self._channel.recv()
                answer = {} if received == "begun" else received
        except EOFError:
            pass
        code = self._ended()
        assert code is not None, "the child does not end"
        return End(code, **answer)

    def _ended(self) -> int | None:
        """Wait for its end; gives its exit code."""
        wait([self._process.sentinel], TIMEOUT)
        with _REAPING:
            self._process.join(0)
            return self._process.exitcode


def refreshed(mapping: Mapping[str, Any], base: Path, accept_deletions: bool = False) -> Any:
    """The work of a refresh; a change of the encoder is approved, for what befalls the run is what is looked at."""
    from flows.config.schema import Config
    from flows.refresh import refresh

    return refresh(Config.from_mapping(mapping, base), accept_deletions=accept_deletions, accept_encoder=True)


def reembedded(mapping: Mapping[str, Any], base: Path, encoder: str, bridge: bool = False) -> Any:
    """The work of a re-embedding, or of a bridge that somebody approved beforehand."""
    from flows.config.schema import Config
    from flows.reembed import reembed

    return reembed(Config.from_mapping(mapping, base), encoder=encoder, bridge=bridge, yes=bridge)


def rolled_back(mapping: Mapping[str, Any], base: Path, to: int | None = None) -> Any:
    """The work of a rollback."""
    from flows.config.schema import Config
    from flows.rollback import rollback

    return rollback(Config.from_mapping(mapping, base), to)


def within(environment: Mapping[str, str], work: Callable[..., Any], *arguments: Any) -> Any:
    """Some other work in a changed environment: a child has that of the zygote, not of the test."""
    os.environ.update(environment)
    return work(*arguments)


def command(*arguments: str) -> tuple[int, str, str]:
    """The work of a command line: its exit code, standard output and standard error."""
    from flows.cli.app import main

    sys.argv = ["tidemark", *arguments]
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    return int(code or 0), out.getvalue(), err.getvalue()


def vacuum_everything(store: Any, table: str, older_than: timedelta, *, torn: bool = False) -> int:
    """Stands for `Store.vacuum`: frees every version that no tag keeps, however young."""
    del older_than, torn
    dataset = store.find(table)
    if dataset is None:
        return 0
    return int(dataset.cleanup_old_versions(timedelta(0), error_if_tagged_old_versions=False).bytes_removed)


class Moments:
    """The moments of one child, told by wrappers around what it calls."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.seen: list[str] = []
        self.texts: list[str] = []
        self._times: Counter[str] = Counter()

    def watch(self) -> None:
        """Wrap every stage, commit and change of folders, and listen to the encoder."""
        for kind, places in (("stage", STAGES), ("commit", COMMITS), ("file", FILES)):
            for place, names in places.items():
                for name in names:
                    self._wrap(kind, find(place), name)
        from models.text.stub import StubEncoder

        encode = StubEncoder.encode_documents

        @functools.wraps(encode)
        def listened(encoder: StubEncoder, texts: Any, progress: Any = None) -> Any:
            self.texts.extend(texts)
            return encode(encoder, texts, progress)

        StubEncoder.encode_documents = listened  # type: ignore[method-assign, assignment]

    def _wrap(self, kind: str, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def watched(*arguments: Any, **named: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return original(*arguments, **named)
            what = " ".join(filter(None, [kind, name, _subject(arguments)]))
            self._times[what] += 1
            what = f"{what} {self._times[what]}"
            self.reach(f"before {what}")
            result = original(*arguments, **named)
            self.reach(f"after {what}")
            return result

        static = isinstance(owner, type) and isinstance(owner.__dict__[name], staticmethod)
        setattr(owner, name, staticmethod(watched) if static else watched)

    def reach(self, name: str) -> None:
        """Come to a moment, and die there if that is the order."""
        number = len(self.seen)
        self.seen.append(name)
        if self.orders.at in (number, name):
            os.kill(os.getpid(), self.orders.signal)


def find(place: str) -> Any:
    """The object at `module` or `module:name.name`."""
    module, _, names = place.partition(":")
    found: Any = __import__(module, fromlist=["_"])
    for name in filter(None, names.split(".")):
        found = getattr(found, name)
    return found


def _subject(arguments: tuple[Any, ...]) -> str:
    """Name of the table that a call is about, without its space, where the arguments tell."""
    for argument in arguments:
        if getattr(argument, "table_name", None):
            return str(argument.table_name)
        uri = argument if isinstance(argument, str) else getattr(argument, "uri", None)
        uri = uri or getattr(getattr(argument, "_ds", None), "uri", None)
        if isinstance(uri, str) and (found := re.search(r"(\w+?)(__\w+)?\.lance$", uri)):
            return found[1]
    return ""


def name_merges() -> None:
    """Let a merge know its table: the builder does not tell."""
    import lance

    begin = lance.LanceDataset.merge_insert

    @functools.wraps(begin)
    def named(dataset: Any, *arguments: Any, **others: Any) -> Any:
        builder: Any = begin(dataset, *arguments, **others)
        builder.table_name = _subject((dataset,))
        return builder

    lance.LanceDataset.merge_insert = named  # type: ignore[method-assign, assignment]


def _serve(channel: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], orders: Orders) -> None:
    """What a child does."""
    zygote = sys.modules.get("zygote")
    assert zygote is not None, "the zygote did not load its modules"
    started = {name for name in zygote.THREADS if name.startswith(("lance", "tokio", "polars-0"))}
    assert not started, f"forked while {started} ran"
    for place, value in orders.values.items():
        module, _, names = place.partition(":")
        owner, _, name = names.rpartition(".")
        setattr(find(f"{module}:{owner}"), name, value)
    moments = Moments(orders)
    name_merges()
    moments.watch()
    channel.send("begun")
    from flows.exits import exit_code

    answer: dict[str, Any] = {}
    try:
        answer["value"] = work(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
        answer["failure"] = Failure(type(error).__name__, str(error), exit_code(error))
    channel.send(answer | {"moments": tuple(moments.seen), "texts": tuple(moments.texts)})


@functools.cache
def _context() -> multiprocessing.context.ForkServerContext:
    """Start the zygote: forking from it costs milliseconds, where importing costs seconds."""
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["zygote"])
    before = os.environ.get("PYTHONPATH")
    here = Path(__file__).parent  # behind the root: it has folders of the same names
    os.environ["PYTHONPATH"] = os.pathsep.join([str(here.parent), str(here), *([before] if before else [])])
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context
