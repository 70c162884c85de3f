"""The frame of every run: the lease, the record, the clock, and what becomes of whatever ends it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING

from flows.clock import Clock
from flows.environment import code, libraries
from flows.room import require_room
from flows.stop import stopped
from models.errors import ModelError
from storage.errors import (
    Exited,
    InputError,
    LeaseHeld,
    ReleaseMoved,
    TidemarkError,
    Unreachable,
    failures,
    faults,
    summary,
    words,
)
from storage.outcome import Outcome
from storage.registry import Registry
from storage.repin import repinned
from storage.signals import ending
from storage.spill import Workspace
from storage.tables.format import migrate, upgrade
from storage.tables.housekeeping import keep_small
from storage.tables.lease import Lease
from storage.tables.mend import mend
from storage.tables.releases import Releases
from storage.tables.runs import Facts, Runs, new_run
from storage.tables.store import Store
from tasks.progress import Progress, Silent
from tasks.verdict import STOPS

if TYPE_CHECKING:
    from flows.config.schema import Config

__all__ = ["BEGUN", "Run", "recorded"]

logger = logging.getLogger(__name__)

_LOOK = 1.0  # seconds between two looks at a lease that somebody else holds


@dataclass
class Run:
    """What is known of a run so far, so that a run that ends early is recorded with all of it.

    Attributes:
        id: Its id.
        kind: The flow that runs.
        clock: Seconds a stage.
        started: When it began.
        lease: Its right to write; None where the flow writes nothing that another run could.
        base: The release that it starts from; None before the first.
        counts: What was counted; `tasks.tally` defines it for a refresh.
        causes: Why there was work: documents a cause.
        facts: What else is recorded, `data` and `model` above all.
        outcome: How it ended; running until it is concluded.
        message: One line for people.
        release: The release that readers see after it.
        take: Takes the lease in the frame of the run, and records its start.
        recorded: Its end stands in the store.
        repaired: What was set aside before it began, a sentence a table.
    """

    id: str
    kind: str
    clock: Clock
    started: datetime
    lease: Lease | None = None
    base: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    outcome: Outcome = Outcome.RUNNING
    message: str = ""
    release: int | None = None
    take: Callable[[], Lease] | None = field(default=None, repr=False)
    recorded: bool = False
    repaired: list[str] = field(default_factory=list)

    def hold(self, patience: float = 0.0) -> None:
        """Take the lease for the rest of a run that went without one so far, and record that it runs.

        Args:
            patience: Seconds to wait for another run to end.

        Raises:
            LeaseHeld: Another run holds the store for longer.
        """
        deadline = monotonic() + patience
        while self.lease is None and self.take is not None:
            try:
                self.lease = self.take()
            except LeaseHeld:
                if monotonic() >= deadline:
                    raise
                sleep(_LOOK)

    @property
    def held(self) -> Lease:
        """The lease, for a stage that writes."""
        if self.lease is None:
            raise RuntimeError(f"the flow {self.kind} took no lease")
        return self.lease

    def conclude(self, outcome: Outcome, message: str, release: int | None = None) -> None:
        """Say how the run ends; the frame records it when its block ends.

        Args:
            outcome: How it ended.
            message: One line for people.
            release: The release that readers see now.
        """
        self.outcome, self.release = outcome, release
        self.message = "; ".join([message, *self.repaired])

    def break_off(self, outcome: Outcome, message: str) -> None:
        """Say what ended the run against its will; what it had published by then stands."""
        said = f"{self.message}; after that: {message}" if self.release is not None else message
        self.conclude(outcome, said, self.release)


# Is told of each run once it has its id: what shows runs elsewhere, such as the dashboard, sets it.
BEGUN: ContextVar[Callable[[Run], None] | None] = ContextVar("BEGUN", default=None)


@contextmanager
def recorded(
    store: Store,
    kind: str,
    *,
    config: Config,
    trigger: str = "manual",
    progress: Progress | None = None,
    lease: bool,
    run: str | None = None,
    started: datetime | None = None,
    needed: bool = True,
    repair: bool = False,
) -> Iterator[Run]:
    """Frame one run: hold the lease, write its start and its end, whatever ends it.

    NeedsApproval, Held and Refused end the block as outcomes. Every other exception is recorded as failed and raised
    again; what stops a process from outside (Ctrl-C, a termination signal) is recorded as interrupted and raised again.
    Whoever `[[notify]]` names is told of a recorded end, after the lease was given back.

    Args:
        store: The store.
        kind: The flow, as the record calls it.
        config: The configuration, for the record.
        trigger: Who started it, for the record.
        progress: Where it says how far it is.
        lease: The flow writes what another run could write too: it takes the lease, and its start is recorded. Without
            the lease nobody could tell whether a run that claims to run still lives, so that is recorded once, at its
            end: a kill cannot leave it running for good. A flow may take it later (`Run.hold`).
        run: Its id; a new one if None.
        started: When it began, where rows that it writes bear that time already; this moment if None.
        needed: Whether its record must be written; else whoever may only read the store is told that there is none.
        repair: Whether to set aside first what cannot be read of the tables (`storage.tables.mend`).

    Yields:
        The run, to be filled and concluded.

    Raises:
        LeaseHeld: Another run holds the store, or migrates it; nothing was recorded.
        InputError: The input is wrong, or a later version of Tidemark made the store; nothing was recorded unless the
            run held the lease.
        Exited: Something in the run called `sys.exit()`, which must not pass for success.
    """
    found = Run(run or new_run(), kind, Clock(progress or Silent()), started or datetime.now(UTC))
    with ExitStack() as stack:
        stack.callback(_tell, store, found, config)  # first in, so last out: the lease was given back by then

        def take() -> Lease:
            require_room()
            if repair:  # without these two nobody could take the lease
                found.repaired += mend(store, ("leases", "format"))
            taken = stack.enter_context(Lease(store, found.id))
            if repair:
                found.repaired += [*mend(store), *repinned(store, config.releases.keep)]
            _begin(store, found, {**_about(config, trigger), "token": taken.token})
            return taken

        found.take = take
        if lease:
            found.hold()
        else:
            _upgrade(store, found.id, needed=needed)
        if begun := BEGUN.get():
            begun(found)
        try:
            yield found
            if found.outcome is Outcome.RUNNING:
                raise RuntimeError(f"the flow {kind} ended without an outcome")
        except tuple(STOPS) as stop:
            found.conclude(next(STOPS[known] for known in STOPS if isinstance(stop, known)), str(stop), found.base)
        except SystemExit as left:
            error = Exited(f"code that the {kind} called asked to leave with sys.exit({left.code!r}); raise an error")
            _break_off(store, found, config, trigger, error, Outcome.FAILED, summary(error))
            raise error from left
        except failures() as error:
            _fail(store, found, config, trigger, error)
            raise
        except BaseException as stop:
            _interrupt(store, found, config, trigger, stop)
            raise
        _conclude(store, found, config, trigger, needed=needed)
    logger.info("run %s: %s (%s)", found.id, found.outcome, found.message)


def _upgrade(store: Store, run: str, *, needed: bool) -> None:
    try:
        upgrade(store, run)
    except (InputError, Unreachable):
        raise
    except faults() as error:
        if needed:
            raise
        told = "the store is taken as it is, for its format cannot be read, or not be brought up to date (%s)"
        logger.warning(told, words(error)[:200])


def _conclude(store: Store, run: Run, config: Config, trigger: str, *, needed: bool) -> None:
    try:
        _end(store, run, config, trigger)
    except faults() as error:
        if needed:
            raise
        logger.warning("the %s is not recorded: the store cannot be written (%s)", run.kind, words(error)[:200])


def _fail(store: Store, run: Run, config: Config, trigger: str, error: BaseException) -> None:
    """Record an error: as a failure, unless another run was faster or a signal came first."""
    if stopped() is not None:  # what the signal raised, as the library at work then passed it on
        _interrupt(store, run, config, trigger, error)
    elif run.lease is not None or not isinstance(error, InputError):
        moved = isinstance(error, ReleaseMoved)
        outcome, message = (Outcome.LEASE_HELD, str(error)) if moved else (Outcome.FAILED, summary(error))
        _break_off(store, run, config, trigger, error, outcome, message)
        _mark(error)


def _interrupt(store: Store, run: Run, config: Config, trigger: str, stop: BaseException) -> None:
    message = f"stopped from outside ({summary(stop)}); the next run goes on"
    _break_off(store, run, config, trigger, stop, Outcome.INTERRUPTED, message)


def _begin(store: Store, run: Run, about: Facts) -> None:
    """Do what only the holder of the lease may, migrate and clear up after killed runs, and record the start."""
    migrate(store)
    Workspace(store, run.id).sweep()
    Registry(store).sweep()
    runs = Runs(store)
    runs.interrupt()
    runs.start(run.id, run.kind, run.started, **about)


def _end(store: Store, run: Run, config: Config, trigger: str) -> None:
    """Record the end, and with it the rest where the start was not recorded."""
    facts: Facts = {
        "counts": run.counts,
        "seconds": run.clock.total(),
        "base": run.base,
        "release": run.release,
        "message": run.message,
        **run.facts,
    }
    runs = Runs(store)
    if run.lease is not None:
        runs.finish(run.id, run.outcome, **facts)
        keep_small(store)  # whatever the outcome: a source that is broken for a year fails every night
    else:
        whole: Facts = {**_about(config, trigger), **facts}
        runs.record(run.id, run.kind, run.outcome, run.started, **whole)
    run.recorded = True


def _break_off(
    store: Store, run: Run, config: Config, trigger: str, error: BaseException, outcome: Outcome, message: str
) -> None:
    """Record an end against the run's will, as far as that is possible; the error notes what was published by then."""
    ending.asked = False
    try:
        made = Releases(store).made_by([run.id]).get(run.id)  # a run that was stopped as it published cannot say
        if made is not None:
            run.release, run.message = made, run.message or f"release {made} is published"
            error.add_note(run.message)
        run.break_off(outcome, message)
        _end(store, run, config, trigger)
    except faults() as fault:  # what failed may be the store itself: the first error is the one to tell
        logger.debug("the end of the %s is not recorded: %s", run.kind, words(fault)[:200])


def _mark(error: BaseException) -> None:
    """Let whoever shows the error know that the store tells of it already."""
    if isinstance(error, TidemarkError | ModelError):
        error.recorded = True


def _tell(store: Store, run: Run, config: Config) -> None:
    """Tell people of a recorded end; who stops a run himself waits for no message."""
    if config.notify and run.recorded and run.outcome is not Outcome.INTERRUPTED:
        from flows.tell import tell  # what speaks to the network is loaded by those who want it

        tell(store, config)


def _about(config: Config, trigger: str) -> Facts:
    return {"trigger": trigger, "config": json.loads(config.to_json()), "libraries": libraries(), "code": code()}
