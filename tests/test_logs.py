"""Entries as OpenTelemetry log records: the lines of the file, or all there is of them; and never a trouble for the app."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import spanscript
from spanscript import TranscriptProcessor, _guard
from spanscript.config import Settings
from spanscript.transcript import appender, livefile, processor
from spanscript.transcript.check import check
from spanscript.transcript.reader import Transcript

httpx = pytest.importorskip("httpx")

LIVE = "llm_transcript.jsonl"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Kept(LogRecordProcessor):
    """Keeps the records, whatever the release of the SDK calls its exporters."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        self.records.append(log_record.log_record)

    emit = on_emit

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    @property
    def lines(self) -> list[bytes]:
        return [record.body.encode() for record in self.records]

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def logger_provider(*processors: LogRecordProcessor) -> LoggerProvider:
    provider = LoggerProvider(shutdown_on_exit=False)
    for each in processors:
        provider.add_log_record_processor(each)
    return provider


Start = Callable[..., Kept]


@pytest.fixture
def start() -> Iterator[Start]:
    """Instrument with log records on; returns what keeps them."""
    undone = []

    def instrument(*others: LogRecordProcessor, tracers: Any = None, **settings: Any) -> Kept:
        kept = Kept()
        undone.append(
            spanscript.instrument(
                tracers or TracerProvider(shutdown_on_exit=False),
                logger_provider=logger_provider(kept, *others),
                **{"logs": True, **settings},
            )
        )
        return kept

    yield instrument
    for undo in undone:
        undo()


def ask(provider: Any, *said: str, **others: Any) -> httpx.Response:
    messages = [{"role": "user", "content": text} for text in said]
    return httpx.post(
        f"{provider.openai_url}/chat/completions", json={"model": "gpt-5", "messages": messages, **others}
    )


def file_lines(directory: Path) -> list[bytes]:
    return [line for file in sorted(directory.glob("*.jsonl")) for line in file.read_bytes().splitlines()]


def rebuilt(lines: list[bytes], directory: Path) -> list[bytes]:
    """The requests that a reader finds in a file made of the lines; nothing is wrong with that file."""
    directory.mkdir()
    (directory / LIVE).write_bytes(b"".join(line + b"\n" for line in lines))
    assert [str(problem) for problem in check(directory) if not problem.note] == []
    transcript = Transcript(directory)
    bodies = []
    for call in transcript.calls():
        for attempt in sorted(call.requests):
            found = transcript.rebuild(transcript.request(call, attempt))
            assert found.proof == "exact"
            bodies.append(found.content)
    return bodies


def expected(line: bytes) -> dict[str, Any]:
    """What the record of a line says beside it, by the description in docs/format.md."""
    entry = json.loads(line)
    own = {} if entry["type"] == "message" else entry
    keys = {
        "spanscript.writer": entry["writer"],
        "spanscript.seq": entry["seq"],
        "spanscript.hash": entry.get("hash"),
        "llm.call_id": own.get("call_id"),
        "llm.attempt": own.get("attempt"),
        "llm.model": own.get("model"),
    }
    is_trouble = entry["type"] in ("provider_call_error", "gap")
    moment = datetime.strptime(entry["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return {
        "event": f"spanscript.{entry['type']}",
        "time": (moment - EPOCH) // timedelta(microseconds=1) * 1000,
        "severity": (17, "ERROR") if is_trouble else (9, "INFO"),
        "trace_id": entry.get("trace_id", ""),
        "span_id": entry.get("span_id", ""),
        "attributes": {name: value for name, value in keys.items() if value is not None},
        "body": line.decode(),
    }


def told(record: Any) -> dict[str, Any]:
    return {
        "event": record.event_name,
        "time": record.timestamp,
        "severity": (record.severity_number.value, record.severity_text),
        "trace_id": f"{record.trace_id:032x}" if record.trace_id else "",
        "span_id": f"{record.span_id:016x}" if record.span_id else "",
        "attributes": dict(record.attributes),
        "body": record.body,
    }


@pytest.mark.parametrize("with_file", [True, False])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_receiver_gets_every_entry(protocol, with_file, provider, tmp_path):
    pytest.importorskip("grpc")
    pytest.importorskip("openai")
    pytest.importorskip("anthropic")
    from instrumented import APP, run_app
    from otlp import RECEIVERS

    provider.script("429 retry-after-ms=5", "ok", "ok", "ok", "ok", "ok", "500 retry-after-ms=5", "500")
    with RECEIVERS[protocol]() as received:
        run_app(
            APP,
            provider,
            tmp_path,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_LOGS_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            SPANSCRIPT_LOGS="1",
            **({} if with_file else {"SPANSCRIPT_DIR": ""}),
        )

    records = received.records
    lines = [record["body"].encode() for record in records]
    assert {record.pop("scope") for record in records} == {"spanscript"}
    assert [expected(line) for line in lines] == records
    assert {resource["service.name"] for resource in received.resources} == {"the-app"}
    assert {r["span_id"] for r in records if r["span_id"]} == received.attempts.keys()
    assert (tmp_path / "run").exists() == with_file
    if with_file:
        assert lines == file_lines(tmp_path / "run")
    assert rebuilt(lines, tmp_path / "told") == [request.body for request in provider.llm_requests]


STRANGE = {
    "members of a message with names of ours": {
        "messages": [{"role": "user", "model": "x", "call_id": [], "attempt": "1", "content": "a"}]
    },
    "halves of characters": {"messages": [{"role": "user", "content": "\ud800"}]},
    "halves of characters in the model": {"model": "\ud800", "messages": []},
    "characters that end lines elsewhere": {
        "messages": [{"role": "user", "content": "a\r\n\u2028\u0085\x00b"}]
    },
    "a number of many digits": b'{"model":"m","messages":[{"role":"user","n":' + b"1" * 5000 + b"}]}",
    "more than a number holds": b'{"model":"m","messages":[{"role":"user","n":1e400}]}',
    "line breaks": b'{"model":"m",\r\n"messages":\n[{"role":"user","content":"a"}]}',
}


@pytest.mark.parametrize("with_file", [True, False])
@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
def test_whatever_is_asked(body, with_file, provider, start, tmp_path):
    log_encoder = pytest.importorskip("opentelemetry.exporter.otlp.proto.common._log_encoder")
    sent = body if isinstance(body, bytes) else json.dumps({"model": "gpt-5", **body}).encode()
    exported = Encoded(log_encoder)
    kept = start(SimpleLogRecordProcessor(exported), directory=str(tmp_path / "run") if with_file else None)

    httpx.post(f"{provider.openai_url}/chat/completions", content=sent)

    assert [entry["type"] for entry in kept.entries][-2:] in (
        ["provider_call_request", "provider_call_response"],
        ["provider_call_request", "provider_call_error"],
    )
    if with_file:
        assert kept.lines == file_lines(tmp_path / "run")
    for record in kept.records:
        if "\ud800" not in json.loads(record.body).get("model", ""):
            assert told(record) == expected(record.body.encode())
    assert exported.count == len(kept.records)


def test_bodies_as_deep_as_can_be_read(start, tmp_path):
    kept = start(directory=str(tmp_path))
    answer = {"choices": [{"message": {"role": "assistant", "content": "a"}}]}
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer)))

    for levels in range(800, 1000):
        body = b'{"model":"m","messages":[{"n":%b%b}]}' % (b"[" * levels, b"]" * levels)
        client.post("https://api.openai.com/v1/chat/completions", content=body)

    requests = [line for line in kept.lines if b'"type":"provider_call_request"' in line]
    assert 100 < len(requests) < 200  # beyond the interpreter's limit it is no request that we know
    assert kept.lines == file_lines(tmp_path)


class Encoded:
    """An exporter that encodes as the one for OTLP does."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.count = 0

    def export(self, batch: Any) -> None:
        self.encoder.encode_logs(batch).SerializeToString()
        self.count += len(batch)

    def shutdown(self) -> None:
        pass


def sizes_of(provider: Any, kept: Kept, turns: int) -> list[int]:
    """Bytes of all bodies after each turn of a conversation, with all that was said before in each."""
    sizes = []
    for turn in range(turns):
        ask(provider, *(f"{i:03}" + "x" * 1000 for i in range(turn + 1)))
        sizes.append(sum(map(len, kept.lines)))
    return sizes


def test_bytes_grow_with_what_is_new(provider, start, tmp_path):
    kept = start()

    sizes = sizes_of(provider, kept, 50)

    said = provider.llm_requests
    assert sizes[-1] < sum(len(request.body) for request in said) / 7
    first, second = sizes[24] - sizes[4], sizes[49] - sizes[29]
    assert abs(second / first - 1) < 0.05
    assert rebuilt(kept.lines, tmp_path / "told") == [request.body for request in said]


def test_begun_anew_where_a_file_would_be_rotated(provider, start, tmp_path):
    kept = start(max_bytes=20_000)

    sizes_of(provider, kept, 20)

    entries = kept.entries
    opened = [at for at, entry in enumerate(entries) if entry["type"] == "transcript_open"]
    assert len(opened) > 2
    assert [entry["seq"] for entry in entries] == list(range(len(entries)))
    assert len({entry["writer"] for entry in entries}) == 1
    parts = [kept.lines[at:end] for at, end in zip(opened, [*opened[1:], None], strict=True)]
    found = [body for at, part in enumerate(parts) for body in rebuilt(part, tmp_path / str(at))]
    assert found == [request.body for request in provider.llm_requests]


IMAGE = "data:image/png;base64," + "QUJD" * 10_000


@pytest.mark.parametrize("with_file", [True, False])
def test_large_base64_leaves_the_line_only_if_there_is_a_place_for_it(with_file, provider, start, tmp_path):
    kept = start(directory=str(tmp_path / "run") if with_file else None)

    ask(provider, IMAGE)

    (message,) = [line for line in kept.lines if b'"type":"message"' in line]
    assert (b"$blob{" in message, IMAGE.encode() in message) == (with_file, not with_file)
    if not with_file:
        assert rebuilt(kept.lines, tmp_path / "told") == [provider.llm_requests[0].body]


PROCESS = """
import os, sys, httpx, spanscript
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor

class Print(LogRecordProcessor):
    def on_emit(self, record):
        os.write(1, record.log_record.body.encode() + b"\\n")
    emit = on_emit
    def shutdown(self):
        pass
    def force_flush(self, timeout_millis=0):
        return True

def listen():
    provider = LoggerProvider()
    provider.add_log_record_processor(Print())
    _logs.set_logger_provider(provider)

def ask(*said):
    messages = [{"role": "user", "content": text} for text in said]
    httpx.post(os.environ["PROVIDER"] + "/chat/completions", json={"model": "gpt-5", "messages": messages})

spanscript.instrument()
"""


def lines_said_by(code: str, provider: Any, tmp_path: Path, **environment: str) -> list[bytes]:
    """What a process of its own prints: the bodies of its records."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANSCRIPT_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS + code],
        cwd=tmp_path,
        env={**clean, "PROVIDER": provider.openai_url, "SPANSCRIPT_LOGS": "1", **environment},
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert b"spanscript" not in done.stderr  # the oldest SDK warns of itself
    return done.stdout.splitlines()


@pytest.mark.parametrize("with_file", [True, False])
def test_a_forked_child_is_another_writer(with_file, provider, tmp_path):
    code = """
listen()
ask("a")
if not os.fork():
    ask("a", "b")
    os._exit(0)
os.wait()
ask("a", "b", "c")
"""
    lines = lines_said_by(code, provider, tmp_path, **({"SPANSCRIPT_DIR": "run"} if with_file else {}))

    if with_file:
        assert lines == file_lines(tmp_path / "run")
    entries = [json.loads(line) for line in lines]
    parent, child = dict.fromkeys(entry["writer"] for entry in entries)
    for writer, asked in ((parent, ["a", "b", "c"]), (child, ["a", "b"])):
        own = [entry for entry in entries if entry["writer"] == writer]
        assert own[0]["type"] == "transcript_open"
        assert [entry["seq"] for entry in own] == list(range(len(own)))
        assert [entry["content"] for entry in own if entry["type"] == "message"] == asked
    assert rebuilt(lines, tmp_path / "told") == [request.body for request in provider.llm_requests]


def test_a_provider_that_is_set_later_gets_what_comes_after(provider, tmp_path):
    lines = lines_said_by('ask("a")\nlisten()\nask("a", "b")\n', provider, tmp_path)

    assert json.loads(lines[0])["type"] == "transcript_open"
    assert json.loads(lines[0])["seq"] == 0
    assert rebuilt(lines, tmp_path / "told") == [provider.llm_requests[1].body]


def test_with_a_file_a_later_provider_gets_the_lines_from_then_on(provider, tmp_path):
    lines = lines_said_by('ask("a")\nlisten()\nask("a", "b")\n', provider, tmp_path, SPANSCRIPT_DIR="run")

    written = file_lines(tmp_path / "run")
    assert 0 < len(lines) < len(written)
    assert lines == written[-len(lines) :]


def disabled(monkeypatch: pytest.MonkeyPatch) -> LoggerProvider:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider = logger_provider(Kept())
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    return provider


NOBODY: dict[str, Callable[[pytest.MonkeyPatch], Any]] = {
    "no provider": lambda _: None,
    "a provider that does nothing": lambda _: NoOpLoggerProvider(),
    "an SDK that is off": disabled,
}


@pytest.mark.parametrize("nobody", NOBODY)
def test_where_nobody_listens_nothing_is_made(nobody, provider, monkeypatch, recording):
    recording.undo()
    logs = NOBODY[nobody](monkeypatch)
    monkeypatch.delattr(processor, "request_entries")  # so that it would fail
    undo = spanscript.instrument(recording.provider, logger_provider=logs, logs=True)
    try:
        is_on = TranscriptProcessor.is_on()
        assert ask(provider, "a").status_code == 200
    finally:
        undo()

    assert not is_on
    assert len(recording.attempts) == 1


def test_an_entry_without_a_span_is_not_joined_to_that_of_the_app(provider, start):
    tracers = TracerProvider(shutdown_on_exit=False)
    kept = start(tracers=tracers)

    with tracers.get_tracer("app").start_as_current_span("work"):
        ask(provider, "a")

    assert "span_id" not in kept.entries[0]
    assert [told(record) for record in kept.records] == [expected(line) for line in kept.lines]


def test_a_trace_that_is_not_sampled_is_told_all_the_same(provider, start):
    kept = start(tracers=TracerProvider(ALWAYS_OFF, shutdown_on_exit=False))

    ask(provider, "a")

    assert [entry["type"] for entry in kept.entries][-1] == "provider_call_response"
    assert {record.trace_flags for record in kept.records[1:]} == {1}


def test_nothing_more_once_it_is_undone(provider):
    kept = Kept()
    undo = spanscript.instrument(
        TracerProvider(shutdown_on_exit=False), logger_provider=logger_provider(kept), logs=True
    )
    ask(provider, "a")
    undo()
    count = len(kept.records)
    ask(provider, "b")

    assert count == len(kept.records) > 0


def test_beside_a_processor_of_the_app_for_the_same_directory(provider, start, tmp_path):
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(TranscriptProcessor(tmp_path / "run"))
    kept = start(tracers=tracers, directory=str(tmp_path / "run"))

    ask(provider, "a")

    assert kept.lines == file_lines(tmp_path / "run")
    assert len(kept.lines) == 4


class Raises(Kept):
    def on_emit(self, log_record: Any) -> None:
        raise ValueError("a processor that is broken")


class ExportRaises(Encoded):
    def __init__(self) -> None:
        pass

    def export(self, batch: Any) -> None:
        raise ValueError("an exporter that is broken")


BROKEN = {
    "processor": Raises,
    "exporter": lambda: SimpleLogRecordProcessor(ExportRaises()),
    "exporter in the background": lambda: BatchLogRecordProcessor(ExportRaises(), schedule_delay_millis=1),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_does_not_reach_the_app(broken, provider, start, tmp_path, monkeypatch):
    monkeypatch.setattr(_guard, "strict", False)
    kept = start(BROKEN[broken](), directory=str(tmp_path / "run"))

    answers = [ask(provider, *"ab"[: n + 1]) for n in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert kept.lines == file_lines(tmp_path / "run")
    assert rebuilt(kept.lines, tmp_path / "told") == [request.body for request in provider.llm_requests]


def test_an_exporter_that_hangs_holds_nobody_up(provider, start, tmp_path):
    exporting, go_on = threading.Event(), threading.Event()

    class Hangs(ExportRaises):
        def export(self, batch: Any) -> None:
            exporting.set()
            go_on.wait(60)

    start(BatchLogRecordProcessor(Hangs(), schedule_delay_millis=1), directory=str(tmp_path))
    try:
        ask(provider, "a")
        assert exporting.wait(30)
        assert ask(provider, "a", "b").status_code == 200  # while it hangs
        assert not go_on.is_set()
    finally:
        go_on.set()
    assert rebuilt(file_lines(tmp_path), tmp_path / "told") == [r.body for r in provider.llm_requests]


def test_a_processor_that_asks_a_model_makes_no_records_of_that(provider, start):
    class Asks(Kept):
        def on_emit(self, log_record: Any) -> None:
            ask(provider, "what is this?")

    kept = start(Asks())

    ask(provider, "a")

    assert len(kept.records) == 4
    assert len(provider.llm_requests) == 1 + len(kept.records)


def test_an_exporters_own_words_make_no_records_of_ours(provider, start):
    class Complains(ExportRaises):
        def export(self, batch: Any) -> None:
            logging.getLogger("spanscript").warning("cannot send")

    kept = start(SimpleLogRecordProcessor(Complains()))

    ask(provider, "a")

    assert len(kept.records) == 4


class Disk:
    """`os` with a disk that may be full."""

    full = True

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, fd: int, data: bytes) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, data)


def test_what_a_full_disk_does_not_take_is_told_all_the_same(provider, start, tmp_path, monkeypatch):
    disk = Disk()
    monkeypatch.setattr(livefile, "os", disk)
    monkeypatch.setattr(appender, "RETRY_SECONDS", 0)
    kept = start(directory=str(tmp_path / "run"))

    ask(provider, "a")
    unwritten = len(kept.lines)
    disk.full = False
    ask(provider, "a", "b")

    lines = kept.lines
    assert lines[unwritten:] == file_lines(tmp_path / "run")
    assert [told(record) for record in kept.records] == [expected(line) for line in lines]
    assert [entry["seq"] for entry in kept.entries] == list(range(len(lines)))
    assert sum(entry["type"] == "gap" for entry in kept.entries[unwritten:]) == 1
    assert rebuilt(lines[:3], tmp_path / "told") == [provider.llm_requests[0].body]


@pytest.mark.parametrize(
    ("value", "logs", "warnings"),
    [
        ("", False, 0),
        ("0", False, 0),
        ("false", False, 0),
        ("1", True, 0),
        (" True ", True, 0),
        ("yes", False, 1),
        ("otlp", False, 1),
    ],
)
def test_the_variable(value, logs, warnings, caplog):
    assert Settings.from_environment({"SPANSCRIPT_LOGS": value}).logs is logs
    assert len([r for r in caplog.records if "SPANSCRIPT_LOGS" in r.getMessage()]) == warnings
