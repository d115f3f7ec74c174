"""Transcripts as the real collector ships them: line by line what is in the files, whatever happens meanwhile."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter

import pytest
from shipping import Shipper, damaged, expected, lines
from stack import CONFIGS, program, until
from test_processes import finish, start

APP = """
import pathlib
from itertools import count
stop = pathlib.Path(os.environ["STOP"])
for i in count():
    if stop.exists():
        break
    ask(f"{os.getpid()} {i} 🌍 " + "x" * 300)
    time.sleep(0.01)
"""
INTERRUPTIONS = ("none", "stopped", "killed")


@pytest.fixture
def shipper(started, tmp_path):
    return started(Shipper(tmp_path))


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_two_processes_write_and_rotate_while_it_reads(interruption, provider, shipper, tmp_path):
    stop = tmp_path / "stop"
    apps = [start(APP, provider, tmp_path, MAX_BYTES="40000", STOP=str(stop)) for _ in range(2)]
    until(lambda: len(shipper.bodies()) > 100)
    if interruption != "none":
        _right_after_a_position_was_noted(tmp_path / "state")
        shipper.kill() if interruption == "killed" else shipper.stop()
        _rotations(tmp_path, 2)
        shipper.start()
    before = len(shipper.bodies())
    _rotations(tmp_path, 2)
    until(lambda: len(shipper.bodies()) > before + 100)
    stop.touch()
    for app in apps:
        finish(app)

    wanted = lines(tmp_path / "run")
    until(lambda: len(set(shipper.bodies())) == len(wanted))
    shipper.stop()

    assert len({json.loads(line)["writer"] for line in wanted}) == 2
    assert len(set(wanted)) == len(wanted)
    shipped = shipper.shipped()
    counted = Counter(record["body"] for record in shipped)
    assert counted.keys() == set(wanted)
    if interruption != "killed":
        assert set(counted.values()) == {1}
    assert {record["body"]: record for record in shipped} == {line: expected(line) for line in wanted}


def _right_after_a_position_was_noted(state):
    """The worst moment to be killed: what was read and is not handed on would never be read again."""
    (file,) = state.glob("receiver_*")
    before = file.stat().st_mtime_ns
    while file.stat().st_mtime_ns == before:
        time.sleep(0.0005)


def _rotations(tmp_path, more):
    """Wait for *more* rotations."""
    files = len([*(tmp_path / "run").iterdir()])
    until(lambda: len([*(tmp_path / "run").iterdir()]) >= files + more)


def _entry(kind, seq, **fields):
    head = {"type": kind, "timestamp": "2026-11-22T07:00:00.123456Z", "writer": "0123abcd", "seq": seq}
    return json.dumps(head | fields, separators=(",", ":"))


IDS = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
ENTRIES = {
    "no span": _entry("transcript_open", 0, version=1),
    "with a span": _entry("message", 1, **IDS, hash="ab", parent=None, role="user", content="Hello"),
    "keys that a message may have": _entry("message", 2, **IDS, hash="cd", parent="ab", call_id="x", attempt=9, model="y"),
    "of a call": _entry("provider_call_request", 3, **IDS, call_id="0198", attempt=2, model="gpt-5", body={}),
    "an error": _entry("provider_call_error", 4, **IDS, call_id="0198", attempt=2, status="error"),
    "a gap": _entry("gap", 5, reason="ENOSPC", dropped=3),
    "of a type to come": _entry("from_the_future", 6),
    "more than 1 MiB": _entry("message", 7, **IDS, hash="ef", parent="cd", content="é" * 3_000_000),
    "numbers and escapes": _entry("message", 8, hash="12", parent=None).replace("}", r',"n":1E5,"m":123456789012345678901234567890,"x":"\u00e9\ud800\/"}'),
    "a number beyond Go's": _entry("message", 9, **IDS, hash="34", parent=None).replace("}", ',"n":1e400}'),
    "of a call, a number beyond Go's": _entry("provider_call_request", 10, **IDS, call_id="0198", attempt=3).replace("}", ',"body":{"n":1e400}}'),
    "with blobs, a number beyond Go's": _entry("message", 11, blobs=2, **IDS, hash="56", parent=None).replace("}", ',"n":1e400}'),
    "spaces": _entry("gap", 12, reason="x", dropped=3).replace(":", ": ").replace("T07: 00: 00", "T07:00:00"),
}  # fmt: skip
DAMAGED = {
    "torn, then closed": ENTRIES["of a call"][:-20],
    "the middle of a line": ENTRIES["of a call"][20:],
    "JSON, but no object": "[1, 2]",
    "no entry": '{"level": "info"}',
    "spaces around": '  {"type" \t',
    "words": "not JSON at all",
}


def test_each_line_is_a_record(shipper):
    records = [expected(line) for line in ENTRIES.values()] + [damaged(line) for line in DAMAGED.values()]
    _append(shipper, "\n".join(record["body"] for record in records) + "\n\n")

    until(lambda: len(shipper.bodies()) >= len(records))
    shipper.stop()

    assert dict(zip([*ENTRIES, *DAMAGED], shipper.shipped(), strict=True)) == dict(
        zip([*ENTRIES, *DAMAGED], records, strict=True)
    )


def test_bytes_that_are_no_text_become_text(shipper):
    _append(shipper, b'{"type":"mess\xff\xfeage"\n')

    until(shipper.shipped)

    assert shipper.shipped() == [damaged('{"type":"mess\ufffd\ufffdage"')]


def test_a_line_is_shipped_once_it_has_its_end(shipper):
    first, second, third = [*ENTRIES.values()][:3]
    _append(shipper, f"{first}\n{second[:50]}")
    until(shipper.shipped)
    _append(shipper, second[50:100])
    shipper.stop()
    shipper.start()
    _append(shipper, f"{second[100:]}\n{third}\n")

    until(lambda: len(shipper.shipped()) >= 3)
    shipper.stop()

    assert shipper.shipped() == [expected(line) for line in (first, second, third)]


def test_a_line_beyond_the_limit_is_cut_and_not_lost(started, tmp_path):
    shipper = started(Shipper(tmp_path, {"receivers.file_log.max_log_size": "1MiB"}))
    long, short = ENTRIES["more than 1 MiB"], ENTRIES["of a call"]
    _append(shipper, f"{long}\n{short}\n")

    until(lambda: short in shipper.bodies())
    shipper.stop()

    *pieces, last = shipper.shipped()
    assert len(pieces) > 5
    assert pieces == [damaged(piece["body"]) for piece in pieces]
    assert last == expected(short)


def _append(shipper, text):
    shipper.run.mkdir(exist_ok=True)
    with (shipper.run / "llm_transcript.jsonl").open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("exporters", ["file", "kafka", "clickhouse", "file,kafka,clickhouse"])
def test_exporters_are_switched_by_one_setting(exporters):
    command = [program("collector"), "validate", "--config", CONFIGS / "transcripts.yaml"]

    done = subprocess.run([*command, f"--set=service.pipelines.logs.exporters=[{exporters}]"], check=False)

    assert done.returncode == 0
