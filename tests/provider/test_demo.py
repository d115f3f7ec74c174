"""The demo as a user runs it: processes, sockets, an OTLP receiver beside its own."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from spanscript import demo
from spanscript.demo import tree
from spanscript.demo.forward import forwarder
from spanscript.demo.receiver import Receiver, Span, read
from spanscript.demo.run import Plan
from spanscript.demo.run import run as run_agent

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent.py"
UNSET = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "SPANSCRIPT_DIR"}


def _environment(**extra):
    kept = {k: v for k, v in os.environ.items() if k not in UNSET and not k.startswith("OTEL_")}
    return kept | extra


def _demo(*argv, **extra):
    command = [
        sys.executable,
        "-c",
        "import sys; from spanscript.cli import main; sys.exit(main(['demo', *sys.argv[1:]]))",
        *argv,
    ]
    return subprocess.run(
        command, capture_output=True, text=True, env=_environment(**extra), timeout=120, check=False
    )


def _check(directory):
    command = [
        sys.executable,
        "-c",
        "import sys; from spanscript.cli import main; sys.exit(main())",
        "check",
        "--dir",
        directory,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_demo_shows_a_retried_a_streamed_and_a_tool_call(tmp_path):
    done = _demo("--json", "--dir", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    calls = json.loads(done.stdout)["spans"]
    values = [call["attributes"] for call in calls]
    assert len(calls) == 8
    assert len({v["llm.call_id"] for v in values}) == 8
    retried = next(c for c in calls if len(c["children"]) == 3)
    attempts = [c["attributes"] for c in retried["children"]]
    assert [a["http.response.status_code"] for a in attempts] == [429, 529, 200]
    assert [a["llm.status"] for a in attempts] == ["retrying", "retrying", "ok"]
    assert [a.get("llm.retry_after_ms") for a in attempts] == [150, 300, None]
    assert sum(bool(v.get("gen_ai.request.stream")) for v in values) == 2
    assert sum("tool_call" in v.get("gen_ai.response.finish_reasons", ()) for v in values) == 2
    assert all(v["gen_ai.usage.input_tokens"] > 0 for v in values)
    assert _check(str(tmp_path / "run")).returncode == 0


def test_the_demo_prints_a_tree_and_says_what_next(tmp_path):
    done = _demo(TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "waited" in done.stdout
    assert "3 attempts" in done.stdout
    assert "\x1b" not in done.stdout
    directory = done.stdout.rsplit("--dir ", 1)[1].strip()
    assert f"spanscript show last --dir {directory}" in done.stdout
    assert _check(directory).returncode == 0


def test_the_example_needs_nothing_else(tmp_path):
    command = [
        sys.executable,
        "-c",
        "from opentelemetry.instrumentation.auto_instrumentation import run; run()",
    ]
    environment = _environment(SPANSCRIPT_DIR=str(tmp_path), OTEL_TRACES_EXPORTER="console",
                               OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none")  # fmt: skip
    done = subprocess.run([*command, sys.executable, str(EXAMPLE), "retry", "messages"], env=environment,
                          capture_output=True, text=True, timeout=120, check=True)  # fmt: skip
    for attribute in ("llm.call_id", "llm.attempt", "gen_ai.request.model", "gen_ai.usage.input_tokens"):
        assert f'"{attribute}"' in done.stdout
    assert _check(str(tmp_path)).returncode == 0


@pytest.mark.local_model
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="extra `local` is not installed")
def test_the_demo_with_a_real_model(tmp_path):
    done = _demo("--local", "--json", "--dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    calls = [call["attributes"] for call in json.loads(done.stdout)["spans"]]
    assert [c["llm.status"] for c in calls] == ["ok"] * 6
    assert [c["gen_ai.provider.name"] for c in calls].count("anthropic") == 2
    assert sum("tool_call" in c["gen_ai.response.finish_reasons"] for c in calls) == 2
    assert sum(bool(c.get("gen_ai.request.stream")) for c in calls) == 2
    assert all(0 < c["gen_ai.usage.output_tokens"] <= 80 for c in calls)
    assert "21 degrees" in done.stderr
    assert _check(str(tmp_path)).returncode == 0


def test_live_without_a_key_says_so():
    done = _demo("--live")
    assert done.returncode == 2
    assert "OPENAI_API_KEY or ANTHROPIC_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("mode", "missing", "extra"), [("loopback", "openai", "demo"), ("local", "xllamacpp", "local")]
)
def test_what_is_not_installed_is_named(monkeypatch, capsys, mode, missing, extra):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else found(name))
    assert demo.main(mode) == 2
    assert f"{missing} is missing: pip install 'spanscript[{extra}]'" in capsys.readouterr().err


def test_a_failing_agent_fails_the_demo(tmp_path):
    done = run_agent(Plan(("no such scene",)), str(tmp_path), sys.stderr)
    assert done.exit_code == 1


def test_spans_go_on_by_http(tmp_path):
    with Receiver() as collector:
        endpoint = collector.endpoint.removesuffix("/v1/traces")
        done = _demo(
            "--dir",
            str(tmp_path),
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        )
        assert f"Also sent to {collector.endpoint}" in done.stdout
        assert "18 spans" in done.stdout
        assert len(collector.spans) == 18


def test_spans_go_on_by_grpc():
    got = []

    def export(body, context):
        got.append((body, dict(context.invocation_metadata()).get("x-key")))
        return ExportTraceServiceResponse()

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(export, response_serializer=lambda m: m.SerializeToString())
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b",
        }
        send, _ = forwarder(environment)
        send(b"body")
        assert got == [(b"body", "a b")]
    finally:
        server.stop(None).wait()
    with pytest.raises(ConnectionError, match="UNAVAILABLE"):
        send(b"body")


def test_a_collector_that_is_away_is_told_and_harms_nothing():
    def away(_body):
        raise ConnectionError("refused")

    with Receiver(away) as receiver:
        receiver.take(b"")
        assert receiver.trouble == ["refused"]


def _span(name, number, parent=None, start=0, end=1, **attributes):
    return Span(
        span_id=f"{number:016x}", parent_id=parent and f"{parent:016x}", trace_id="t", name=name, scope="spanscript",
        started_ns=start * 10**6, ended_ns=end * 10**6, failed="error" in attributes,
        description=attributes.pop("error", ""), attributes={"llm.call_id": "c", **{k.replace("__", "."): v for k, v in attributes.items()}},
    )  # fmt: skip


def _lines(spans):
    return ["".join(text for text, _ in line).rstrip() for line in tree.lines(tree.grow(spans))]


def test_the_tree():
    call = {
        "gen_ai__operation__name": "chat",
        "gen_ai__usage__input_tokens": 3,
        "gen_ai__usage__output_tokens": 4,
    }
    spans = [
        _span("attempt 1", 3, 1, 250, 300, llm__status="ok", http__response__status_code=200),
        _span("chat m", 1, None, 0, 300, **call, llm__status="ok", llm__attempt=1),
        _span("attempt 0", 2, 1, 0, 50, llm__status="retrying", http__response__status_code=429, llm__retry_after_ms=200, error="Slow down"),
        _span("chat n", 4, 99, 400, 401, gen_ai__operation__name="chat"),
    ]  # fmt: skip
    assert _lines(spans) == [
        "chat m                             ok          300 ms  3 → 4 tokens  2 attempts",
        "  ├─ attempt 0    retrying  429    50 ms  Slow down",
        "  │  waited 200 ms (asked to wait 200 ms)",
        "  └─ attempt 1    ok        200    50 ms",
        "chat n                                 1 ms",
    ]
    shown = tree.as_json(tree.grow(spans))
    assert [c["name"] for c in shown[0]["children"]] == ["attempt 0", "attempt 1"]
    assert (shown[0]["ms"], shown[0]["children"][0]["error"]) == (300, "Slow down")


def test_every_kind_of_value_is_read():
    values = {
        "s": AnyValue(string_value="ü"), "i": AnyValue(int_value=2**40), "b": AnyValue(bool_value=False), "d": AnyValue(double_value=0.5),
        "a": AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)])), "none": AnyValue(), "bytes": AnyValue(bytes_value=b"\x00"),
        "k": AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="x", value=AnyValue(int_value=1))])),
    }  # fmt: skip
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="n", span_id=b"\x01" * 8)
    span.attributes.extend(KeyValue(key=k, value=v) for k, v in values.items())
    (found,) = read(request.SerializeToString())
    assert found.attributes == {
        "s": "ü",
        "i": 2**40,
        "b": False,
        "d": 0.5,
        "a": [1],
        "none": None,
        "bytes": "AA==",
        "k": {"x": 1},
    }
    assert (found.span_id, found.parent_id) == ("01" * 8, None)
