"""Shipped transcripts in ClickHouse (the embedded one): the shipped SQL tells what `spanscript` tells of the files."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import peers
import pytest
from shipping import Shipper, expected, lines
from stack import CONFIGS, until
from test_processes import finish, start

from spanscript.cli import main

pytestmark = pytest.mark.slow
session = pytest.importorskip("chdb.session", reason="no chdb: it is ClickHouse in a wheel of 900 MB")

APP = r"""
import anthropic, base64, httpx
client = openai.OpenAI(base_url=os.environ["PROVIDER"], api_key="k", max_retries=1)
tools = [{"type": "function", "function": {"name": "look", "parameters": {"properties": {"n": {"minimum": 1.0}}}}}]
history = [{"role": "system", "content": "Be brief. é 🌍"}]
for turn in range(4):
    said = {"role": "user", "content": f'"{turn}" \\ / $blob{{}} {{"$transcript":"context"}}'}
    history.append({key: said[key] for key in os.environ["ORDER"].split()})
    answer = client.chat.completions.create(model="gpt-5", messages=history, tools=tools, temperature=0.20)
    history.append(answer.choices[0].message.model_dump(exclude_none=True))
for chunk in client.chat.completions.create(model="gpt-5", messages=history, stream=True): pass
client.responses.create(model="gpt-5", input="alone", instructions="Be nice.")
client.embeddings.create(model="embed-3", input=["a", "b"])
client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "x", "name": "message", "type": "odd"}])
try:
    client.chat.completions.create(model="gpt-5", messages=history, seed=-1, n=1)
except openai.APIError:
    pass
claude = anthropic.Anthropic(base_url=os.environ["PROVIDER"].removesuffix("/v1"), api_key="k")
claude.messages.create(model="claude-5", max_tokens=10, system=[{"type": "text", "text": "Be kind."}],
                       messages=[{"role": "user", "content": "Hello"}], tools=[{"name": "t", "input_schema": {}}])
odd = '{"model":"gpt-5","messages":[{"role":"user","content":"\\u00e9\\/ \\ud800","n":1.0,"m":1E2}],"seed":123456789012345678901234567890,"x":1e400}'
no_json = odd.replace("1e400", "NaN")
spaced = odd.replace(",", ", ").replace("1e400", "1")
for body in (odd, no_json, spaced):
    httpx.post(os.environ["PROVIDER"] + "/chat/completions", content=body, headers={"content-type": "application/json"})
image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(bytes(30_000)).decode()}}
client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": [image]}])
"""
FAULTS = ["429 retry-after-ms=5", *["ok"] * 8, "429 retry-after-ms=5", "500 retry-after-ms=5"]
COLUMNS = {
    "Timestamp": "DateTime64(9)",
    "TraceId": "String",
    "SpanId": "String",
    "ServiceName": "String",
    "Body": "String",
    "LogAttributes": "Map(String, String)",
    "EventName": "String",
}
"""What the exporter fills of `otel_logs`, as far as it matters here."""
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
)


class Database:
    """ClickHouse with a transcript in it."""

    def __init__(self, directory: Path, requests: list[bytes]) -> None:
        self.run = directory / "run"
        self.requests = requests
        """The bodies that the provider received."""
        self.session = session.Session(str(directory / "clickhouse"))

    def load(self, records, file):
        """Make the tables and views, and insert each record twice, as the exporter inserts it."""
        for statement in re.split(r";\n", (CONFIGS / "clickhouse.sql").read_text()):
            if re.sub(r"--.*", "", statement).strip():
                self.session.query(statement)
        file.write_text("\n".join(json.dumps(_row(record)) for record in records))
        structure = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        for _ in range(2):
            self.session.query(
                f"INSERT INTO spanscript.otel_logs ({', '.join(COLUMNS)})"
                f" SELECT * FROM file('{file}', JSONEachRow, '{structure}')"
            )

    def rows(self, query):
        """The rows of an answer; NULL is left out, as `spanscript` leaves out what is not known."""
        answer = str(self.session.query(query, "JSONEachRow"))
        rows = map(json.loads, answer.splitlines())
        return [{key: value for key, value in row.items() if value is not None} for row in rows]


def _row(record):
    at = f"{record['time_us'] // 1_000_000}.{record['time_us'] % 1_000_000:06d}"
    return {
        "Timestamp": at,
        "TraceId": record["trace_id"],
        "SpanId": record["span_id"],
        "ServiceName": record["resource"]["service.name"],
        "Body": record["body"],
        "LogAttributes": {key: str(value) for key, value in record["attributes"].items()},
        "EventName": record["event"],
    }


@pytest.fixture(scope="module", params=["by the collector", "from the file"])
def database(request, shared_provider, tmp_path_factory):
    directory = tmp_path_factory.mktemp("clickhouse")
    collector = request.param == "by the collector"
    if collector and peers.find("collector") is None:
        pytest.skip(peers.why_missing("collector"))
    shared_provider.reset()
    shared_provider.script(*FAULTS)
    # One conversation in two spellings, each by a writer of its own. (In SQL it is ambiguous what one writer spells in two
    # ways in two files; so files are long enough for each of its messages that come so.)
    for order in ("role content", "content role"):
        finish(start(APP, shared_provider, directory, MAX_BYTES="20000", ORDER=order))
    wanted = lines(directory / "run")
    database = Database(directory, [each.body for each in shared_provider.llm_requests])
    try:
        database.load(_shipped(directory, wanted) if collector else map(expected, wanted), directory / "rows")
        yield database
    finally:
        database.session.close()


def _shipped(directory, wanted):
    shipper = Shipper(directory)
    shipper.start()
    try:
        until(lambda: len(shipper.bodies()) >= len(wanted))
    finally:
        shipper.kill()
    return shipper.shipped()


def _told(capsys, *command):
    main([*command, "--json"])
    return json.loads(capsys.readouterr().out)


def test_calls_are_those_of_ls(database, capsys):
    calls = database.rows("SELECT * FROM spanscript.calls ORDER BY timestamp, call_id")

    listed = _told(capsys, "ls", "--dir", str(database.run))
    assert len(calls) > 20
    for call in calls:
        assert call.pop("service_name") == "shipped"
        call["timestamp"] = call["timestamp"].replace(" ", "T") + "Z"
    assert calls == listed
    assert {call["status"] for call in calls} == {"ok", "retries_exhausted"}
    assert max(call["attempts"] for call in calls) == 2


def test_attempts_are_those_of_show(database, capsys):
    for call in database.rows("SELECT call_id FROM spanscript.calls"):
        query = f"SELECT * FROM spanscript.attempts WHERE call_id = '{call['call_id']}' ORDER BY attempt"
        attempts = database.rows(query)

        shown = _told(capsys, "show", call["call_id"], "--dir", str(database.run))["attempt_list"]
        for told in shown:
            told.pop("waited_ms", None)
            told.pop("started_ms")
        keys = {key for told in shown for key in told}
        assert [{key: each[key] for key in keys & each.keys()} for each in attempts] == shown


def test_tokens_are_counted_once(database):
    days = database.rows("SELECT * FROM spanscript.tokens_by_model_and_day")

    entries = map(json.loads, lines(database.run))
    outcomes = [e for e in entries if e["type"] in {"provider_call_response", "provider_call_error"}]
    for kind in TOKENS:
        assert sum(day.get(kind, 0) for day in days) == sum(e.get(kind, 0) for e in outcomes)
    assert sum(day["attempts"] for day in days) == len(outcomes)
    assert {day["model"] for day in days} >= {"gpt-5", "claude-5", "embed-3"}
    assert sum(day["input_tokens"] for day in days) > 100


def test_prompts_are_those_of_show(database, capsys):
    lengths = Counter()
    for call in database.rows(
        "SELECT call_id, max(attempt) AS attempt FROM spanscript.attempts GROUP BY call_id"
    ):
        of_call = f"(call_id = '{call['call_id']}', attempt = {call['attempt']})"
        messages = database.rows(f"SELECT * FROM spanscript.messages{of_call}")
        (request,) = database.rows(f"SELECT * FROM spanscript.requests{of_call}")

        prompt = _told(capsys, "show", call["call_id"], "--dir", str(database.run))["prompt"]
        assert [message["position"] for message in messages] == [*range(len(messages))]
        assert [message["value"] for message in messages] == request["messages"]
        assert [json.loads(message) for message in request["messages"]] == prompt.get("messages", [])
        for key in ("system_prompt", "tool_schemas"):
            assert json.loads(request[key] or "null") == prompt.get(key)
        lengths[len(messages)] += 1
    assert max(lengths) >= 8


def test_bodies_are_what_the_provider_received(database):
    bodies = []
    for each in database.rows("SELECT call_id, attempt FROM spanscript.attempts"):
        of_attempt = f"(call_id = '{each['call_id']}', attempt = {each['attempt']})"
        bodies += database.rows(f"SELECT body, exact, blobs FROM spanscript.requests{of_attempt}")

    exact = Counter(body["body"].encode() for body in bodies if body["exact"])
    others = [body for body in bodies if not body["exact"]]
    assert exact == Counter(body for body in database.requests if not re.search(b"base64,|, ", body))
    assert [body["blobs"] > 0 for body in others].count(True) == 2
    for body in others:
        assert "$blob{" in body["body"] if body["blobs"] else _spaced(body["body"]) in database.requests


def _spaced(body):
    """What an encoder that puts spaces would have made of it: to the app the same, and another SHA-256."""
    return body.replace(", ", ",").replace(",", ", ").encode()


def test_writers_are_the_processes(database):
    opened = [e for e in map(json.loads, lines(database.run)) if e["type"] == "transcript_open"]
    known = {(e["writer"], e["pid"], e["service_name"]) for e in opened}

    writers = database.rows("SELECT * FROM spanscript.writers")

    assert len(opened) > len(writers) == 2
    assert {(each["writer"], each["pid"], each["service_name"]) for each in writers} == known


def test_merged_tables_hold_each_thing_once(database):
    for table in ("entries", "contents"):
        database.session.query(f"OPTIMIZE TABLE spanscript.{table} FINAL")

    entries = database.rows("SELECT line FROM spanscript.entries")
    contents = database.rows("SELECT type, hash, writer FROM spanscript.contents")
    written = map(json.loads, lines(database.run))
    named = {(e["type"], e["hash"], e["writer"]) for e in written if "hash" in e}
    assert sorted(each["line"] for each in entries) == sorted(lines(database.run))
    assert Counter(tuple(each.values()) for each in contents) == Counter(named)
