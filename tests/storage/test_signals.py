"""What must be over before a signal may end it, and that what became of a signal is no damage."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from storage.errors import faults
from storage.signals import Ending, uninterrupted


class Told(BaseException):
    """What the handler of these tests raises."""


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    def tell(number: int, _: object) -> None:
        raise Told(number)

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_told_when_the_block_is_over(number: int) -> None:
    done = []
    with pytest.raises(Told) as told, uninterrupted():
        signal.raise_signal(number)
        done.append(number)
    assert (done, told.value.args) == ([number], (number,))
    with pytest.raises(Told):  # and from then on at once
        signal.raise_signal(number)


def test_without_a_signal_nothing_happens_and_handlers_are_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with uninterrupted(), uninterrupted():
        pass
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_error_of_the_block_stays_the_context_of_what_the_signal_raises() -> None:
    with pytest.raises(Told) as told, uninterrupted():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("broken")
    assert isinstance(told.value.__context__, ValueError)


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_second_signal_does_not_wait() -> None:
    code = """
import signal
from storage.signals import uninterrupted
with uninterrupted():
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    print("alive")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, "")


def test_in_another_thread_it_leaves_the_signals_alone() -> None:
    seen = []

    def work() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGTERM) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]


def test_no_error_is_taken_for_damage_while_a_signal_asks_the_process_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str:
        try:
            raise OSError("External error: Terminated:")  # as Lance passes on what a signal raises in it
        except faults():
            return "damage"
        except OSError:
            return "passed on"

    asked = Ending()
    monkeypatch.setattr("storage.errors.ending", asked)
    assert (told(), asked.first) == ("damage", None)
    asked.ask(signal.SIGTERM)
    asked.ask(signal.SIGINT)
    assert (told(), asked.first) == ("passed on", signal.SIGTERM)
    asked.asked = False
    assert (told(), asked.first) == ("damage", signal.SIGTERM)
