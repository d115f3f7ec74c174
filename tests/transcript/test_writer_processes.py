"""Several processes on one file: killed at any moment, forked under load, rotating all at once."""

import faulthandler
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest
from asks import Step, ask, check_numbers, in_child, messages_of, note, notes, read, wait_for

from spanscript.transcript.livefile import NAME
from spanscript.transcript.writer import Writer

SEED = int(os.environ.get("SEED") or random.randrange(10**6))
BUDGET = float(os.environ.get("BUDGET", "1"))
"""How much of the random tests is run: 1 for each change, more at night."""


def start(function, *args):
    pid = os.fork()
    if pid == 0:
        try:
            function(*args)
        finally:
            os._exit(1)
    return pid


def write_until_killed(writer, acks, number):
    rng = random.Random(number)
    for count in range(10**9):
        text = f"{number}-{count}"
        size = rng.choice((20, 20, 200, 3_000, 60_000) if rng.random() < 0.99 else (2_000_000,))
        if writer.write(note(f"{text} {'x' * size}")):
            os.write(acks, f"{text}\n".encode())
        time.sleep(rng.random() / 500)


def wait_for_acks(file, count):
    """Until so many more are there: a child of a large process takes a while to begin."""
    wanted = file.read_bytes().count(b"\n") + count
    until = time.monotonic() + 60
    while file.read_bytes().count(b"\n") < wanted:
        assert time.monotonic() < until
        time.sleep(0.002)


@pytest.mark.parametrize(("workers", "max_bytes"), [(4, 0), (8, 0), (6, 1_000_000)])
def test_sigkill_at_random_moments(tmp_path, workers, max_bytes):
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    writer = Writer(tmp_path, max_bytes=max_bytes)
    acks = os.open(tmp_path / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    living, started, kills = [], 0, round(25 * BUDGET)
    for _ in range(kills):
        while len(living) < workers:
            started += 1
            living.append(start(write_until_killed, writer, acks, started))
        wait_for_acks(tmp_path / "acks", 20)
        time.sleep(rng.random() / 50)
        victim = living.pop(rng.randrange(len(living)))
        os.kill(victim, signal.SIGKILL)
        assert wait_for(victim) == -signal.SIGKILL
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        assert wait_for(pid) == -signal.SIGKILL
    kills += len(living)
    os.close(acks)
    assert writer.write(note("afterwards"))
    _, bad = read(tmp_path)
    present = [text.partition(" ")[0] for text in notes(tmp_path)]
    acknowledged = (tmp_path / "acks").read_text().split()
    assert len(acknowledged) > kills
    assert set(acknowledged) <= set(present)
    assert len(set(present)) == len(present)
    assert len(bad) <= kills
    check_numbers(tmp_path)
    assert (len(list(tmp_path.glob("*.jsonl"))) > 1) is bool(max_bytes)


def test_sigkill_at_any_step(tmp_path):
    """Including in the middle of the write itself; then another writer goes on."""
    real = os.write

    def torn(fd, data):
        real(fd, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    def kill():
        os.kill(os.getpid(), signal.SIGKILL)

    def child(directory, at):
        writer = Writer(directory, max_bytes=700)
        assert writer.write(note("one"))
        if at is None:
            os.write = torn
            writer.write(note("two"))
        Step(kill, at).run(writer.write, note("two"))

    codes, at = [], None
    while not codes or codes[-1] != 0:
        directory = tmp_path / str(at)
        codes.append(in_child(child, directory, at))
        assert Writer(directory).write(note("three"))
        _, bad = read(directory)
        assert len(bad) == (at is None)
        assert [text for text in notes(directory) if text != "two"] == ["one", "three"]
        check_numbers(directory)
        at = (at or 1) + 9
    assert codes[:-1] == [-signal.SIGKILL] * (len(codes) - 1)
    assert len(codes) > 10


def by_exit():
    os._exit(7)


def by_sigterm():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def by_abort():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()
    os.abort()


@pytest.mark.parametrize(
    ("die", "code"), [(by_exit, 7), (by_sigterm, -signal.SIGTERM), (by_abort, -signal.SIGABRT)]
)
def test_nothing_waits_for_an_orderly_end(tmp_path, die, code):
    writer = Writer(tmp_path)

    def child():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in range(20):
            assert writer.write(note(str(number)))
        die()

    assert in_child(child) == code
    assert notes(tmp_path) == [str(number) for number in range(20)]


def test_fork_under_load(tmp_path):
    writer = Writer(tmp_path, max_bytes=300_000)
    done, written, forks = threading.Event(), [], round(25 * BUDGET)

    def load(name):
        for number in range(10**9):
            if done.is_set():
                return
            text = f"parent {name} {number} {'x' * (number % 500)}"
            assert writer.write(note(text))
            written.append(text)
            time.sleep(0.0005)

    def child(number):
        texts = [[f"child {number} {name} {part}" for part in range(5)] for name in range(2)]
        threads = [
            threading.Thread(target=lambda t: [writer.write(note(x)) for x in t], args=(t,)) for t in texts
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    threads = [threading.Thread(target=load, args=(name,)) for name in range(4)]
    [thread.start() for thread in threads]
    try:
        codes = [in_child(child, number) for number in range(forks)]
    finally:
        done.set()
        [thread.join() for thread in threads]
    assert codes == [0] * forks
    expected = written + [
        f"child {n} {name} {part}" for n in range(forks) for name in range(2) for part in range(5)
    ]
    assert sorted(notes(tmp_path)) == sorted(expected)
    numbers, told = check_numbers(tmp_path)
    assert len(numbers) == forks + 1
    assert not any(told.values())


def converse(directory, name, turns):
    writer, said = Writer(directory, max_bytes=10_000), []
    for turn in range(turns):
        said.append(f"{name} {turn} {'y' * 50}")
        assert writer.write(ask(*said))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_several_processes_rotate_one_file(tmp_path, method):
    count, turns = (6, 60) if method == "fork" else (2, 30)
    context = multiprocessing.get_context(method)
    children = [context.Process(target=converse, args=(tmp_path, name, turns)) for name in range(count)]
    [child.start() for child in children]
    [child.join(60) for child in children]
    assert [child.exitcode for child in children] == [0] * count
    good, bad = read(tmp_path)
    assert not bad
    numbers, told = check_numbers(tmp_path)
    assert len(numbers) == count
    assert not any(told.values())
    asked = 0
    for file in {file for file, _ in good}:
        here = [line for name, line in good if name == file]
        for line in here:
            if line["type"] == "provider_call_request":
                asked += 1
                contents = [message["content"] for message in messages_of(here, line["context"])]
                name = contents[0].split()[0]
                assert contents == [f"{name} {turn} {'y' * 50}" for turn in range(line["message_count"])]
    assert asked == count * turns
    assert len(list(tmp_path.iterdir())) > 3


def append_naively(directory, name):
    """As the writer would without O_APPEND: shows that the test below can fail."""
    fd = os.open(directory / NAME, os.O_WRONLY | os.O_CREAT)
    for number in range(300):
        os.lseek(fd, 0, os.SEEK_END)
        time.sleep(0.0005)
        line = {"type": "note", "text": f"{name} {number}", "writer": str(name), "seq": number}
        os.write(fd, json.dumps(line).encode() + b"\n")


def append(directory, name):
    writer = Writer(directory)
    for number in range(300):
        assert writer.write(note(f"{name} {number}"))


@pytest.mark.parametrize(("function", "holds"), [(append, True), (append_naively, False)])
def test_appends_of_many_processes(tmp_path, function, holds):
    pids = [start(lambda name: (function(tmp_path, name), os._exit(0)), name) for name in range(8)]
    assert [wait_for(pid) for pid in pids] == [0] * 8
    expected = sorted(f"{name} {number}" for name in range(8) for number in range(300))
    assert (sorted(notes(tmp_path)) == expected and not read(tmp_path)[1]) is holds


EXITS = """
import sys, spanscript.transcript.writer as w
from asks import note
writer = w.Writer(sys.argv[1])
class Late:
    def __del__(self):
        writer.write(note("late"))
late = Late()
writer.write(note("a"))
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("sys.late = late; del late", 0),
        ("import builtins; builtins.w = writer", 0),
    ],
)
def test_the_end_of_the_interpreter_is_silent(tmp_path, end, code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", EXITS + end, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert notes(tmp_path) in (["a"], ["a", "late"])
    assert not read(tmp_path)[1]
