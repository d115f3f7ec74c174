"""Bytes → events and JSON, whatever bytes."""

import contextlib
import gzip
import importlib
import json
import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanscript import _wire
from spanscript._dialects import DIALECTS
from spanscript._eventstream import NO_FRAME
from spanscript._exchange import Event, Failure, Reply, Text, Usage
from spanscript._inflate import inflate

SSE = "text/event-stream"
CHAT = DIALECTS["chat_completions"]
TEXT = b'{"greeting":"gr\xc3\xbc\xc3\x9f dich"}' * 500


def library(*names):
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


BROTLI, ZSTD = library("brotli", "brotlicffi"), library("compression.zstd", "backports.zstd", "zstandard")


def bare_deflate(data):
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


ENCODED = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    " GZip ": gzip.compress,
    "deflate": zlib.compress,
    "deflate ": bare_deflate,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
    "identity,deflate,": zlib.compress,
    "br": BROTLI and BROTLI.compress,
    "zstd": ZSTD and ZSTD.compress,
}
MISSING = {"br": BROTLI is None, "zstd": ZSTD is None}
encodings = pytest.mark.parametrize(
    "encoding",
    [
        pytest.param(e, marks=pytest.mark.skipif(MISSING.get(e, False), reason="library not installed"))
        for e in ENCODED
    ],
)


@encodings
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_inflate(encoding, size):
    data = ENCODED[encoding](TEXT)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]

    assert inflate([b"", *chunks, b""], encoding) == TEXT


@encodings
def test_inflate_what_came(encoding):
    data = ENCODED[encoding](TEXT)
    for end in range(0, len(data), max(1, len(data) // 50)):
        assert TEXT.startswith(inflate([data[:end]], encoding))


@encodings
def test_inflate_garbage(encoding):
    data = bytearray(ENCODED[encoding](TEXT))
    for at in range(0, len(data), max(1, len(data) // 50)):
        garbled = bytes(data[:at]) + b"\xff\x00garbage" + bytes(data[at:])
        assert isinstance(inflate([garbled], encoding), bytes)


@encodings
def test_bombs_stop(encoding):
    bomb = ENCODED[encoding](bytes(50 * 2**20))

    assert inflate([bomb], encoding, limit=2**20) == bytes(2**20)


def test_gzip_in_several_members():
    assert inflate([gzip.compress(b"a") + gzip.compress(b"b")], "gzip") == b"ab"


def test_unknown_encoding():
    assert inflate([b"x"], "compress") == b""


# --- SSE

ONE = Event({"a": 1})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b'data: {"a":1}\n\n', [ONE]),
        (b'data:{"a":1}\r\n\r\n', [ONE]),
        (b'data: {"a":1}\r\r', [ONE]),
        (b'\xef\xbb\xbfdata: {"a":1}\n\n', [ONE]),
        (b': comment\n\n:\ndata: {"a":1}\n: more\n\n\n\n', [ONE]),
        (b'data: {"a":\ndata: 1}\n\n', [ONE]),
        (b'event: e\ndata: {"a":1}\nid: 7\nretry: 3\n\n', [Event({"a": 1}, "e")]),
        (b'data: {"a":1}\nevent: e\n\n', [Event({"a": 1}, "e")]),
        (b"event: e\n\nevent:\ndata: 1\n\n", [Event(1)]),
        (b"data: [DONE]\n\n", [Event("[DONE]")]),
        (b"data: [DONE]", [Event("[DONE]")]),
        (b"data: no json\n\n", [Event("no json")]),
        (b"data: \xff\xfe\n\n", [Event("\ufffd\ufffd")]),
        (b"data\n\n", [Event("")]),
        (b'data: {"a":1}', [ONE]),
        (b'data: {"a":1}\n', [ONE]),
        (b'data: {"a":1}\n\ndata: {"a', [ONE]),
        (b"event: message_stop\ndata: {", []),
        ('data: "\u2028\u0085"\n\n'.encode(), [Event("\u2028\u0085")]),
        (b'data: "\\ud83d"\n\n', [Event("\ud83d")]),
        (b"data: " + b"[" * 10**5 + b"\n\n", [Event("[" * 10**5)]),
        (b"data: 123456789012345678901234567890\n\n", [Event(123456789012345678901234567890)]),
    ],
)
def test_sse(data, expected):
    assert list(_wire.events(data, SSE)) == expected


@pytest.mark.parametrize(
    "content_type", ["text/event-stream", "Text/Event-Stream; charset=utf-8", "", "text/plain"]
)
def test_mislabelled_streams_are_streams(content_type):
    assert list(_wire.events(b'data: {"a":1}\n\n', content_type)) == [ONE]


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", ""])
def test_bodies_are_not_streams(content_type):
    assert list(_wire.events(b'{"data":\n1}', content_type)) == []


# --- One JSON array that grows


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", SSE, ""])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'[{"a":1}\n,\r\n{"a":1}\n]\n', [ONE, ONE]),
        (b'\xef\xbb\xbf [ \n{"a":1},{"a":1}]', [ONE, ONE]),
        (b'[{"a":1},{"a":1}', [ONE, ONE]),
        (b'[{"a":1},{"a":', [ONE]),
        (b'[{"a":1},', [ONE]),
        (b'\xef\xbb\xbf[{"a":1},oops,{"a":1}]', [ONE]),
        (b'[{"a":1},3', [ONE, Event(3)]),
        (b'[{"a":"\xff', []),
        (b'[{"a":' * 10**5, []),
        (b"[", []),
        (b"[]", []),
        (b"[[1]]", []),
    ],
)
def test_array(content_type, data, expected):
    assert list(_wire.events(data, content_type)) == expected


def test_array_of_what_does_not_stream():
    """The answers of other APIs can be arrays of objects too."""
    reply = _wire.read(DIALECTS["embeddings"], "application/json", b'[{"embedding":[1]}]', 200)

    assert reply.complete
    assert not _wire.read(DIALECTS["embeddings"], "application/json", b'[{"embedding":[1]}', 200).complete


# --- NDJSON


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/jsonl; charset=utf-8"])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":1}\r\n\n{"a":1}\n', [ONE, ONE]),
        (b'{"a":1}\n{"a":1}', [ONE, ONE]),
        (b'{"a":1}\n{"a"', [ONE]),
        (b'oops\n{"a":1}\n', [Event("oops"), ONE]),
        (b"", []),
    ],
)
def test_ndjson(content_type, data, expected):
    assert list(_wire.events(data, content_type)) == expected


# --- AWS event-stream

AWS = "application/vnd.amazon.eventstream"


def header(name, kind, value):
    return bytes([len(name)]) + name.encode() + bytes([kind]) + value


def text(name, value):
    return header(name, 7, struct.pack(">H", len(value)) + value.encode())


def frame(payload, *headers):
    block = b"".join(headers)
    body = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    body += struct.pack(">I", zlib.crc32(body)) + block + payload
    return body + struct.pack(">I", zlib.crc32(body))


PLAIN = frame(b'{"a":1}', text(":event-type", "contentBlockDelta"), text(":message-type", "event"))
CHUNK = frame(b'{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"x"}', text(":event-type", "chunk"))
EVERY_KIND = [
    header("a", 0, b""),
    header("b", 1, b""),
    header("c", 2, b"\1"),
    header("d", 3, b"\0\1"),
    header("e", 4, bytes(4)),
    header("f", 5, bytes(8)),
    header("g", 6, b"\0\3xyz"),
    header("h", 8, bytes(8)),
    header("i", 9, bytes(16)),
]
THROTTLED = {"type": "error", "error": {"type": "throttlingException", "message": "slow down"}}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (PLAIN, [Event({"a": 1}, "contentBlockDelta")]),
        (PLAIN + CHUNK, [Event({"a": 1}, "contentBlockDelta"), Event({"type": "ping"}, "ping")]),
        (CHUNK + PLAIN[:-1], [Event({"type": "ping"}, "ping")]),
        (CHUNK + b"\0\0\0\1\0\0\0\0\0\0\0\0" + CHUNK, [Event({"type": "ping"}, "ping"), NO_FRAME]),
        (CHUNK + struct.pack(">III", 20, 30, 0) + bytes(40), [Event({"type": "ping"}, "ping"), NO_FRAME]),
        (frame(b"{}", *EVERY_KIND, text(":event-type", "e")), [Event({}, "e")]),
        (frame(b"{}", header("?", 99, b""), text(":event-type", "e")), [Event({})]),
        (frame(b'{"bytes":"%%%"}', text(":event-type", "chunk")), [Event("")]),
        (frame(b"", text(":event-type", "e")), [Event("", "e")]),
        (
            frame(b'{"message":"slow down"}', text(":exception-type", "throttlingException")),
            [Event(THROTTLED, "throttlingException")],
        ),
        (
            frame(b"", text(":error-code", "throttlingException"), text(":error-message", "slow down")),
            [Event(THROTTLED, "throttlingException")],
        ),
    ],
)
def test_eventstream(data, expected):
    assert list(_wire.events(data, AWS)) == expected


@given(st.binary(max_size=300), st.sampled_from([SSE, AWS, "application/x-ndjson", "application/json"]))
@example(struct.pack(">III", 2**32 - 1, 0, 0), AWS)
def test_any_bytes(data, content_type):
    list(_wire.events(PLAIN + data, content_type))
    for dialect in DIALECTS.values():
        _wire.read(dialect, content_type, data, None)


# --- Failures, from any body


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            401,
            {
                "error": {
                    "message": "Bad key",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "invalid_api_key",
                }
            },
            ("invalid_api_key", "Bad key"),
        ),
        (
            400,
            {"error": {"message": "No", "type": "invalid_request_error", "code": None}},
            ("invalid_request_error", "No"),
        ),
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            ("overloaded_error", "Overloaded"),
        ),
        (
            429,
            {"error": {"code": 429, "message": "Provider returned error"}},
            ("429", "Provider returned error"),
        ),
        (
            404,
            [{"error": {"code": 404, "message": "no model", "status": "NOT_FOUND"}}],
            ("NOT_FOUND", "no model"),
        ),
        (
            400,
            {
                "object": "error",
                "message": {"detail": [{"msg": "x"}]},
                "type": "invalid_request",
                "code": None,
            },
            ("invalid_request", '{"detail":[{"msg":"x"}]}'),
        ),
        (403, {"message": "not authorized"}, ("403", "not authorized")),
        (400, {"Message": "x", "__type": "ValidationException"}, ("ValidationException", "x")),
        (
            422,
            {"detail": [{"loc": ["body"], "msg": "required"}]},
            ("422", '[{"loc":["body"],"msg":"required"}]'),
        ),
        (503, {"error": "model is loading"}, ("503", "model is loading")),
        (500, {"error": {}}, ("500", '{"error":{}}')),
        (500, {}, ("500", "{}")),
        (500, [], ("500", "[]")),
        (502, "<html>\n  <h1>Bad   Gateway</h1></html>", ("502", "<html> <h1>Bad Gateway</h1></html>")),
        (504, "", ("504", None)),
        (500, "x" * 10**5, ("500", "x" * 500)),
        (500, b"\xff" * 3, ("500", "\ufffd\ufffd\ufffd")),
        (500, 'data: {"error":{"type":"t","message":"m"}}\n\n', ("t", "m")),
        (200, {"error": {"code": "late", "message": "m"}}, ("late", "m")),
        (200, {"error": {"message": "m"}}, ("error", "m")),
        (200, {"error": None}, None),
        (None, {"message": "m"}, None),
        (200, {"detail": "not ours"}, None),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_failures(dialect, status, body, expected):
    data = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )

    assert _wire.read(dialect, "", data, status).failure == (Failure(*expected) if expected else None)


@pytest.mark.parametrize("data", [b"", b"<html>", b'{"choices":[', b"\xff", b"[" * 10**5])
def test_no_json_is_not_complete(data):
    reply = _wire.read(CHAT, "application/json", data, 200)

    assert (reply.complete, reply.failure, reply.choices) == (False, None, ())


def test_an_error_within_a_stream_keeps_what_came():
    data = b'data: {"choices":[{"delta":{"content":"so far"}}]}\n\nevent: error\ndata: {"error":{"code":"c","message":"m"}}\n\n'
    reply = _wire.read(CHAT, SSE, data, 200)

    assert reply.texts(Text) == "so far"
    assert reply.failure == Failure("c", "m")


# --- The terminal marker, in the bytes

STOP = b'data: {"type":"message_stop"}\n'


@pytest.mark.parametrize(
    ("dialect", "lines", "passed"),
    [
        ("chat_completions", b"data: [DONE]\n", True),
        ("chat_completions", b"data:[DONE]\r\n", True),
        ("chat_completions", b"data:  [DONE] \r", True),
        ("chat_completions", b'data: {"x":"data: [DONE]"}\n', False),
        ("chat_completions", b'data: "[DONE]"\n', True),
        ("chat_completions", b": data: [DONE]\n", False),
        ("messages", b"event: message_stop\n" + STOP, True),
        ("messages", STOP, True),
        ("messages", b'data:{"type" : "message_stop", "x": 1 }\n', True),
        ("messages", b"event: message_stop\ndata: {}\n\n", True),
        ("messages", b'data: {"type":"content_block_delta","delta":{"text":"message_stop error"}}\n', False),
        ("messages", b'event: error\ndata: {"type":"error","error":{}}\n', True),
        ("messages", b'event: error\ndata: {"error":{"message":"m"}}\n', True),
        ("responses", b'event: response.completed\ndata: {"type":"response.completed"}\n', True),
        ("responses", b'data: {"type": "response.incomplete"}\n', True),
        ("responses", b'data: {"type":"response.failed"}\nevent: response.failed\n', True),
        ("responses", b'data: {"type":"response.created","response":{"error":null}}\n', False),
        ("responses", b'data: {"type":"response.output_text.delta","delta":"response.completed"}\n', False),
        ("responses", b'data: {"type":"error","message":"m"}\n', True),
    ],
)
def test_marker(dialect, lines, passed):
    assert _wire.Marker(DIALECTS[dialect].terminal).passed(lines) is passed


def test_marker_is_not_seen_before_its_line_ends():
    """The last event of the responses API carries the whole answer: its beginning is not its end."""
    marker = _wire.Marker(DIALECTS["responses"].terminal)
    line = b'data: {"type":"response.completed","response":{"output":[' + b"1," * 10**4 + b"2]}}\n"
    seen = [marker.passed(line[at : at + 100]) for at in range(0, len(line), 100)]

    assert seen == [False] * (len(seen) - 1) + [True]


# --- Whole answers that are no JSON

SPEECH, TRANSCRIPTIONS = DIALECTS["speech"], DIALECTS["transcriptions"]
CLIP = b"ID3\x04" + bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("dialect", "kind", "data", "status", "complete", "failure", "extras"),
    [
        (SPEECH, "audio/mpeg", CLIP, 200, True, None, {"bytes": 1028, "content_type": "audio/mpeg"}),
        (SPEECH, "audio/wav; x=y", CLIP, 200, True, None, {"bytes": 1028, "content_type": "audio/wav"}),
        (SPEECH, "", CLIP, 200, True, None, {"bytes": 1028}),
        (SPEECH, "application/json", CLIP, 200, False, None, {}),
        (SPEECH, "audio/mpeg", b"Bad Gateway", 502, False, "502", {}),
        (SPEECH, "audio/mpeg", b'{"error":{"code":"c"}}', 200, True, "c", {}),
        (CHAT, "audio/mpeg", CLIP, 200, False, None, {}),
    ],
)
def test_raw_answers(dialect, kind, data, status, complete, failure, extras):
    reply = _wire.read(dialect, kind, data, status)

    assert reply.complete == complete
    assert (reply.failure and reply.failure.type) == failure
    assert reply.extras == extras


def test_raw_answers_that_were_not_read_to_the_end():
    assert not _wire.read(SPEECH, "audio/mpeg", CLIP, 200, ended=False).complete
    assert _wire.read(SPEECH, "", b'{"audio_data":"AAAA"}', 200, ended=False).complete


@pytest.mark.parametrize("text", ["42", "null", '"quoted"', "[1]", "Grüße.\n", ""])
def test_text_that_looks_like_json_is_text(text):
    reply = _wire.read(TRANSCRIPTIONS, "text/plain; charset=utf-8", text.encode(), 200)

    assert (reply.texts(Text) or "", reply.complete) == (text, True)


# --- What only AWS's headers tell


@pytest.mark.parametrize(
    ("usage", "headers", "expected"),
    [
        (Usage(), {"x-amzn-bedrock-input-token-count": "5"}, Usage(5)),
        (Usage(), {"x-amzn-bedrock-output-token-count": "7"}, Usage(None, 7)),
        (Usage(3, 4), {"x-amzn-bedrock-input-token-count": "5"}, Usage(3, 4)),
        (Usage(), {"x-amzn-bedrock-input-token-count": "many"}, Usage()),
        (Usage(), {}, Usage()),
    ],
)
def test_counts_in_headers(usage, headers, expected):
    assert _wire.with_headers(Reply(usage=usage), headers).usage == expected


@pytest.mark.parametrize(
    ("failure", "header", "expected"),
    [
        (Failure("429", "slow"), "ThrottlingException:http://x/", Failure("ThrottlingException", "slow")),
        (Failure("ValidationException"), "Other", Failure("ValidationException")),
        (Failure("400"), "", Failure("400")),
        (None, "ThrottlingException", None),
    ],
)
def test_error_named_in_a_header(failure, header, expected):
    assert _wire.with_headers(Reply(failure=failure), {"x-amzn-errortype": header}).failure == expected
