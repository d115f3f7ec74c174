"""What stands in each line: tables of cases."""

import json

import pytest
from asks import IDS, loads, request

from spanscript import _exchange as x
from spanscript.transcript import entries
from spanscript.transcript.entries import Entry, Stamp

STAMP = Stamp("0badcafe", 1_795_330_800_123_456_789)


def line_of(entry, seq=0):
    data = entries.lines([entry], STAMP, seq)
    assert data.count(b"\n") == 1
    assert data.endswith(b"\n")
    return data


def fields_of(entry):
    line = loads(line_of(entry))
    assert list(line)[:4] == ["type", "timestamp", "writer", "seq"]
    return dict(list(line.items())[4:])


def test_envelope():
    assert line_of(Entry("note", b'"a":1'), 7) == (
        b'{"type":"note","timestamp":"2026-11-22T07:00:00.123456Z","writer":"0badcafe","seq":7,"a":1}\n'
    )


def test_numbers_go_on_within_an_event():
    data = entries.lines([Entry("a", b'"x":1')] * 3, STAMP, 41)
    assert [json.loads(line)["seq"] for line in data.splitlines()] == [41, 42, 43]


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (999, "1970-01-01T00:00:00.000000Z"),
        (1000, "1970-01-01T00:00:00.000001Z"),
        (1_795_330_799_999_999_999, "2026-11-22T06:59:59.999999Z"),
        (1_709_164_800_000_000_000, "2024-02-29T00:00:00.000000Z"),
    ],
)
def test_timestamp(time_ns, text):
    assert entries.timestamp(time_ns) == text


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        (b'{"role":"user","content":"hi"}', '"role":"user","content":"hi"'),
        (b'{"content":"hi","role":"user"}', '"content":"hi","role":"user"'),
        (b' {\n\t"role" : "user",\r\n "content": 1.50 }\n', '"role" : "user",   "content": 1.50'),
        (b'{"content":"a\\nb\\u2028"}', '"content":"a\\nb\\u2028"'),
        (b'{"content":"\\ud800"}', '"content":"\\ud800"'),
        (b"{}", ""),
        (b"{ }", ""),
        (b'{"stage":"x"}', '"message":{"stage":"x"}'),
        (b'{"role":"tool","parent":"x"}', '"role":"tool","message":{"role":"tool","parent":"x"}'),
        (b'{"\\u0068ash":1,"role":\n7}', '"role":7,"message":{"\\u0068ash":1,"role": 7}'),
        (b'{"message":{"role":"user"}}', '"message":{"message":{"role":"user"}}'),
        (
            b'{"type":"function_call_output","output":"1"}',
            '"message":{"type":"function_call_output","output":"1"}',
        ),
        (b'"what is this?"', '"role":"user","message":"what is this?"'),
        (b"[1, 2,\n3]", '"message":[1, 2, 3]'),
        (b"null", '"message":null'),
    ],
)
def test_message(raw, rest):
    root = entries.message(raw, "aa", None, request(), IDS)
    ids = f'"trace_id":"{IDS.trace_id}","span_id":"{IDS.span_id}",'
    assert root.fields.decode() == ids + '"hash":"aa","parent":null' + (
        rest and "," + rest.replace("\t", "\t")
    )
    loads(line_of(root))
    inner = entries.message(raw, "bb", "aa", request(iteration=0, stage='a "b"'), None)
    where = '"iteration":0,"stage":"a \\"b\\""'
    assert inner.fields.decode() == f'"hash":"bb","parent":"aa",{where}' + (rest and "," + rest)


def test_system_prompt_and_tools():
    assert entries.system_prompt(b'[{"type": "text",\n"text": "x"}]', "aa", request(), None).fields == (
        b'"hash":"aa","content":[{"type": "text", "text": "x"}]'
    )
    staged = entries.tool_schemas(b"[\n]", "bb", request(iteration=1, stage="plan"), None)
    assert staged.fields == b'"hash":"bb","iteration":1,"stage":"plan","schemas":[ ]'


@pytest.mark.parametrize(
    ("entry", "fields"),
    [
        (entries.gap("ENOSPC", 3), {"reason": "ENOSPC", "dropped": 3}),
        (entries.transcript_open("shop"), {"version": 1, "service_name": "shop"}),
    ],
)
def test_own_lines(entry, fields):
    assert fields.items() <= fields_of(entry).items()


def test_open_leaves_out_what_is_not_known():
    assert list(fields_of(entries.transcript_open(None))) == [
        "version",
        "pid",
        "host",
        "spanscript",
        "python",
    ]


CALL = {"call_id": "01900000-0000-7000-8000-000000000000", "attempt": 0}
SENT = {"provider": "openai", "dialect": "chat_completions", "client": "openai"}
URL = {"url": "https://api.example/v1/chat/completions"}


def asked(body, **fields):
    made = request(body=body, **fields)
    refs = entries.References(context="cc" if made.split.items else None)
    return fields_of(entries.provider_call_request(made, made.split, refs, "5a", None))


def test_request_least():
    assert asked(b'{"model":"m","messages":[]}') == {
        **CALL, **SENT, **URL, "stream": False, "tool_format": "text", "message_count": 0,
        "body": {"model": "m", "messages": []}, "body_bytes": 27, "body_sha256": "5a",
    }  # fmt: skip


def test_request_most_in_order():
    made = request(
        [{"role": "user"}],
        model="m", stream=True, tool_count=2, prompt_chars=0, iteration=3, stage="plan",
        params={"max_tokens": 5, "temperature": 0, "tool_choice": {"type": "auto"}, "top_k": 1},
    )  # fmt: skip
    refs = entries.References("s", "t", "c")
    fields = fields_of(entries.provider_call_request(made, made.split, refs, "5a", IDS))
    assert list(fields) == [
        "trace_id",
        "span_id",
        "call_id",
        "attempt",
        "iteration",
        "stage",
        "model",
        "provider",
        "dialect",
        "client",
        "url",
        "stream",
        "max_tokens",
        "temperature",
        "tool_choice",
        "tool_format",
        "native_tool_count",
        "message_count",
        "prompt_chars",
        "system_prompt",
        "tool_schemas",
        "context",
        "body",
        "body_bytes",
        "body_sha256",
    ]
    assert (fields["temperature"], fields["prompt_chars"], fields["tool_format"]) == (0, 0, "native")


OWN = b'{"a":{"$transcript":"context"},"messages":[ITEMS]}'


@pytest.mark.parametrize(
    ("body", "items", "verbatim"),
    [
        (b'{"messages":[ITEMS]}', [b"{}"], False),
        (b'{"user":"$transcript","messages":[ITEMS]}', [b"{}"], False),
        (b'{"user":"\\u0024transcript","messages":[ITEMS]}', [b"{}"], False),
        (b'{"a":{"$transcript":1,"b":2},"messages":[ITEMS]}', [b"{}"], False),
        (b'{"messages":[ITEMS]}', [b'{"content":{"$transcript":"context"}}'], False),
        (OWN, [b"{}"], True),
        (OWN, [], True),
        (OWN.replace(b"$", b"\\u0024"), [b"{}"], True),
        (OWN.replace(b"script", b"\\u0073cript"), [b"{}"], True),
        (OWN.replace(b'"a"', b'"messages"'), [b"{}"], True),
        (b'{"a":[[{"b":{"$transcript" :\nnull}}]],"messages":[ITEMS]}', [b"{}"], True),
        (b'{"a":{"$transcript":1,"$transcript":2},"messages":[ITEMS]}', [b"{}"], True),
    ],
)
def test_verbatim(body, items, verbatim):
    made = request(items, body=body)
    fields = asked(body, items=items)
    assert fields.get("verbatim", False) is verbatim
    assert fields.get("context") == ("cc" if items else None)
    assert fields["body"] == json.loads(made.content if verbatim else made.split.skeleton)


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"plain\r\n\x00\x7f\xe2\x80\xa8", {"body_text": "plain\r\n\x00\x7f\u2028"}),
        (b"", {"body_text": ""}),
        (b"\xff\xfe", {"body_base64": "//4="}),
        (b'{"a":NaN}', {"body_text": '{"a":NaN}'}),
    ],
)
def test_unsplit(content, fields):
    got = fields_of(entries.unsplit_request(request(content=content, split=None), "5a", None))
    assert got == {
        **CALL, **SENT, **URL, "stream": False, "tool_format": "text", **fields,
        "body_bytes": len(content), "body_sha256": "5a",
    }  # fmt: skip


def reply(*parts, more=(), **fields):
    first = x.Choice(x.Message("assistant", parts), "stop")
    return x.Reply(choices=(first, *more), **fields)


CALL_PART = x.ToolCall("c1", "f", '{"a": 1}')
SEARCH = x.ToolCall("s1", "web_search", {"q": 1}, server_side=True)
FOUND = x.ToolResult("s1", [1], server_side=True)
SECOND = x.Choice(x.Message("assistant", (x.Text("two"), CALL_PART)), "length", 1)


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (None, {}),
        (x.Reply(), {}),
        (reply(x.Text("a"), x.Text("b")), {"text": "ab"}),
        (reply(x.Text("")), {"text": ""}),
        (reply(x.Thinking("t"), x.Text("a"), CALL_PART),
         {"text": "a", "thinking": "t", "tool_calls": [{"id": "c1", "name": "f", "arguments": '{"a": 1}'}]}),
        (reply(x.ToolCall(None, "f", {})), {"tool_calls": [{"name": "f", "arguments": {}}]}),
        (reply(x.Refusal("no")), {"refusal": "no"}),
        (reply(x.Text("a"), x.Other({"type": "new"})),
         {"text": "a", "parts": [{"type": "text", "text": "a"}, {"type": "other", "value": {"type": "new"}}]}),
        (reply(CALL_PART, x.Text("a")),
         {"text": "a", "tool_calls": [{"id": "c1", "name": "f", "arguments": '{"a": 1}'}],
          "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a": 1}'}, {"type": "text", "text": "a"}]}),
        (reply(SEARCH, FOUND),
         {"tool_calls": [{"id": "s1", "name": "web_search", "arguments": {"q": 1}, "server_side": True}],
          "parts": [{"type": "tool_call", "id": "s1", "name": "web_search", "arguments": {"q": 1}, "server_side": True},
                    {"type": "tool_result", "id": "s1", "result": [1], "server_side": True}]}),
        (reply(x.Media("image", data="AA==")), {"parts": [{"type": "media", "modality": "image", "data": "AA=="}]}),
        (reply(x.Text("one"), more=(SECOND,)),
         {"text": "one", "choices": [
             {"index": 0, "role": "assistant", "text": "one", "finish_reason": "stop"},
             {"index": 1, "role": "assistant", "text": "two", "finish_reason": "length",
              "tool_calls": [{"id": "c1", "name": "f", "arguments": '{"a": 1}'}]}]}),
        (reply(x.Text("\ud800")), {"text": "\ud800"}),
        (reply(x.ToolCall("c", "f", {"a": float("nan"), "b": "\ud800"})),
         {"tool_calls": [{"id": "c", "name": "f", "arguments": {"a": None, "b": "\ud800"}}]}),
        (reply(x.ToolCall("c", "f", 2**70)), {"tool_calls": [{"id": "c", "name": "f", "arguments": 2**70}]}),
        (x.Reply(response_id="r", model="m-1", usage=x.Usage(0, 5, 0, reasoning_tokens=2)),
         {"model": "m-1", "response_id": "r", "input_tokens": 0, "output_tokens": 5, "cache_read_tokens": 0, "reasoning_tokens": 2}),
        (x.Reply(extras={"service_tier": "flex"}), {"extras": {"service_tier": "flex"}}),
    ],
)  # fmt: skip
def test_answer(answer, fields):
    times = {"started_ns": 10**9, "ended_ns": 2_234_567_890, "first_chunk_ns": 1_000_400_000}
    well = x.Outcome("ok", **times, http_status=200, reply=answer)
    finish = (
        {"finish_reasons": [c.finish_reason for c in answer.choices]} if answer and answer.choices else {}
    )
    got = fields_of(entries.provider_call_outcome(request(), well, None))
    rest = {"response_ms": 1234.568, "first_chunk_ms": 0.4, "http_status": 200}
    assert got == {**CALL, **fields, **finish, **rest}
    cut = x.Outcome("abandoned", **times, reply=answer, truncated=True)
    got = fields_of(entries.provider_call_outcome(request(), cut, None))
    rest = {"status": "abandoned", "response_ms": 1234.568, "first_chunk_ms": 0.4, "truncated": True}
    assert got == {**CALL, **fields, **finish, **rest}


def test_error_in_order():
    failed = x.Outcome(
        "retrying", 0, 5_000_000, http_status=429, failure=x.Failure("429", "slow down"), retryable=True,
        retry_after_ms=0, reply=reply(x.Text("a")),
    )  # fmt: skip
    entry = entries.provider_call_outcome(request(iteration=2), failed, IDS)
    assert entry.type == "provider_call_error"
    fields = fields_of(entry)
    assert list(fields) == [
        "trace_id",
        "span_id",
        "call_id",
        "attempt",
        "iteration",
        "status",
        "retryable",
        "error_type",
        "error_message",
        "http_status",
        "retry_after_ms",
        "response_ms",
        "text",
        "finish_reasons",
    ]
    assert (fields["retry_after_ms"], fields["response_ms"]) == (0, 5.0)
