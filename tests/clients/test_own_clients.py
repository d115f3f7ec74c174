"""Apps bring clients of their own: subclasses, transports, hooks, copies. Each works as without us."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import anthropic
import httpx
import openai
import openai._base_client
import pydantic
import pytest
from apps import ANSWER, COLOURS, Each, Entered, now, run, shown
from rows import CHAT, KEY, MESSAGES, City
from twice import calls_of, proven, statuses_of, twice

QUICK = "retry-after-ms=1"


def transport_library(sdk: ModuleType) -> ModuleType:
    """The HTTP library that an SDK's clients take: httpx, or httpx2 for the newest."""
    base = sdk._base_client.SyncAPIClient.__init__.__globals__
    return next(base[name] for name in ("httpx2", "httpx") if name in base)


HTTP = transport_library(openai)


def _openai(provider: Any, kind: Any = None, **options: Any) -> Any:
    return (kind or openai.OpenAI)(base_url=provider.openai_url, api_key=KEY, **options)


def _ask(client: Any, **body: Any) -> Any:
    return client.chat.completions.create(**{**CHAT, **body}).choices[0].message.content


class Sub(openai.OpenAI):
    """An app's own kind of client."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        return super().request(*args, **kwargs)


def _subclass(p: Any) -> Any:
    return _ask(_openai(p, Sub))


class Stubborn(HTTP.Client):  # type: ignore[name-defined,misc]
    """Sends again by itself."""

    def send(self, request: Any, **options: Any) -> Any:
        for _ in range(2):
            response = super().send(request, **options)
            if response.status_code < 500:
                return response
            response.close()
        return super().send(request, **options)


def _own_retries(p: Any) -> Any:
    return _ask(_openai(p, http_client=Stubborn(), max_retries=0))


def _own_retries_raw(p: Any) -> Any:
    with Stubborn() as client:
        return client.post(f"{p.openai_url}/chat/completions", json=CHAT).status_code


def _mock(p: Any) -> Any:
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    transport = HTTP.MockTransport(lambda request: HTTP.Response(200, json=body))
    client = _openai(p, http_client=HTTP.Client(transport=transport))
    return client.chat.completions.create(**CHAT).model_dump()


async def _asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    head = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for data in ('{"id":"a","choices":[{"index":0,"delta":{"content":"hi"}}]}', "[DONE]"):
        await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _asgi(p: Any) -> Any:
    async def work() -> Any:
        http = HTTP.AsyncClient(transport=HTTP.ASGITransport(app=_asgi_app))
        client = _openai(p, openai.AsyncOpenAI, http_client=http)
        stream = await client.chat.completions.create(**CHAT, stream=True)
        return [chunk.model_dump() async for chunk in stream]

    return run("async", work())


def _other_library(p: Any) -> Any:
    """openai 2 and 3 take a client of httpx too, whatever their own kind is."""
    return _ask(_openai(p, http_client=httpx.Client()))


def _hook_asks_another(p: Any) -> Any:
    def hook(request: Any) -> None:
        if "chat" in str(request.url):
            client = anthropic.Anthropic(base_url=p.url, api_key=KEY)
            client.messages.create(**MESSAGES)

    return _ask(_openai(p, http_client=HTTP.Client(event_hooks={"request": [hook]})))


def _hook_fails(p: Any) -> Any:
    def hook(response: Any) -> None:
        raise LookupError("the app's own")

    return _ask(_openai(p, http_client=HTTP.Client(event_hooks={"response": [hook]}), max_retries=0))


def _with_options(p: Any) -> Any:
    return _ask(_openai(p).with_options(max_retries=4, timeout=9))


def _without_retries(p: Any) -> Any:
    return _ask(_openai(p).with_options(max_retries=0))


def _deepcopied_result(p: Any) -> Any:
    client = _openai(p)
    answer = client.chat.completions.create(**CHAT)
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    copies = [copy.deepcopy(answer), pickle.loads(pickle.dumps(answer)), copy.copy(answer)]
    response = pickle.loads(pickle.dumps(raw.http_response))
    return [shown(c) for c in copies], type(response).__name__, response.content


def _streamed_response_pickled(p: Any) -> Any:
    with HTTP.Client() as client, client.stream("POST", f"{p.openai_url}/chat/completions", json=CHAT) as r:
        r.read()
        again = pickle.loads(pickle.dumps(r))
        return again.content, again.headers["x-request-id"], shown(copy.copy(r.stream).__class__.__mro__[-2])


def _copied_client(p: Any) -> Any:
    client = _openai(p).copy()
    try:
        copy.deepcopy(client)
        copied = True
    except Exception as error:
        copied = type(error)
    return copied, _ask(client)


def _length_error(p: Any) -> Any:
    return _openai(p).chat.completions.parse(**CHAT, response_format=City, max_tokens=1)


def _invalid_structure(p: Any) -> Any:
    class Narrow(pydantic.BaseModel):
        city: int

    p.script({"answer": {"texts": ['{"city": "Bern"}']}})
    return _openai(p).chat.completions.parse(**CHAT, response_format=Narrow)


def _argument_error(p: Any) -> Any:
    return _openai(p).chat.completions.create(model="m")


def _module_level(p: Any) -> Any:
    openai.api_key, openai.base_url = KEY, p.openai_url + "/"
    try:
        return openai.chat.completions.create(**CHAT).id
    finally:
        openai.api_key = openai.base_url = None
        openai._reset_client()


def _tools_run(p: Any) -> Any:
    """A loop of the SDK's own: each turn is a call."""

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Weather of a city."""
        return f"12 degrees in {city}"

    client = anthropic.Anthropic(base_url=p.url, api_key=KEY)
    runner = client.beta.messages.tool_runner(**MESSAGES, tools=[weather])
    return shown(runner.until_done())


def _auth(p: Any) -> Any:
    """Two requests below one send."""
    auth = httpx.DigestAuth("user", "unused")
    return httpx.post(f"{p.openai_url}/chat/completions", json=CHAT, auth=auth).status_code


Way = tuple[Callable[[Any], Any], Sequence[str], list[list[str]]]
"""What the app does, the provider's script, and for each call the statuses of its attempts."""

WAYS: dict[str, Way] = {
    "subclass": (_subclass, [f"429 {QUICK}", "ok"], [["retrying", "ok"]]),
    "own-retries": (_own_retries, ["500", "500", "ok"], [["error", "error", "ok"]]),
    "own-retries-raw": (_own_retries_raw, ["500", "500", "ok"], [["error"], ["error"], ["ok"]]),
    "mock": (_mock, [], [["ok"]]),
    "asgi": (_asgi, [], [["ok"]]),
    "other-library": (_other_library, [f"429 {QUICK}", "ok"], [["retrying", "ok"]]),
    "hook-asks-another": (_hook_asks_another, [], [["ok"], ["ok"]]),
    "hook-fails": (_hook_fails, [], [["error"]]),
    "with_options": (
        _with_options,
        [f"500 {QUICK}"] * 4 + ["ok"],
        [["retrying"] * 4 + ["ok"]],
    ),
    "without-retries": (_without_retries, [f"500 {QUICK}"], [["error"]]),
    "copied-client": (_copied_client, [], [["ok"]]),
    "copied-result": (_deepcopied_result, [], [["ok"], ["ok"]]),
    "pickled-response": (_streamed_response_pickled, [], [["ok"]]),
    "length-error": (_length_error, [], [["ok"]]),
    "invalid-structure": (_invalid_structure, [], [["ok"]]),
    "argument-error": (_argument_error, [], []),
    "module-level": (_module_level, [], [["ok"]]),
    "tool-runner": (_tools_run, [], [["ok"], ["ok"]]),
    "auth": (_auth, ["401 www-authenticate=Digest/realm=x", "ok"], [["error"]]),
}
CALL_ERRORS = {"length-error", "invalid-structure"}
"""The answer came well, and the client made an error of it."""
NEEDS = {"tool-runner": lambda: hasattr(anthropic, "beta_tool")}


@pytest.mark.parametrize("name", WAYS)
def test_way(name: str, provider: Any, request: Any) -> None:
    if not NEEDS.get(name, lambda: True)():
        pytest.skip("not in this version")
    work, steps, statuses = WAYS[name]
    recording = twice(provider, request, work, steps)
    assert statuses_of(recording) == statuses
    if name not in ("mock", "asgi"):
        proven(recording, provider)
    for call, attempts in zip(calls_of(recording), statuses, strict=True):
        told = "error" if name in CALL_ERRORS else attempts[-1]
        assert call.attributes["llm.status"] == told
        assert call.attributes["llm.attempt"] == len(attempts) - 1


def test_nested_call_is_new(provider: Any, request: Any) -> None:
    """What a hook asks while a request is sent hangs under that attempt, and joins nothing."""
    recording = twice(provider, request, _hook_asks_another)
    outer, inner = calls_of(recording)
    assert (outer.name, inner.name) == (f"chat {CHAT['model']}", f"chat {MESSAGES['model']}")
    (attempt,) = (a for a in recording.attempts if a.parent.span_id == outer.context.span_id)
    assert inner.parent.span_id == attempt.context.span_id
    assert outer.attributes["llm.call_id"] != inner.attributes["llm.call_id"]


CHUNKS = [b"data: {}\n", b"\ndata: ", b'{"choices":[]}', b"\n\n", b"", b"data: [DONE]\n\n", b"after"]


def _body(library: Any, events: list[Any]) -> Any:
    """A body that notes what is asked of it."""

    class Body(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __iter__(self) -> Any:
            for chunk in CHUNKS:
                events.append(("given", chunk))
                yield chunk
            events.append(("end",))

        async def __aiter__(self) -> Any:
            for chunk in self:
                yield chunk

        def close(self) -> None:
            events.append(("closed",))

        async def aclose(self) -> None:
            self.close()

    return Body()


async def _chunk_by_chunk(provider: Any, library: Any, colour: str) -> list[Any]:
    events: list[Any] = []
    head = {"content-type": "text/event-stream"}
    transport = library.MockTransport(
        lambda _: library.Response(200, headers=head, stream=_body(library, events))
    )
    prefix, kind = ("", library.Client) if colour == "sync" else ("a", library.AsyncClient)
    client = kind(transport=transport)
    async with Entered(client.stream("POST", provider.openai_url + "/chat/completions", json=CHAT)) as answer:
        async for chunk in Each(getattr(answer, f"{prefix}iter_raw")()):
            events.append(("got", chunk))
    await now(getattr(client, f"{prefix}close")())
    return events


@pytest.mark.parametrize("module", ["httpx", "httpx2"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_chunks_keep_their_borders(colour: str, module: str, provider: Any, request: Any) -> None:
    """Chunk by chunk, nothing joined, nothing split, nothing read ahead."""
    library = pytest.importorskip(module)
    seen: list[Any] = []

    def work(p: Any) -> Any:
        seen[:] = run(colour, _chunk_by_chunk(p, library, colour))
        return seen

    recording = twice(provider, request, work)
    assert statuses_of(recording) == [["ok"]]
    pairs = [event for chunk in CHUNKS for event in (("given", chunk), ("got", chunk))]
    pairs.remove(("got", b""))  # httpx itself leaves empty ones out
    assert seen == [*pairs, ("end",), ("closed",)]


def test_replies_are_told(provider: Any, recording: Any) -> None:
    """What was answered stands in the transcript."""
    assert _ask(_openai(provider)) == ANSWER
    provider.wait_for(1, finished=True)
    (entry,) = recording.entries_of("provider_call_response")
    assert entry["text"] == ANSWER
    assert json.loads(provider.llm_requests[0].answer)["id"] == entry["response_id"]


class Maker:
    """Keeps what the SDK made of an answer."""

    def _process_response(self, **options: Any) -> Any:
        return self._kept(super()._process_response(**options))  # type: ignore[misc]

    def _kept(self, made: Any) -> Any:
        if not hasattr(made, "__await__"):
            self.made = made
            return made
        return self._awaited(made)

    async def _awaited(self, made: Any) -> Any:
        self.made = await made
        return self.made


KINDS = {
    "sync": type("SyncMaker", (Maker, openai.OpenAI), {}),
    "async": type("AsyncMaker", (Maker, openai.AsyncOpenAI), {}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("colour", COLOURS)
def test_the_object_itself_is_returned(colour: str, stream: bool, provider: Any, recording: Any) -> None:
    """No copy, no proxy: what the SDK made is what the app gets."""

    async def work() -> None:
        client = _openai(provider, KINDS[colour])
        answer = await now(client.chat.completions.create(**CHAT, stream=stream))
        assert answer is client.made
        await now(answer.close() if stream else None)
        await now(client.close())

    run(colour, work())
    assert len(recording.attempts) == 1


@pytest.mark.parametrize("reads", ["close", "break", "all"])
@pytest.mark.parametrize("colour", COLOURS)
def test_connections_are_given_back(colour: str, reads: str, provider: Any, recording: Any) -> None:
    """A client with room for one connection can go on after a stream, however that ended."""

    async def work() -> None:
        http = HTTP.AsyncClient if colour == "async" else HTTP.Client
        limited = http(limits=HTTP.Limits(max_connections=1), timeout=HTTP.Timeout(5, pool=1))
        kind = openai.AsyncOpenAI if colour == "async" else openai.OpenAI
        client = _openai(provider, kind, http_client=limited, max_retries=0)
        for _ in range(3):
            async with Entered(await now(client.chat.completions.create(**CHAT, stream=True))) as stream:
                async for _ in Each(stream):
                    if reads != "all":
                        break
                if reads == "close":
                    await now(stream.close())
        await now(client.close())

    run(colour, work())
    statuses = ["ok"] if reads == "all" else ["abandoned"]
    assert statuses_of(recording) == [statuses] * 3
