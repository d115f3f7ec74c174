"""`SPANSCRIPT_LOGS` through the real collector: the same records that the collector makes of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from instrumented import APP, run_app
from otlp import RECEIVERS
from shipping import Shipper, lines, records_of
from stack import until

from spanscript.transcript.check import check

ANSWERS = ("429 retry-after-ms=5", "ok", "ok", "ok", "ok", "ok", "500 retry-after-ms=5", "500")
"""What comes after them goes well."""

ENDED = ("spanscript.provider_call_response", "spanscript.provider_call_error")


def _sent(collector):
    """What arrived of the app, by writer and number: the exporter may send in any order."""
    found = [r for r in records_of(collector.lines("resourceLogs")) if r["event"].startswith("spanscript.")]
    return sorted(found, key=lambda record: record["attributes"]["spanscript.seq"])


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_the_process_sends_what_the_file_has(protocol, provider, local, started, tmp_path):
    provider.script(*ANSWERS)

    entries = run_app(
        APP,
        provider,
        tmp_path,
        OTEL_LOGS_EXPORTER="otlp",
        SPANSCRIPT_LOGS="1",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT=local.endpoint(protocol),
    )

    sent = until(lambda: len(found := _sent(local)) == len(entries) and found)
    shipper = started(Shipper(tmp_path))
    shipped = until(lambda: len(found := shipper.shipped()) == len(entries) and found)
    assert [_without_resource(record) for record in sent] == [_without_resource(r) for r in shipped]
    assert [record["body"] for record in sent] == lines(tmp_path / "run")
    assert {record["resource"]["service.name"] for record in sent} == {"the-app"}


def _without_resource(record):
    return {name: value for name, value in record.items() if name != "resource"}


def test_without_a_file_the_bodies_are_a_transcript(provider, local, tmp_path):
    run_app(
        APP,
        provider,
        tmp_path,
        OTEL_LOGS_EXPORTER="otlp",
        SPANSCRIPT_LOGS="1",
        SPANSCRIPT_DIR="",
        OTEL_EXPORTER_OTLP_ENDPOINT=local.endpoint("grpc"),
    )

    def all_of_it():
        sent = _sent(local)
        ended = [r for r in sent if r["event"] in ENDED]
        return len(ended) == len(provider.llm_requests) and sent

    sent = until(all_of_it)
    _write(tmp_path / "rebuilt", [record["body"] for record in sent])
    assert not (tmp_path / "run").exists()
    assert list(check(tmp_path / "rebuilt")) == []


def _write(directory: Path, bodies: list[str]) -> None:
    directory.mkdir()
    (directory / "llm_transcript.jsonl").write_text("".join(f"{body}\n" for body in bodies))
