"""boto3 as apps use it: ways to read a body, stubs, event handlers, errors in a stream. Each works as without us."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from rows.boto3 import BODIES, CLAUDE, CONVERSE, client_of
from twice import calls_of, proven, statuses_of, twice

pytest.importorskip("boto3")

_LLAMA, _LLAMA_BODY = BODIES["llama"]


def _client(p: Any, **config: Any) -> Any:
    return client_of(p.url, **config)


def _body(p: Any, streamed: bool = False) -> Any:
    client = _client(p)
    name = "invoke_model_with_response_stream" if streamed else "invoke_model"
    return getattr(client, name)(modelId=_LLAMA.model, body=json.dumps(_LLAMA_BODY))["body"]


def _in_pieces(p: Any) -> Any:
    body = _body(p)
    into = bytearray(5)
    pieces = [body.read(10), body.tell()]
    if hasattr(body, "readinto"):
        pieces += [body.readinto(into), bytes(into)]
    return [*pieces, body.read(7), *body.iter_chunks(16), body.read()]


def _to_the_last_byte(p: Any) -> Any:
    """Who knows the length reads no end."""
    body = _body(p)
    return body.read(int(body._content_length))


def _by_lines(p: Any) -> Any:
    return list(_body(p).iter_lines(chunk_size=9))


def _in_a_context(p: Any) -> Any:
    with _body(p) as body:
        return body.read()


def _closed_unread(p: Any) -> Any:
    _body(p).close()


def _timeout_set_late(p: Any) -> Any:
    body = _body(p)
    body.set_socket_timeout(20)
    return body.read()


def _stream_closed(p: Any) -> Any:
    stream = _client(p).converse_stream(**CONVERSE)["stream"]
    first = next(iter(stream))
    stream.close()
    return first


def _stream_left_at_its_end(p: Any) -> Any:
    """Nobody reads on after the last event: the answer is there, and the connection with it."""
    stream = _client(p).converse_stream(**CONVERSE)["stream"]
    for event in stream:
        if "metadata" in event:
            break
    return event["metadata"]["usage"]


def _dropped(p: Any) -> Any:
    _client(p).converse_stream(**CONVERSE)
    gc.collect()


def _raising(p: Any) -> Any:
    return list(_client(p).converse_stream(**CONVERSE)["stream"])


def _too_late(p: Any) -> Any:
    return _client(p, retries={"max_attempts": 0}, read_timeout=1).converse(**CONVERSE)


def _stream_too_late(p: Any) -> Any:
    return list(_client(p, read_timeout=1).converse_stream(**CONVERSE)["stream"])


def _bytes_of_a_body(p: Any) -> Any:
    model = BODIES["claude"][0].model
    return _client(p).invoke_model(modelId=model, body=bytearray(json.dumps(CLAUDE), "utf-8"))["body"].read()


def _handlers(p: Any) -> Any:
    """An app's own handlers of botocore's events."""
    seen: list[str] = []
    client = _client(p)
    events = client.meta.events
    events.register("before-send.*.*", lambda request, **_: seen.append(request.method))
    events.register("after-call.*.*", lambda parsed, **_: seen.append(parsed["stopReason"]))
    client.converse(**CONVERSE)
    return seen


def _by_arn(p: Any) -> Any:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    return _client(p).converse(**{**CONVERSE, "modelId": arn})["stopReason"]


def _with_tools(p: Any) -> Any:
    schema = {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}
    tools = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": schema}}]}
    return [*_client(p).converse_stream(**CONVERSE, toolConfig=tools)["stream"]]


def _wrong_parameters(p: Any) -> Any:
    return _client(p).converse(modelId="m", messages=[{"role": "user", "content": "no list"}])


_NO_STREAM = {
    "raw": ["<html>what is this</html>"],
    "headers": {"content-type": "application/vnd.amazon.eventstream"},
}
Way = tuple[Callable[[Any], Any], Sequence[Any], Sequence[Sequence[str]]]
WAYS: dict[str, Way] = {
    "pieces": (_in_pieces, [], [["ok"]]),
    "last-byte": (_to_the_last_byte, [], [["ok"]]),
    "lines": (_by_lines, [], [["ok"]]),
    "context": (_in_a_context, [], [["ok"]]),
    "closed-unread": (_closed_unread, [], [["abandoned"]]),
    "late-timeout": (_timeout_set_late, [], [["ok"]]),
    "stream-closed": (_stream_closed, ["hang after=4"], [["abandoned"]]),
    "left-at-its-end": (_stream_left_at_its_end, [], [["ok"]]),
    "dropped": (_dropped, [], [["abandoned"]]),
    "bytes": (_bytes_of_a_body, [], [["ok"]]),
    "handlers": (_handlers, [], [["ok"]]),
    "arn": (_by_arn, [], [["ok"]]),
    "tools": (_with_tools, [], [["ok"]]),
    "timeout": (_too_late, ["hang"], [["error"]]),
    "stream-timeout": (_stream_too_late, ["hang after=4"], [["error"]]),
    "error-frame": (_raising, ["error after=3"], [["error"]]),
    "no-frame": (_raising, ["malformed after=3"], [["error"]]),
    "no-stream": (_raising, [_NO_STREAM], [["error"]]),
}


@pytest.mark.parametrize("name", WAYS)
def test_way(name: str, provider: Any, request: Any) -> None:
    work, steps, statuses = WAYS[name]
    recording = twice(provider, request, work, steps)
    assert statuses_of(recording) == statuses
    proven(recording, provider)


def test_errors_have_their_names(provider: Any, request: Any) -> None:
    """A name in a header, or in a frame."""
    recording = twice(
        provider, request, lambda p: _client(p, retries={"max_attempts": 0}).converse(**CONVERSE), ["429"]
    )
    assert [a.attributes["error.type"] for a in recording.attempts] == ["ThrottlingException"]
    assert recording.attempts[0].attributes["llm.retryable"] is True


def test_error_frame_has_its_name(provider: Any, request: Any) -> None:
    recording = twice(provider, request, _raising, ["error after=3"])
    assert [a.attributes["error.type"] for a in recording.attempts] == ["modelStreamErrorException"]


def test_nothing_is_sent(provider: Any, request: Any) -> None:
    """What the client refuses itself is a call that failed, with no attempt."""
    recording = twice(provider, request, _wrong_parameters)
    (call,) = calls_of(recording)
    assert call.attributes["error.type"] == "botocore.exceptions.ParamValidationError"
    assert recording.attempts == []


def test_stubbed(provider: Any, request: Any) -> None:
    """A stub answers before anything is sent: the call is told, with no attempt."""
    stub = pytest.importorskip("botocore.stub")

    def work(p: Any) -> Any:
        client = _client(p)
        with stub.Stubber(client) as stubber:
            output = {"message": {"role": "assistant", "content": [{"text": "stubbed"}]}}
            told = {
                "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
                "metrics": {"latencyMs": 1},
            }
            stubber.add_response("converse", {"output": output, "stopReason": "end_turn", **told}, CONVERSE)
            return client.converse(**CONVERSE)["output"]

    recording = twice(provider, request, work)
    assert statuses_of(recording) == [[]]


def test_other_services_are_left_alone(provider: Any, request: Any) -> None:
    def work(p: Any) -> Any:
        client = client_of(p.url, service="bedrock", retries={"max_attempts": 0})
        return client.list_foundation_models()

    recording = twice(provider, request, work)
    assert calls_of(recording) == []


def test_counts_in_headers(provider: Any, request: Any) -> None:
    """Nova's embeddings tell no tokens themselves."""
    params = {"embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 4}
    body = {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {**params, "text": {"value": "some words"}},
    }

    def work(p: Any) -> Any:
        model = "amazon.nova-2-multimodal-embeddings-v1:0"
        return _client(p).invoke_model(modelId=model, body=json.dumps(body))["body"].read()

    recording = twice(provider, request, work)
    (call,) = calls_of(recording)
    header = provider.llm_requests[0].answer_headers["x-amzn-bedrock-input-token-count"]
    assert call.attributes["gen_ai.usage.input_tokens"] == int(header)
    assert call.attributes["gen_ai.embeddings.dimension.count"] == 4
    assert call.attributes["gen_ai.operation.name"] == "embeddings"


def test_a_file_is_left_alone(provider: Any, request: Any) -> None:
    """What is read while it is sent is not touched."""

    def work(p: Any) -> Any:
        file = io.BytesIO(json.dumps(_LLAMA_BODY).encode())
        return _client(p).invoke_model(modelId=_LLAMA.model, body=file)["body"].read()

    recording = twice(provider, request, work)
    assert recording.attempts == []
