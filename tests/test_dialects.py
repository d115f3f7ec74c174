"""
Every dialect, every case, every direction.

A case is a folder of `tests/exchanges/<dialect>`: `request.json` to the byte as it is sent, `response.json`
the whole answer (of what is no JSON, with another suffix), `stream.txt` the same answer streamed (JSON
lines: `stream.ndjson`; AWS frames, each a line with its type: `stream.frames`), `expected.json` what both must be read as.
"""

import base64
import json
import random
import struct
from pathlib import Path

import msgspec
import pytest
from exchanges.resolving import resolved, resolved_bytes, taken_apart
from hypothesis import given, settings
from hypothesis import strategies as st

from spanscript import _wire
from spanscript._asked import tool_count
from spanscript._dialects import DIALECTS, find, read_params
from spanscript._exchange import Event, Failure, Text, Thinking, ToolCall
from spanscript._json import dumps, loads, members

ROOT = Path(__file__).parent / "exchanges"
CASES = sorted(p.parent for p in ROOT.glob("*/*/request.json"))
FRAMED = [case for case in CASES if (case / "stream.frames").exists()]
STREAMED = [case for case in CASES if list(case.glob("stream.*")) and case not in FRAMED]
SSE = "text/event-stream; charset=utf-8"
FRAMINGS = {".txt": (SSE, b"\n\n"), ".ndjson": ("application/x-ndjson", b"\n")}
"""Suffix of a stream → its content type, and what ends an event."""
KINDS = {".json": "application/json", ".mp3": "audio/mpeg", ".srt": "text/plain; charset=utf-8"}


def name(case):
    return f"{case.parent.name}-{case.name}"


every_case = pytest.mark.parametrize("case", CASES, ids=name)
every_stream = pytest.mark.parametrize("case", STREAMED, ids=name)
every_marked_stream = pytest.mark.parametrize(
    "case", [c for c in STREAMED if DIALECTS[c.parent.name].terminal], ids=name
)


def dialect_of(case):
    return DIALECTS[case.parent.name]


def plain(value):
    return msgspec.to_builtins(value)


def stream_of(case):
    """A case's stream, its content type, and what ends an event."""
    [path] = case.glob("stream.*")
    return path.read_bytes(), *FRAMINGS[path.suffix]


def whole_reply(case):
    [path] = case.glob("response.*")
    return _wire.read(dialect_of(case), KINDS[path.suffix], path.read_bytes(), 200)


def read_all(case):
    """All that is read of a case, as it is after a trip through JSON."""
    dialect, content = dialect_of(case), (case / "request.json").read_bytes()
    split = taken_apart(dialect, content)
    system = [{"role": "system", "content": json.loads(split.system)}] if split.system else []
    read = {
        "skeleton": json.loads(split.skeleton),
        "tools": json.loads(split.tools or b"null"),
        "params": read_params(dialect, members(content)),
        "messages": [plain(dialect.message(m)) for m in [*system, *map(json.loads, split.items)]],
        "reply": plain(whole_reply(case)),
    }
    if split.tools:
        read["tool_count"] = tool_count(dialect, split)
    return json.loads(json.dumps(read))


def test_there_are_cases():
    assert {case.parent.name for case in CASES} == set(DIALECTS)


@every_case
def test_reads_as_expected(case):
    assert read_all(case) == json.loads((case / "expected.json").read_text("utf-8"))


@every_case
def test_accepts(case):
    body = members((case / "request.json").read_bytes())

    assert dialect_of(case).accepts(body)


@every_case
def test_split_resolves(case):
    content = (case / "request.json").read_bytes()
    split = taken_apart(dialect_of(case), content)

    assert resolved_bytes(split) == content
    assert dumps(resolved(split)) == dumps(json.loads(content))


@every_case
@pytest.mark.parametrize("style", [{"indent": 1}, {"ensure_ascii": False, "separators": (" ,\r\n", "\t: ")}])
def test_split_resolves_however_it_is_spaced(case, style):
    value = json.loads((case / "request.json").read_bytes())
    content = json.dumps(value, **style).encode("utf-8", "surrogatepass")
    if b"\xed\xa0" in content:
        content = json.dumps(value, **{**style, "ensure_ascii": True}).encode()

    assert resolved(taken_apart(dialect_of(case), content)) == value


@every_stream
def test_stream_is_read_as_the_whole(case):
    dialect = dialect_of(case)
    whole = _wire.read(dialect, "application/json", (case / "response.json").read_bytes(), 200)

    data, kind, _ = stream_of(case)

    assert _wire.read(dialect, kind, data, 200) == whole


@every_stream
def test_stream_cut_between_events(case):
    """As far as it came: not complete, no failure of its own, and all text a beginning of the whole text."""
    dialect, (data, kind, end_of_event) = dialect_of(case), stream_of(case)
    data = data.replace(b"\r\n", b"\n")
    blocks = data.split(end_of_event)
    last = next(
        i for i, b in enumerate(blocks) if any(map(dialect.ends, _wire.events(b + end_of_event, kind)))
    )
    whole = dict(texts(_wire.read(dialect, kind, data, 200)))
    for end in range(last):
        reply = _wire.read(dialect, kind, b"".join(b + end_of_event for b in blocks[:end]), 200)
        assert not reply.complete
        assert reply.failure is None
        assert all(whole[at].startswith(begun) for at, begun in texts(reply))


def texts(reply):
    """Text and thinking of each choice, and the arguments of each call that are a string."""
    for choice in reply.choices:
        for kind in (Text, Thinking):
            yield (choice.index, kind), "".join(p.text for p in choice.message.parts if isinstance(p, kind))
        for part in choice.message.parts:
            if isinstance(part, ToolCall):
                said = part.arguments or ""
                yield (
                    (choice.index, part.id),
                    said if isinstance(said, str) else json.dumps(said, ensure_ascii=False),
                )


@every_stream
def test_stream_cut_anywhere(case):
    dialect, (data, kind, _) = dialect_of(case), stream_of(case)
    for end in random.Random(3).sample(range(len(data)), 80):
        reply = _wire.read(dialect, kind, data[:end], 200)
        assert reply.complete == any(dialect.ends(e) for e in _wire.events(data[:end], kind))


def chunked(data, sizes):
    at = 0
    while at < len(data):
        size = next(sizes)
        yield data[at : at + size]
        at += size


@every_marked_stream
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_marker_passes_once_with_the_last_line(case, seed):
    """Byte by byte, or in chunks of any size: at the end of the terminal line, whatever the text quotes."""
    dialect, (data, kind, _) = dialect_of(case), stream_of(case)
    any_size = random.Random(seed)
    sizes = iter(lambda: any_size.randint(1, 200) if seed else 1, 0)
    marker, seen, passed = _wire.Marker(dialect.terminal), b"", None
    for chunk in chunked(data, sizes):
        seen += chunk
        if marker.passed(chunk):
            passed = passed or seen

    assert passed is not None
    assert _wire.read(dialect, kind, passed, 200) == _wire.read(dialect, kind, data, 200)
    if seed is None:
        without_last_line = passed[: passed.rstrip(b"\r\n").rfind(b"\n")]
        assert not _wire.read(dialect, kind, without_last_line, 200).complete


@pytest.mark.parametrize("case", [c for c in STREAMED if c.parent.name == "responses"], ids=name)
def test_items_are_put_together_without_the_last_event(case):
    """The same parts as the whole, from the items alone, and from the deltas alone."""
    dialect = dialect_of(case)
    events = list(_wire.events((case / "stream.txt").read_bytes(), SSE))
    whole = dialect.decode(dialect.assemble(events))
    for left_out in (
        ("response.output_item.done",),
        ("response.content_part.done", "response.output_item.done"),
    ):
        kept = [e for e in events if not dialect.ends(e) and kind(e) not in left_out]
        if any(kind(e).endswith("_call.completed") for e in events):
            kept = [e for e in events if not dialect.ends(e)]
        reply = dialect.decode(dialect.assemble(kept))
        assert reply.choices[0].message == whole.choices[0].message
        assert reply.finish_reasons == ()


def kind(event):
    return event.data["type"] if isinstance(event.data, dict) else ""


# --- Google's framing of the same streams: one array


@pytest.mark.parametrize("case", [c for c in STREAMED if c.parent.name == "generate_content"], ids=name)
@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", SSE, ""])
def test_array_stream_is_read_as_the_whole(case, content_type):
    dialect = dialect_of(case)
    events = list(_wire.events((case / "stream.txt").read_bytes(), SSE))
    elements = [json.dumps(event.data, indent=2).encode() for event in events]
    data = b"[" + b",\r\n".join(elements) + b"\n]\n"
    whole = _wire.read(dialect, "application/json", (case / "response.json").read_bytes(), 200)

    assert _wire.read(dialect, content_type, data, 200) == whole
    for end in range(1, len(data), 7):
        reply = _wire.read(dialect, content_type, data[:end], 200)
        came = [e for i, e in enumerate(events) if 1 + sum(map(len, elements[: i + 1])) + 3 * i <= end]
        assert reply.complete == any(map(dialect.ends, came))
        assert reply.choices == dialect.decode(dialect.assemble(came)).choices


# --- Bedrock's framing of the same streams


def frame(payload, **headers):
    block = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in headers.items()
    )
    length = 12 + len(block) + len(payload) + 4
    return struct.pack(">III", length, len(block), 0) + block + payload + b"\0\0\0\0"


def bedrock(data):
    for event in _wire.events(data, SSE):
        inner = base64.b64encode(dumps(event.data)).decode()
        yield frame(
            dumps({"bytes": inner, "p": "abc"}),
            **{":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"},
        )


AWS = "application/vnd.amazon.eventstream"


@pytest.mark.parametrize("case", [c for c in STREAMED if c.parent.name == "messages"], ids=name)
def test_bedrock_stream_is_read_as_the_whole(case):
    dialect = dialect_of(case)
    frames = list(bedrock((case / "stream.txt").read_bytes()))
    whole = _wire.read(dialect, "application/json", (case / "response.json").read_bytes(), 200)

    assert _wire.read(dialect, AWS, b"".join(frames), 200) == whole
    for end in range(len(b"".join(frames[:-1])) - 1, 0, -97):
        assert not _wire.read(dialect, AWS, b"".join(frames)[:end], 200).complete


def framed(case):
    """The frames of a case: what a model says itself is inside a `chunk`."""
    for line in (case / "stream.frames").read_text("utf-8").splitlines():
        kind, payload = line.split(" ", 1)
        if kind == "chunk":
            payload = json.dumps({"bytes": base64.b64encode(payload.encode()).decode(), "p": "abc"})
        headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
        yield frame(payload.encode(), **headers)


every_framed_stream = pytest.mark.parametrize("case", FRAMED, ids=name)


@every_framed_stream
def test_frames_are_read_as_the_whole(case):
    """But for the counts, which Bedrock tells of any stream, and of whole answers in headers."""
    reply = _wire.read(dialect_of(case), AWS, b"".join(framed(case)), 200)
    whole = whole_reply(case)
    counted = [n for n in ("input_tokens", "output_tokens") if getattr(whole.usage, n) is None]
    told = {n: getattr(reply.usage, n) for n in counted}

    assert reply == msgspec.structs.replace(whole, usage=msgspec.structs.replace(whole.usage, **told))


@every_framed_stream
def test_frames_cut_anywhere(case):
    """Not complete, no failure of its own, and all text a beginning of the whole text."""
    dialect, data = dialect_of(case), b"".join(framed(case))
    whole = dict(texts(_wire.read(dialect, AWS, data, 200)))
    for end in range(0, len(data) - 1, 41):
        reply = _wire.read(dialect, AWS, data[:end], 200)
        assert not reply.complete
        assert reply.failure is None
        assert all(whole[at].startswith(begun) for at, begun in texts(reply))


@every_framed_stream
@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
def test_marker_passes_with_the_last_frame(case, size):
    data = b"".join(framed(case))
    marker = _wire.marker(dialect_of(case), AWS)
    passed = [marker.passed(data[at : at + size]) for at in range(0, len(data), size)]

    assert passed == [False] * (len(passed) - 1) + [True]


def test_what_is_no_frame_ends_a_stream():
    """Clients raise there, and read no further."""
    whole = list(framed(ROOT / "converse" / "nova_invoked"))
    marker = _wire.marker(DIALECTS["converse"], AWS)
    passed = [marker.passed(chunk) for chunk in (*whole[:2], b"<html>", b"not what was", b"promised")]
    reply = _wire.read(DIALECTS["converse"], AWS, b"".join(whole[:2]) + b"<html>not what was promised", 200)

    assert passed == [False, False, False, True, False]
    assert reply.failure.type == "malformed_stream"
    assert reply.texts(Text) == "Hello"


def test_bedrock_exception_frame():
    case = ROOT / "messages" / "thinking_parallel_tools"
    frames = list(bedrock((case / "stream.txt").read_bytes()))[:9]
    broken = frame(
        b'{"message":"Too many tokens"}',
        **{":exception-type": "throttlingException", ":message-type": "exception"},
    )
    reply = _wire.read(DIALECTS["messages"], AWS, b"".join(frames) + broken, 200)

    assert reply.failure == Failure("throttlingException", "Too many tokens")
    assert reply.complete
    assert reply.texts(Thinking)


# --- Which requests are calls


@pytest.mark.parametrize(
    ("path", "dialect", "model", "stream"),
    [
        ("/v1/chat/completions", "chat_completions", None, None),
        ("/chat/completions/", "chat_completions", None, None),
        ("/v1beta/openai/chat/completions", "chat_completions", None, None),
        ("/openai/deployments/my%20gpt/chat/completions", "chat_completions", "my gpt", None),
        ("/openai/deployments/d/embeddings", "embeddings", "d", None),
        ("/openai/deployments/d/completions", "completions", "d", None),
        ("/v1/images/generations", "images", None, None),
        ("/openai/deployments/d/images/edits", "images", "d", None),
        ("/v1/images/variations", "images", None, None),
        ("/v1/audio/speech", "speech", None, None),
        ("/openai/deployments/d/audio/transcriptions", "transcriptions", "d", None),
        ("/v1/audio/translations", "transcriptions", None, None),
        ("/v1/moderations", "moderations", None, None),
        ("/v1/complete", "complete", None, None),
        ("/v1/responses/compact", "responses", None, None),
        (
            "/v1beta/models/imagen-4.0-generate-001:predict",
            "image_predictions",
            "imagen-4.0-generate-001",
            None,
        ),
        ("/v1/completions", "completions", None, None),
        ("/v1/embeddings", "embeddings", None, None),
        ("/openai/v1/responses", "responses", None, None),
        ("/v1/messages", "messages", None, None),
        ("/anthropic/v1/messages", "messages", None, None),
        ("/v2/chat", "cohere_chat", None, None),
        ("/v1/chat", "cohere_chat_v1", None, None),
        ("/v1/generate", "cohere_generate", None, None),
        ("/v2/embed", "cohere_embed", None, None),
        ("/v1/rerank", "rerank", None, None),
        ("/rerank", "rerank", None, None),
        ("/api/chat", "ollama_chat", None, True),
        ("/ollama/api/generate", "ollama_generate", None, True),
        ("/api/embed", "ollama_embed", None, None),
        (
            "/model/eu.anthropic.claude-haiku-4-5-v1:0/invoke",
            "messages",
            "eu.anthropic.claude-haiku-4-5-v1:0",
            False,
        ),
        (
            "/model/anthropic.claude-v2%3A1/invoke-with-response-stream",
            "messages",
            "anthropic.claude-v2:1",
            True,
        ),
        ("/model/arn%3Aaws%3Abedrock%3A%2Fx%2Fy/invoke", "messages", "arn:aws:bedrock:/x/y", False),
        ("/model/amazon.nova-lite-v1%3A0/converse", "converse", "amazon.nova-lite-v1:0", False),
        ("/model/amazon.nova-lite-v1:0/converse-stream", "converse", "amazon.nova-lite-v1:0", True),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict",
            "messages",
            "claude@1",
            False,
        ),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", "messages", "c", True),
        ("/v1beta/models/gemini-2.5-pro:generateContent", "generate_content", "gemini-2.5-pro", False),
        ("/v1beta/models/g:streamGenerateContent", "generate_content", "g", True),
        (
            "/v1beta1/projects/p/locations/global/publishers/google/models/g:streamGenerateContent",
            "generate_content",
            "g",
            True,
        ),
        ("/v1beta/tunedModels/t-1:generateContent", "generate_content", "tunedModels/t-1", False),
        (
            "/v1/projects/p/locations/l/endpoints/12:generateContent",
            "generate_content",
            "endpoints/12",
            False,
        ),
        ("/v1beta/models/e:embedContent", "embed_content", "e", None),
        ("/v1beta/interactions", "interactions", None, None),
        ("/v1beta1/projects/p/locations/global/interactions", "interactions", None, None),
        ("/v1beta/models/e:batchEmbedContents", "embed_content", "e", None),
        ("/v1/projects/p/locations/l/publishers/google/models/e:predict", "embed_content", "e", None),
    ],
)
def test_find(path, dialect, model, stream):
    match = find("POST", path)

    assert (match.dialects[0].name, match.model, match.stream) == (dialect, model, stream)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/messages/count_tokens",
        "/v1/messages/batches",
        "/v1/responses/resp_1",
        "/v1/models",
        "/v1/images/1/edits",
        "/rooms/speech",
        "/v1/audio/speech/voices",
        "/v1beta/models/text-bison-001:predict",
        "/v1/responses/input_tokens",
        "/v1/chat/completions/chatcmpl-1",
        "/converse",
        "/model/x/y/converse-stream",
        "/model/x/count-tokens",
        "/functions/f/invoke",
        "/chat",
        "/api/chats",
        "/api/v1/generate/x",
        "/v1/tokenize",
        "/embed",
        "/search",
        "/publishers/google/models/m:rawPredict",
        "/v1/projects/p/locations/l/endpoints/1:predict",
        "/v1beta/models/g:countTokens",
        "/v1beta/cachedContents",
        "/generateContent",
        "/v1beta/interactions/v1_x/cancel",
        "/discord/interactions",
        "/notes/n:generateContent",
        "/v1/publishers/anthropic/models/count-tokens/x:predict",
        "/mymessages",
    ],
)
def test_finds_nothing(path):
    assert find("POST", path) is None


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (
            "messages",
            {"anthropic_version": "bedrock-2023-05-31", "messages": [{"role": "user", "content": "x"}]},
        ),
        ("converse", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}),
        ("chat_completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9}),
        (
            "chat_completions",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "max_tokens": 9},
        ),
        ("cohere_chat_v1", {"message": "x", "chat_history": []}),
        ("cohere_embed", {"texts": ["x"], "input_type": "search_query"}),
        ("rerank", {"query": "x", "documents": ["y"], "api_version": 2}),
        ("complete", {"prompt": "x", "max_tokens_to_sample": 9}),
        ("invoke_text", {"prompt": "x"}),
        ("invoke_text", {"inputText": "x", "textGenerationConfig": {}}),
        ("invoke_embed", {"inputText": "x"}),
        ("invoke_image", {"taskType": "BACKGROUND_REMOVAL", "backgroundRemovalParams": {"image": "x"}}),
        ("invoke_image", {"prompt": "x", "aspect_ratio": "16:9"}),
    ],
)
def test_body_decides_what_is_invoked(dialect, body):
    match, fields = find("POST", "/model/m/invoke"), members(dumps(body))

    assert next(d.name for d in match.dialects if d.accepts(fields)) == dialect


@pytest.mark.parametrize("body", [{}, {"messages": "x"}, {"input": "x"}, {"messages": [{"to": "x"}]}])
def test_bodies_of_what_is_no_conversation(body):
    assert not DIALECTS["converse"].accepts(members(dumps(body)))


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "post"])
def test_only_posts_are_calls(method):
    assert find(method, "/v1/responses") is None


@pytest.mark.parametrize(
    ("dialect", "accepted", "body"),
    [
        ("messages", False, {"channel": "C1", "text": "hi"}),
        ("messages", False, {"role": "user", "content": "an assistant thread's"}),
        ("messages", False, {"To": "+1", "Body": "hi", "messages": "x"}),
        ("messages", False, {"messages": [{"to": "+1", "text": "bulk SMS"}], "model": "x"}),
        ("messages", False, {"messages": [{"role": "user", "content": "no key of the API's own"}]}),
        (
            "messages",
            True,
            {"anthropic_version": "vertex-2023-10-16", "messages": [{"role": "user", "content": "x"}]},
        ),
        ("responses", False, {"answers": [1], "form": "f"}),
        ("responses", False, {"input": "x", "text": "y", "temperature": 3}),
        ("responses", False, {"instructions": "x"}),
        ("responses", False, {"model": "T-800", "answer": 3}),
        ("responses", False, {"input": {"x": 1}, "model": "m"}),
        ("responses", True, {"previous_response_id": "resp_1"}),
        ("responses", True, {"prompt": {"id": "pmpt_1"}}),
        ("responses", True, {"model": "m", "conversation": "conv_1"}),
        ("responses", True, {"conversation": "conv_1", "input": "x"}),
        ("responses", True, {"input": "x", "stream": True}),
        ("responses", True, {"input": [], "model": "m"}),
        ("chat_completions", False, {"messages": "x"}),
        ("chat_completions", True, {"messages": []}),
        ("generate_content", True, {"contents": [{"parts": [{"text": "x"}]}]}),
        ("generate_content", False, {"contents": "x"}),
        ("interactions", True, {"input": "x", "model": "m"}),
        ("interactions", True, {"continuation_token": "t", "previous_interaction_id": "v1_x"}),
        ("interactions", False, {"type": 2, "id": "1", "token": "t", "data": {}}),
        ("interactions", False, {"input": 3, "model": "m"}),
        ("generate_content", False, {"text": "x"}),
        ("embed_content", True, {"instances": [{"content": "x"}]}),
        ("embed_content", False, {"instances": [{"prompt": "a cat"}], "parameters": {"sampleCount": 1}}),
        ("embed_content", False, {"instances": []}),
        ("embed_content", False, {"instances": ["content"]}),
        ("embed_content", False, {"content": "x"}),
        ("completions", False, {"lesson": 3}),
        ("completions", False, {"prompt": None}),
        ("embeddings", False, {"ids": ["a"], "embeddings": [[1]]}),
        ("embeddings", True, {"input": [[1, 2]]}),
        ("ollama_chat", False, {"messages": [{"role": "user", "parts": []}], "id": "an app's own"}),
        ("ollama_chat", False, {"messages": [{"text": "hi"}], "model": "m"}),
        ("ollama_chat", False, {"message": "hi", "model": "m"}),
        ("ollama_generate", False, {"prompt": "an image", "style": "x"}),
        ("ollama_embed", False, {"input": "x"}),
        ("ollama_embed", True, {"prompt": "", "model": "m"}),
        ("cohere_chat", False, {"messages": [{"role": "user", "content": "hi"}]}),
        ("cohere_chat_v1", False, {"message": "hi", "session_id": "an app's own"}),
        ("cohere_chat_v1", True, {"message": "hi", "stream": False}),
        ("cohere_generate", False, {"prompt": "a song", "duration": 3}),
        ("cohere_embed", False, {"url": "https://example.org/video"}),
        ("rerank", False, {"query": "x", "documents": 3}),
        ("rerank", False, {"documents": ["a"]}),
        ("images", False, {"image": {"id": 5}, "title": "x"}),
        ("images", True, {"image[]": [{"filename": "a.png", "bytes": 3}]}),
        ("image_predictions", False, {"instances": [{"content": "text to embed"}]}),
        ("speech", False, {"speaker": "Ada", "title": "On engines"}),
        ("transcriptions", False, {"text": "what was said"}),
        ("transcriptions", True, {"file": {"bytes": 3}}),
        ("moderations", False, {"user": 5, "action": "ban"}),
        ("complete", False, {"prompt": "x", "done": True}),
    ],
)
def test_accepts_by_the_body(dialect, accepted, body):
    assert DIALECTS[dialect].accepts(members(dumps(body))) is accepted


@pytest.mark.parametrize(
    ("dialect", "body", "skeleton"),
    [
        ("chat_completions", '{"messages":[]}', '{"messages":[]}'),
        ("chat_completions", '{"messages":[ ],"tools":null}', '{"messages":[ ],"tools":null}'),
        (
            "chat_completions",
            '{"messages":[{"role":"system","content":"s","name":"n"}],"tools":[]}',
            '{"messages":[{"role":"system","content":{"$transcript":"system_prompt"},"name":"n"}],"tools":[]}',
        ),
        (
            "chat_completions",
            '{"messages":[{"role":"system","content":null},1]}',
            '{"messages":[{"role":"system","content":null},1]}',
        ),
        (
            "chat_completions",
            '{"messages":[{"role":"user","content":"system"},{"role":"system","content":"late"}]}',
            '{"messages":[{"$transcript":"context"}]}',
        ),
        (
            "messages",
            '{"system":"","messages":[{"role":"system","content":"x"}]}',
            '{"system":"","messages":[{"$transcript":"context"}]}',
        ),
        ("responses", '{"input":""}', '{"input":""}'),
        (
            "responses",
            '{"input":"x","instructions":""}',
            '{"input":{"$transcript":"message"},"instructions":""}',
        ),
        (
            "generate_content",
            '{"system_instruction":"","contents":{"parts":[]}}',
            '{"system_instruction":"","contents":{"$transcript":"message"}}',
        ),
        ("embed_content", '{"requests":[]}', '{"requests":[]}'),
        ("embed_content", '{"instances":[{"content":"x"}]}', '{"instances":[{"$transcript":"context"}]}'),
        ("embeddings", '{"input":[1,2]}', '{"input":{"$transcript":"message"}}'),
        ("embeddings", '{"input":[[1],[2]]}', '{"input":{"$transcript":"message"}}'),
        ("embeddings", '{"input":["a","b"]}', '{"input":[{"$transcript":"context"}]}'),
        ("completions", '{"echo":true}', '{"echo":true}'),
    ],
)
def test_skeleton(dialect, body, skeleton):
    split = taken_apart(DIALECTS[dialect], body.encode())

    assert split.skeleton.decode() == skeleton
    assert resolved_bytes(split).decode() == body


# --- Streams that real providers bend


def calls(*deltas):
    return [Event({"choices": [{"index": 0, "delta": {"tool_calls": [d]}}]}) for d in deltas]


def call(arguments=None, **more):
    function = {key: more.pop(key) for key in ("name",) if key in more}
    return {**more, "function": {**function, "arguments": arguments}}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (calls(call("{", index=0, id="a", name="f"), call("}", index=0)), [("a", "f", "{}")]),
        (
            calls(call("{", index=0, id="a", name="f"), call("}", index=0, id="a", name="f")),
            [("a", "f", "{}")],
        ),
        (calls(call("{", index=0, id="a", name="f"), call("}", index=0, id="random")), [("a", "f", "{}")]),
        (
            calls(call("1", index=0, id="a", name="f"), call("2", index=0, id="b", name="f")),
            [("a", "f", "1"), ("b", "f", "2")],
        ),
        (calls(call("1", id="a", name="f"), call("2", id="b", name="g")), [("a", "f", "1"), ("b", "g", "2")]),
        (calls(call("1", id="a", name="f"), call("2")), [("a", "f", "12")]),
        (calls(call("1", name="f"), call("2", name="g")), [(None, "f", "1"), (None, "g", "2")]),
        (
            calls(call(None, index=0, id="a", name="f"), call("{}", index=0, id="", name="")),
            [("a", "f", "{}")],
        ),
        (
            calls(call("a", index=1, id="b", name="g"), call("b", index=0, id="a", name="f")),
            [("a", "f", "b"), ("b", "g", "a")],
        ),
    ],
)
def test_pieces_of_tool_calls(events, expected):
    chat = DIALECTS["chat_completions"]
    reply = chat.decode(chat.assemble(events))

    assert [(c.id, c.name, c.arguments) for c in reply.tool_calls] == expected


def test_pieces_of_arguments_stay_pieces():
    """Google's, where they are streamed: each says to which place of the arguments it belongs."""
    google = DIALECTS["generate_content"]
    pieces = [{"jsonPath": "$.city", "stringValue": text} for text in ("Zü", "rich")]
    streamed = [
        {"name": "f", "willContinue": True},
        *({"partialArgs": [piece], "willContinue": True} for piece in pieces),
        {},
        {"name": "g", "args": {}},
    ]
    events = [Event({"candidates": [{"content": {"parts": [{"functionCall": c}]}}]}) for c in streamed]
    reply = google.decode(google.assemble(events))

    assert [(c.name, c.arguments) for c in reply.tool_calls] == [("f", pieces), ("g", {})]


def message_events(*deltas):
    yield Event(
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}}
    )
    for delta in deltas:
        yield Event({"type": "content_block_delta", "index": 0, "delta": delta})


def cohere_deltas(*texts):
    for text in texts:
        yield Event({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}})


@pytest.mark.parametrize(
    ("dialect", "events", "text", "failure"),
    [
        ("messages", message_events({"type": "text_delta", "text": "no start"}), "no start", None),
        (
            "messages",
            [
                Event(
                    {
                        "type": "content_block_start",
                        "index": 0,
                        "content_block": {"type": "text", "text": "a"},
                    }
                ),
                Event(
                    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error"
                ),
            ],
            "a",
            "overloaded_error",
        ),
        ("messages", [Event({"error": {"message": "x"}}, "error")], None, "error"),
        ("messages", message_events({"type": "input_json_delta", "partial_json": [1]}), None, None),
        (
            "chat_completions",
            [
                Event({"choices": [{"delta": {"content": "a"}}]}),
                Event({"error": {"code": 502, "message": "upstream"}, "choices": []}),
            ],
            "a",
            "502",
        ),
        ("cohere_chat", cohere_deltas("no ", "start"), "no start", None),
        (
            "cohere_chat",
            [
                *cohere_deltas("a"),
                Event(
                    {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "x"}}, "message-end"
                ),
            ],
            "a",
            "error",
        ),
        (
            "cohere_chat",
            [Event({"type": "message-end", "delta": {"finish_reason": "TIMEOUT"}})],
            None,
            "TIMEOUT",
        ),
        ("cohere_chat", cohere_deltas(["no string"], None), None, None),
        (
            "cohere_chat_v1",
            [
                Event({"event_type": "text-generation", "text": "a"}),
                Event({"event_type": "stream-end", "finish_reason": "ERROR", "response": {"text": ""}}),
            ],
            "a",
            "ERROR",
        ),
        (
            "cohere_generate",
            [
                Event({"event_type": "text-generation", "text": "a", "is_finished": False}),
                Event({"event_type": "stream-error", "finish_reason": "ERROR", "err": "x"}),
            ],
            "a",
            "error",
        ),
        (
            "ollama_chat",
            [Event({"message": {"role": "assistant", "content": "a"}, "done": False}), Event({"error": "x"})],
            "a",
            "error",
        ),
        ("ollama_generate", [Event({"response": "a"}), Event({"response": None, "done": True})], "a", None),
        ("chat_completions", [Event({"message": "x", "code": "c"}, "error")], None, "c"),
        ("chat_completions", [Event({"choices": [{"message": {"content": "whole"}}]})], "whole", None),
        (
            "chat_completions",
            [Event({"choices": [{"delta": {"content": "b"}, "message": {"content": "ab"}}]})],
            "b",
            None,
        ),
        (
            "chat_completions",
            [Event({"choices": [{"error": {"code": "rate_limited"}}]})],
            None,
            "rate_limited",
        ),
        (
            "responses",
            [Event({"type": "error", "code": "server_error", "message": "x"})],
            None,
            "server_error",
        ),
        ("responses", [Event({"type": "error", "error": {"type": "t", "message": "x"}}, "error")], None, "t"),
        ("responses", [Event({"delta": "a", "item_id": "i"}, "response.output_text.delta")], "a", None),
        (
            "responses",
            [
                Event({"type": "response.output_text.delta", "delta": "a", "output_index": 0}),
                Event({"type": "response.completed", "response": {"status": "completed", "output": []}}),
            ],
            "a",
            None,
        ),
        (
            "responses",
            [
                Event(
                    {"type": "response.failed", "response": {"status": "failed", "error": None, "output": []}}
                )
            ],
            None,
            "failed",
        ),
        (
            "generate_content",
            [
                Event({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}),
                Event({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
            ],
            "a",
            "UNAVAILABLE",
        ),
        ("generate_content", [Event({"code": 500, "message": "x"}, "error")], None, "500"),
        (
            "generate_content",
            [
                Event({"candidates": [{"content": {"parts": ["a", {"text": 3}]}}]}),
                Event({"candidates": [{"content": {"parts": [{"text": "b"}]}}]}),
            ],
            "ab",
            None,
        ),
        (
            "completions",
            [Event({"choices": [{"text": "a"}, {"text": "b", "index": 1}]}), Event("garbage")],
            "a",
            None,
        ),
    ],
)
def test_bent_streams(dialect, events, text, failure):
    module = DIALECTS[dialect]
    reply = module.decode(module.assemble(list(events)))

    assert reply.texts(Text) == text
    assert (reply.failure.type if reply.failure else None) == failure


def test_cut_tool_input_stays_as_it_came():
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    module = DIALECTS["messages"]
    events = [
        Event({"type": "content_block_start", "index": 0, "content_block": start}),
        Event(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": '{"a"'},
            }
        ),
    ]

    assert module.decode(module.assemble(events)).tool_calls == (ToolCall("t", "f", '{"a"'),)


# --- What is not known, absent or broken


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
@pytest.mark.parametrize(
    "body", [None, {}, [], "", 5, {"choices": {}}, {"usage": []}, {"choices": [None, 3, "x"]}]
)
def test_absent_is_not_zero(dialect, body):
    reply = dialect.decode(body)

    assert set(plain(reply.usage).values()) == {None}
    assert reply.failure is None


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value):
    """Every (container, key) in a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from places(inner)


@given(st.data(), st.sampled_from([c for c in CASES if (c / "response.json").exists()]))
@settings(max_examples=300, deadline=None)
def test_bodies_with_junk_in_them_never_raise(data, case):
    dialect = dialect_of(case)
    body = loads((case / "response.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(places(body))))
        container[key] = data.draw(JUNK)
    dialect.decode(body)

    request = json.loads((case / "request.json").read_bytes())
    container, key = data.draw(st.sampled_from(list(places(request))))
    container[key] = data.draw(JUNK)
    content = json.dumps(request).encode()
    split = taken_apart(dialect, content)
    for item in split.items:
        dialect.message(json.loads(item))
    read_params(dialect, members(content))
    assert dumps(resolved(split)) == dumps(json.loads(content))


@given(st.data(), st.sampled_from(STREAMED))
@settings(max_examples=200, deadline=None)
def test_streams_with_junk_in_them_never_raise(data, case):
    dialect = dialect_of(case)
    events = list(_wire.events(*stream_of(case)[:2]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(events) - 1))
        found = list(places(events[at].data))
        if found:
            container, key = data.draw(st.sampled_from(found))
            container[key] = data.draw(JUNK)
        else:
            events[at] = Event(data.draw(JUNK))
    dialect.decode(dialect.assemble(events))


@given(st.data(), st.sampled_from(STREAMED))
@settings(max_examples=200, deadline=None)
def test_garbled_bytes_never_raise(data, case):
    stream = bytearray(stream_of(case)[0])
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.integers(0, len(stream) - 1))
        stream[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    for kind in (SSE, "application/json", AWS, "application/x-ndjson", ""):
        _wire.read(dialect_of(case), kind, bytes(stream), data.draw(st.sampled_from([200, 500])))
