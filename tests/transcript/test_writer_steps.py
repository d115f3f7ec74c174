"""What can come between at every single step of a write: a finalizer, an interrupt, a fork."""

import contextlib
import logging
import os
import signal
import threading
import time

import pytest
from asks import ask, at_each_step, check_numbers, in_child, messages_of, note, notes, read

from spanscript.transcript.writer import Writer


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "run"


def test_a_finalizer_that_writes_at_any_step(tmp_path):
    inner = []

    class Round:
        writer = None
        name = 0

    def finalizer():
        inner.append(Round.name)
        Round.writer.write(note(f"inner {Round.name}"))

    def run(watched):
        Round.name += 1
        directory = tmp_path / str(Round.name)
        Round.writer = Writer(directory, max_bytes=1)
        Round.writer.write(note("one"))
        assert watched(Round.writer.write, note("two"))
        done = [f"inner {Round.name}"] if Round.name in inner else []
        assert sorted(notes(directory)) == [*done, "one", "two"]
        check_numbers(directory)
        Round.writer.close()

    steps = at_each_step(finalizer, run)
    assert steps > 60
    assert len(inner) == steps


class Interrupt(BaseException):
    """Like KeyboardInterrupt, and not mistaken for one."""


@pytest.mark.parametrize("rotate", [True, False])
def test_an_interrupt_at_any_step(tmp_path, rotate):
    rounds = []
    lost_of = {}

    def interrupt():
        raise Interrupt

    def run(watched):
        directory = tmp_path / str(len(rounds))
        rounds.append(directory)
        lost = lost_of[directory] = []
        writer = Writer(
            directory, max_bytes=int(rotate), on_lost=lambda reason, count: lost.append((reason, count))
        )
        assert writer.write(ask("a"))
        outcome = None
        with contextlib.suppress(Interrupt):
            outcome = watched(writer.write, ask("a", "b"))
        assert outcome in (True, None)

        def other_thread():
            assert writer.write(ask("a", "b", "c"))

        thread = threading.Thread(target=other_thread, daemon=True)
        thread.start()
        thread.join(5)
        assert not thread.is_alive(), "the lock was left held"
        check_numbers(directory)
        good, bad = read(directory)
        assert not bad
        for file in {file for file, _ in good}:
            here = [line for name, line in good if name == file]
            for line in here:
                if line["type"] == "provider_call_request":
                    assert len(messages_of(here, line["context"])) == line["message_count"]
        counts = [line["message_count"] for _, line in good if line["type"] == "provider_call_request"]
        assert set(counts) >= {1, 3}
        told = sum(line["dropped"] for _, line in good if line["type"] == "gap")
        assert told == sum(count for _, count in lost)
        writer.close()

    assert at_each_step(interrupt, run) > 60


def test_a_real_signal_at_random_moments(directory):
    writer = Writer(directory, max_bytes=200_000)

    def handler(number, frame):
        raise Interrupt

    old = signal.signal(signal.SIGALRM, handler)
    acknowledged, interrupted, number = [], 0, 0
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            number += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + (number % 37) / 1e5)
                for part in range(40):
                    text = f"{number} {part} " + "x" * (part * 100)
                    if writer.write(note(text)):
                        acknowledged.append(text)
                time.sleep(0.001)
            except Interrupt:
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert writer.write(note("last"))
    assert interrupted > 20
    check_numbers(directory)
    assert set(acknowledged) <= set(notes(directory))


def test_a_fork_by_another_thread_at_any_step(tmp_path):
    """The child has neither the thread that held the lock nor its descriptor."""
    rounds, codes = [], []
    state = {}

    def child():
        if not state["writer"].write(ask("a", "b", "c")):
            os._exit(3)

    def fork():
        thread = threading.Thread(target=lambda: codes.append(in_child(child)))
        thread.start()
        thread.join()

    def run(watched):
        directory = tmp_path / str(len(rounds))
        rounds.append(directory)
        writer = state["writer"] = Writer(directory)
        assert writer.write(ask("a"))
        assert watched(writer.write, ask("a", "b"))
        assert writer.write(ask("a", "b", "c"))
        forked = len(codes) == len(rounds)
        numbers, told = check_numbers(directory)
        assert sorted(map(len, numbers.values())) == ([5, 7] if forked else [7])
        assert not any(told.values())
        writer.close()

    steps = at_each_step(fork, run, stride=4)
    assert codes == [0] * steps
    assert steps > 30


def test_a_child_closes_what_it_inherited(directory):
    writer = Writer(directory)
    writer.write(note("a"))
    fd = writer._state.appender._file._fd

    def child():
        try:
            os.fstat(fd)
        except OSError:
            return
        os._exit(3)

    assert in_child(child) == 0


def test_a_log_handler_that_writes_and_locks(tmp_path):
    """Loggers have locks too: we must hold none of ours when we log."""
    (tmp_path / "run").touch()
    writer = Writer(tmp_path / "run")

    class Handler(logging.Handler):
        def emit(self, record):
            thread = threading.Thread(target=writer.write, args=(note("x"),), daemon=True)
            thread.start()
            thread.join(5)
            seen.append(thread.is_alive())

    seen = []
    handler = Handler()
    logging.getLogger("spanscript").addHandler(handler)
    try:
        assert not writer.write(note("a"))
    finally:
        logging.getLogger("spanscript").removeHandler(handler)
    assert seen == [False]
