"""The loopback provider against the real SDKs, uninstrumented: they must take what it sends."""

from __future__ import annotations

import base64
import json
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zlib

import anthropic
import openai
import pytest

from spanscript.demo.provider import Provider, Step
from spanscript.demo.provider.script import step as read_step

SAID = "Grüße aus Zürich 😀, please"
ASKED = [{"role": "user", "content": SAID}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
FUNCTIONS = [
    {"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in ("weather", "clock")
]
TOOLS = [{"name": n, "input_schema": SCHEMA} for n in ("weather", "clock")]


def _openai(p, **options):
    return openai.OpenAI(base_url=p.openai_url, api_key="unused", **options)


def _anthropic(p, **options):
    return anthropic.Anthropic(base_url=p.url, api_key="unused", **options)


def chat(p, **o):
    return _openai(p, **o).chat.completions.create(model="gpt-5", messages=ASKED).choices[0].message.content


def chat_stream(p, **o):
    chunks = list(
        _openai(p, **o).chat.completions.create(
            model="gpt-5", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def responses(p, **o):
    return _openai(p, **o).responses.create(model="gpt-5", input=SAID).output_text


def responses_stream(p, **o):
    events = _openai(p, **o).responses.create(model="gpt-5", input=SAID, stream=True)
    return "".join(e.delta for e in events if e.type == "response.output_text.delta")


def completions(p, **o):
    return _openai(p, **o).completions.create(model="gpt-3.5", prompt=SAID).choices[0].text


def completions_stream(p, **o):
    chunks = _openai(p, **o).completions.create(model="gpt-3.5", prompt=SAID, stream=True)
    return "".join(c.choices[0].text for c in chunks)


def azure(p, **o):
    client = openai.AzureOpenAI(azure_endpoint=p.url, api_key="unused", api_version="2024-10-21", **o)
    return client.chat.completions.create(model="my-deployment", messages=ASKED).choices[0].message.content


def messages(p, **o):
    return _anthropic(p, **o).messages.create(model="claude", max_tokens=99, messages=ASKED).content[0].text


def messages_stream(p, **o):
    events = _anthropic(p, **o).messages.create(model="claude", max_tokens=99, messages=ASKED, stream=True)
    return "".join(e.delta.text for e in events if e.type == "content_block_delta")


WHOLE = [chat, responses, completions, azure, messages]
STREAMED = [chat_stream, responses_stream, completions_stream, messages_stream]
ANSWER = f"You said: {SAID}"

GOOD = [
    ["ok"],
    ["gzip"],
    ["chunk_size=1"],
    ["gzip chunk_size=7"],
    ["delay=0.05 chunk_delay=0.001"],
    ["429 retry-after-ms=1 retry-after=60", "529 retry-after-ms=1", "ok"],
    ["503 retry-after-ms=1", "reset", "ok"],
    ["400 x-should-retry=true retry-after-ms=1", "gzip"],
    ["307", "ok"],
]


@pytest.mark.parametrize("steps", GOOD, ids=" > ".join)
@pytest.mark.parametrize("call", [*WHOLE, *STREAMED])
def test_answers_arrive(provider, call, steps):
    provider.script(*steps)
    assert call(provider) == ANSWER
    assert provider.wait_for(len(steps), finished=True)
    requests = provider.requests
    assert [r.step for r in requests] == [read_step(s) for s in steps]
    assert len({r.body for r in requests}) == 1
    assert all(SAID in json.dumps(r.json, ensure_ascii=False) for r in requests)


STATUSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "InternalServerError",
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("call", [*WHOLE, *STREAMED])
def test_error_statuses(provider, call, status):
    provider.script(str(status), forever=True)
    library = anthropic if call.__name__.startswith("messages") else openai
    with pytest.raises(library.APIStatusError) as caught:
        call(provider, max_retries=0)
    assert caught.value.status_code == status
    assert isinstance(caught.value, getattr(library, STATUSES[status])) or status == 503
    assert caught.value.request_id.startswith("req_")
    assert "error" in caught.value.response.json()


@pytest.mark.parametrize("fault", ["reset", "reset after=0", "cut", "truncate", "malformed"])
@pytest.mark.parametrize("call", WHOLE)
def test_broken_whole_answers_raise(provider, call, fault):
    provider.script(fault)
    with pytest.raises(Exception) as caught:
        call(provider, max_retries=0)
    assert type(caught.value).__name__ in {
        "APIConnectionError",
        "APIResponseValidationError",
        "JSONDecodeError",
        "RemoteProtocolError",
        "ReadError",
    }


@pytest.mark.parametrize(
    "fault",
    ["reset", "reset after=3", "cut after=3", "badframe after=3", "malformed after=-4", "error after=3"],
)
@pytest.mark.parametrize("call", STREAMED)
def test_broken_streams_raise(provider, call, fault):
    if (call, fault) == (responses_stream, "error after=3"):
        pytest.skip("the SDK hands these errors over as events, see test_errors_among_response_events")
    provider.script(fault)
    with pytest.raises(Exception) as caught:
        call(provider, max_retries=0)
    assert not isinstance(caught.value, AssertionError)
    provider.wait_for(1, finished=True)
    assert len(provider.requests[0].pieces) < 20


@pytest.mark.parametrize(("fault", "shorter"), [("unended", False), ("truncate after=-5", True)])
@pytest.mark.parametrize("call", STREAMED)
def test_streams_without_an_end_do_not_raise(provider, call, fault, shorter):
    provider.script(fault)
    got = call(provider, max_retries=0)
    assert ANSWER.startswith(got)
    assert shorter == (got != ANSWER) or call is responses_stream  # its last five events have no text


@pytest.mark.parametrize("call", STREAMED)
def test_streamed_and_whole_say_the_same(provider, call):
    whole = dict(zip(STREAMED, [chat, responses, completions, messages], strict=True))[call]
    assert call(provider) == whole(provider)


def _final_chat(p, **request):
    with _openai(p).chat.completions.stream(model="gpt-5", messages=ASKED, **request) as stream:
        return stream.get_final_completion().choices[0].message


def test_chat_calls_tools_and_tells_their_results(provider):
    client = _openai(provider)
    whole = client.chat.completions.create(model="gpt-5", messages=ASKED, tools=FUNCTIONS)
    streamed = _final_chat(provider, tools=FUNCTIONS)
    for calls in (whole.choices[0].message.tool_calls, streamed.tool_calls):
        assert [c.function.name for c in calls] == ["weather", "clock"]
        assert json.loads(calls[0].function.arguments) == {"city": "Zürich", "days": 1}
    calls = whole.choices[0].message.tool_calls
    results = [{"role": "tool", "tool_call_id": c.id, "content": f"{c.function.name}: 21"} for c in calls]
    history = [*ASKED, whole.choices[0].message.model_dump(exclude_none=True), *results]
    final = client.chat.completions.create(model="gpt-5", messages=history, tools=FUNCTIONS)
    assert final.choices[0].message.content == "The tool says: weather: 21; clock: 21"
    assert final.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(("options", "names"), [
    ({"parallel_tool_calls": False}, ["weather"]),
    ({"tool_choice": {"type": "function", "function": {"name": "clock"}}}, ["clock"]),
    ({"tool_choice": "none"}, []),
])  # fmt: skip
def test_tool_choice(provider, options, names):
    got = _openai(provider).chat.completions.create(model="m", messages=ASKED, tools=FUNCTIONS, **options)
    assert [c.function.name for c in got.choices[0].message.tool_calls or []] == names


def test_responses_call_tools_in_the_order_of_real_events(provider):
    tool = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
    with _openai(provider).responses.stream(
        model="gpt-5", input=SAID, tools=[tool], reasoning={"effort": "low"}
    ) as s:
        kinds = [e.type.removeprefix("response.") for e in s]
        final = s.get_final_response()
    call = next(i for i in final.output if i.type == "function_call")
    assert json.loads(call.arguments)["city"] == "Zürich"
    assert final.usage.output_tokens_details.reasoning_tokens > 0
    once = [k for i, k in enumerate(kinds) if i == 0 or kinds[i - 1] != k]
    assert once == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip


def test_messages_think_call_tools_and_tell_their_results(provider):
    client = _anthropic(provider)
    request = {"model": "claude", "max_tokens": 2000, "messages": ASKED, "tools": TOOLS,
               "thinking": {"type": "enabled", "budget_tokens": 1024}}  # fmt: skip
    whole = client.messages.create(**request)
    with client.messages.stream(**request) as stream:
        streamed = stream.get_final_message()
    for got in (whole, streamed):
        assert [b.type for b in got.content] == ["thinking", "text", "tool_use", "tool_use"]
        assert got.content[2].input == {"city": "Zürich", "days": 1}
        assert got.stop_reason == "tool_use"
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    results = [{"type": "tool_result", "tool_use_id": b.id, "content": "21"} for b in whole.content[2:]]
    history = [
        *ASKED,
        {"role": "assistant", "content": whole.content},
        {"role": "user", "content": results},
    ]
    final = client.messages.create(model="claude", max_tokens=99, messages=history, tools=TOOLS)
    assert final.content[0].text == "The tool says: 21; 21"


def test_structured_output_follows_the_schema(provider):
    pydantic = pytest.importorskip("pydantic")

    class Trip(pydantic.BaseModel):
        city: str
        nights: list[int]

    parse = getattr(_openai(provider).chat.completions, "parse", None)
    assert parse(model="m", messages=ASKED, response_format=Trip).choices[0].message.parsed == Trip(
        city="Zürich", nights=[1]
    )
    assert (
        _openai(provider).responses.parse(model="m", input=SAID, text_format=Trip).output_parsed.city
        == "Zürich"
    )


def test_scripted_answers(provider):
    provider.script(
        Step(answer={"refusal": "I cannot."}),
        Step(answer={"thinking": "Hm."}),
        {"answer": {"calls": [["f", {"x": 1}]]}},
    )
    assert _final_chat(provider).refusal == "I cannot."
    assert (
        _openai(provider)
        .chat.completions.create(model="m", messages=ASKED)
        .choices[0]
        .message.reasoning_content
        == "Hm."
    )
    assert _openai(provider).responses.create(model="m", input=SAID).output[0].arguments == '{"x": 1}'


def test_several_choices_limits_and_usage(provider):
    client = _openai(provider)
    got = client.chat.completions.create(model="m", messages=ASKED, n=3)
    assert [c.message.content for c in got.choices] == [
        ANSWER,
        f"{ANSWER} (choice 1)",
        f"{ANSWER} (choice 2)",
    ]
    cut = client.chat.completions.create(model="m", messages=ASKED, max_completion_tokens=3)
    assert cut.choices[0].finish_reason == "length"
    chunks = list(
        client.chat.completions.create(
            model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].usage == client.chat.completions.create(model="m", messages=ASKED).usage
    assert all(c.usage is None for c in chunks[:-1])
    assert client.responses.create(model="m", input=SAID, max_output_tokens=3).status == "incomplete"
    limited = _anthropic(provider).messages.create(model="m", messages=ASKED, max_tokens=3)
    assert limited.stop_reason == "max_tokens"
    assert limited.usage.output_tokens <= 3


def test_embeddings_are_the_same_as_floats_and_packed(provider):
    client = _openai(provider)
    packed = client.embeddings.create(model="e", input=["a", "b"])
    plain = client.embeddings.create(model="e", input=["a", "b"], encoding_format="float")
    assert packed.data[0].embedding == plain.data[0].embedding != plain.data[1].embedding
    assert len(packed.data[0].embedding) == 1536
    assert len(client.embeddings.create(model="e", input="a", dimensions=8).data[0].embedding) == 8
    assert provider.requests[0].json["encoding_format"] == "base64"


def _frames(body):
    """Frames of an event-stream, with both checksums verified: (headers, payload)."""
    while body:
        total, size, crc = struct.unpack(">III", body[:12])
        assert crc == zlib.crc32(body[:8])
        assert struct.unpack(">I", body[total - 4 : total])[0] == zlib.crc32(body[: total - 4])
        yield body[12 : 12 + size], json.loads(body[12 + size : total - 4])
        body = body[total:]


def _post(url, body, **headers):
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request) as response:
        return response.read()


def test_bedrock_and_vertex_paths(provider):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": ASKED}
    base = f"{provider.url}/model/anthropic.claude-v2%3A1"
    whole = json.loads(_post(f"{base}/invoke", body))
    assert (whole["content"][0]["text"], whole["model"]) == (ANSWER, "anthropic.claude-v2:1")
    events = [
        json.loads(base64.b64decode(p["bytes"]))
        for _, p in _frames(_post(f"{base}/invoke-with-response-stream", body))
    ]
    assert events[0]["type"] == "message_start"
    assert events[-1]["type"] == "message_stop"
    assert "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta") == ANSWER
    provider.script("error after=2")
    headers, payload = list(_frames(_post(f"{base}/invoke-with-response-stream", body)))[-1]
    assert b"modelStreamErrorException" in headers
    assert payload["message"]
    vertex = f"{provider.url}/v1/projects/p/locations/l/publishers/anthropic/models/claude"
    assert json.loads(_post(f"{vertex}:rawPredict", body))["content"][0]["text"] == ANSWER
    assert _post(f"{vertex}:streamRawPredict", body | {"stream": True}).startswith(b"event: message_start")


def test_bedrock_client(provider):
    pytest.importorskip("boto3")
    client = anthropic.AnthropicBedrock(
        base_url=provider.url, aws_access_key="a", aws_secret_key="b", aws_region="us-east-1"
    )
    request = {"model": "anthropic.claude-v2:1", "max_tokens": 99, "messages": ASKED}
    assert client.messages.create(**request).content[0].text == ANSWER
    events = list(client.messages.create(**request, stream=True))
    assert events[-1].type == "message_stop"


def test_anthropic_errors_in_a_stream_are_overloaded(provider):
    provider.script("error after=2")
    with pytest.raises(anthropic.APIStatusError) as caught:
        messages_stream(provider)
    assert caught.value.body["error"]["type"] == "overloaded_error"


@pytest.mark.parametrize(("fault", "kind"), [("error", "error"), ("failed", "response.failed")])
def test_errors_among_response_events(provider, fault, kind):
    provider.script(f"{fault} after=3")
    events = list(_openai(provider).responses.create(model="m", input=SAID, stream=True))
    assert events[-1].type == kind
    assert getattr(events[-1], "response", None) is None or events[-1].response.error.code == "server_error"
    assert len(events) == 4


def test_hanging_answers_go_on_when_released(provider):
    provider.script("hang after=4")
    stream = iter(_openai(provider).chat.completions.create(model="m", messages=ASKED, stream=True))
    before = "".join(next(stream).choices[0].delta.content for _ in range(4))
    assert before == "You said: Grüße "
    provider.release()
    assert before + "".join(c.choices[0].delta.content or "" for c in stream) == ANSWER


def test_a_client_that_leaves_is_noted(provider):
    provider.script("hang")
    with pytest.raises(openai.APITimeoutError):
        chat(provider, max_retries=0, timeout=0.2)
    assert provider.wait_for(1, finished=True)
    assert provider.requests[0].client_left
    assert provider.requests[0].status is None


def test_a_redirect_that_becomes_a_get_is_answered(provider):
    provider.script("302", "ok")
    _openai(provider).chat.completions.with_raw_response.create(model="m", messages=ASKED)
    assert [(r.method, r.status) for r in provider.requests] == [("POST", 302), ("GET", 200)]


def test_parallel_requests_take_steps_by_what_they_say(provider):
    for name in ("one", "two", "three"):
        provider.script(f"429 retry-after-ms=1 x-name={name}", match=name)
    got = {}

    def ask(name):
        got[name] = (
            _openai(provider)
            .chat.completions.create(model="m", messages=[{"role": "user", "content": name}])
            .choices[0]
            .message.content
        )

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two", "three", "none")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {name: f"You said: {name}" for name in ("one", "two", "three", "none")}
    assert len(provider.requests) == 7


def test_other_traffic_takes_no_step(provider):
    provider.script("500", forever=True)
    assert _openai(provider).models.list().data[0].id == "gpt-5"
    assert _anthropic(provider).models.list().data[0].id.startswith("claude")
    assert _anthropic(provider).messages.count_tokens(model="m", messages=ASKED).input_tokens == 12
    assert provider.llm_requests == []


def test_requests_that_cannot_be_read_are_refused(provider):
    for body in ({}, {"model": "m"}, {"model": "m", "messages": 3}, []):
        with pytest.raises(urllib.error.HTTPError) as caught:
            _post(f"{provider.openai_url}/chat/completions", body)
        assert caught.value.code == 400
        assert json.loads(caught.value.read())["error"]["type"] == "invalid_request_error"


def test_steps_that_cannot_be_read_are_refused(provider):
    for bad in ("429 sometimes", "explode", {"stat": 3}):
        with pytest.raises(ValueError):
            provider.script(bad)


def test_a_provider_in_another_process():
    process = subprocess.Popen(
        [sys.executable, "-m", "spanscript.demo.provider"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().strip()
        _post(
            f"{url}/_scenario",
            {"steps": ["429 retry-after-ms=1", {"raw": ["{}"], "headers": {"x-a": "b"}}]},
        )
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused")
        raw = client.chat.completions.with_raw_response.create(model="m", messages=ASKED)
        assert (raw.text() if callable(raw.text) else raw.text, raw.headers["x-a"]) == ("{}", "b")
        log = json.loads(urllib.request.urlopen(f"{url}/_requests").read())
        assert [r["status"] for r in log] == [429, 200]
        assert json.loads(base64.b64decode(log[0]["body"]))["messages"] == ASKED
        with pytest.raises(urllib.error.HTTPError):
            _post(f"{url}/_scenario", {"steps": ["explode"]})
    finally:
        process.terminate()
        process.wait()


def test_connections_are_kept_and_chunked_requests_are_read(provider):
    host, port = provider.url.removeprefix("http://").split(":")
    body = json.dumps({"model": "m", "prompt": "x"}).encode()
    request = (b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
               b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))  # fmt: skip
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as answers:
        for _ in range(2):
            connection.sendall(request)
            assert answers.readline().startswith(b"HTTP/1.1 200")
            headers = dict(line.split(b": ") for line in iter(lambda: answers.readline().strip(), b""))
            assert b"You said: x" in answers.read(int(headers[b"content-length"]))
    assert [r.body for r in provider.requests] == [body, body]


def test_closing_refuses_connections():
    provider = Provider()
    provider.close()
    with pytest.raises(openai.APIConnectionError):
        chat(provider, max_retries=0)
