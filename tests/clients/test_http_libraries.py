"""requests and aiohttp as apps use them: own sessions, adapters, hooks, ways to read. Each works as without us."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import io
import json
import pickle
import shutil
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from apps import run
from rows import CHAT
from twice import calls_of, proven, statuses_of, twice

from spanscript._hooks.aiohttp import _Bodies

requests = pytest.importorskip("requests")
aiohttp = pytest.importorskip("aiohttp")

PATH = "/v1/chat/completions"
STREAM = {**CHAT, "stream": True}


def _post(p: Any, session: Any = requests, body: Any = CHAT, **options: Any) -> Any:
    return session.post(p.url + PATH, json=body, timeout=20, **options)


def _streamed(p: Any, session: Any = requests, **options: Any) -> Any:
    return _post(p, session, STREAM, stream=True, **options)


class Stubborn(requests.Session):  # type: ignore[name-defined,misc]
    """Sends again by itself."""

    def send(self, request: Any, **options: Any) -> Any:
        for _ in range(2):
            response = super().send(request, **options)
            if response.status_code < 500:
                return response
        return super().send(request, **options)


def _retrying(p: Any, **options: Any) -> Any:
    retry = requests.adapters.Retry(
        3, status_forcelist=[500, 503], allowed_methods=None, backoff_factor=0, **options
    )
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        return _post(p, session).status_code


class InMemory(requests.adapters.BaseAdapter):  # type: ignore[name-defined,misc]
    """Answers without a network, and with a file in the place of urllib3's response."""

    def send(self, request: Any, **_: Any) -> Any:
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        response.headers["content-type"] = "application/json"
        response.raw = io.BytesIO(b'{"choices": []}')
        return response

    def close(self) -> None:
        """Nothing to close."""


def _own_adapter(p: Any, **options: Any) -> Any:
    with requests.Session() as session:
        session.mount("http://", InMemory())
        return _post(p, session, **options).json()


def _pickled(p: Any) -> Any:
    found = pickle.loads(pickle.dumps(_post(p))), pickle.loads(pickle.dumps(_streamed(p)))
    return [(type(r).__name__, r.content, r.headers["x-request-id"]) for r in found]


def _copied_to_a_file(p: Any) -> Any:
    file = io.BytesIO()
    with _streamed(p) as response:
        shutil.copyfileobj(response.raw, file, 50)
    return file.getvalue()


def _read_in_pieces(p: Any) -> Any:
    raw = _streamed(p).raw
    into = bytearray(30)
    return [raw.read(10), raw.readinto(into), bytes(into), raw.read(7, decode_content=True), raw.read()]


def _hooked(p: Any) -> Any:
    seen = []

    def hook(response: Any, **_: Any) -> None:
        seen.append(response.status_code)

    return _post(p, hooks={"response": hook}).status_code, seen


def _reading_hook(p: Any) -> Any:
    """An app's hook has read the stream when it comes to us."""

    def hook(response: Any, **_: Any) -> None:
        response.content  # noqa: B018  # this reads it

    return b"".join(_streamed(p, hooks={"response": hook}).iter_content(100))


def _failing_hook(p: Any) -> Any:
    def hook(response: Any, **_: Any) -> None:
        raise LookupError("the app's own")

    return _post(p, hooks={"response": hook})


def _digest(p: Any) -> Any:
    return _post(p, auth=requests.auth.HTTPDigestAuth("user", "unused")).status_code


def _text_body(p: Any) -> Any:
    body = json.dumps(CHAT, ensure_ascii=True)
    return requests.post(p.url + PATH, data=body, timeout=20).status_code


def _prepared(p: Any) -> Any:
    with requests.Session() as session:
        session.headers["authorization"] = "Bearer unused"
        request = session.prepare_request(requests.Request("post", p.url + PATH + "?x=1", json=CHAT))
        return [session.send(request).status_code for _ in range(2)]


def _kinds(p: Any) -> Any:
    response = _streamed(p)
    raw = response.raw
    kinds = type(raw).__name__, type(raw).__module__, isinstance(raw, io.IOBase), raw.readable()
    generator = inspect.isgenerator(raw.stream(10)), hasattr(raw, "read1")
    response.close()
    return kinds, generator, raw.closed


Way = tuple[Callable[[Any], Any], Sequence[str], list[list[str]]]
"""What the app does, the provider's script, and for each call the statuses of its attempts."""

REQUESTS: dict[str, Way] = {
    "own-retries": (
        lambda p: _post(p, Stubborn()).status_code,
        ["500", "500", "ok"],
        [["error"], ["error"], ["ok"]],
    ),
    "retries-below": (_retrying, ["500", "503", "ok"], [["ok"]]),
    "retries-below-in-vain": (partial(_retrying, raise_on_status=False), ["500"] * 4, [["error"]]),
    "own-adapter": (_own_adapter, [], [["ok"]]),
    "own-adapter-stream": (partial(_own_adapter, stream=True), [], [["abandoned"]]),
    "pickled": (_pickled, [], [["ok"], ["ok"]]),
    "copied-to-a-file": (_copied_to_a_file, [], [["ok"]]),
    "copied-compressed": (_copied_to_a_file, ["gzip"], [["ok"]]),
    "read-in-pieces": (_read_in_pieces, [], [["ok"]]),
    "iterated": (lambda p: list(_streamed(p)), ["gzip"], [["ok"]]),
    "text": (lambda p: _streamed(p).text, ["gzip"], [["ok"]]),
    "lines": (lambda p: list(_streamed(p).iter_lines(decode_unicode=True)), [], [["ok"]]),
    "left-by-with": (lambda p: _streamed(p).__exit__(), [], [["abandoned"]]),
    "dropped": (lambda p: _streamed(p).status_code, [], [["abandoned"]]),
    "kinds": (_kinds, [], [["abandoned"]]),
    "hook": (_hooked, [], [["ok"]]),
    "hook-reads": (_reading_hook, [], [["ok"]]),
    "hook-fails": (_failing_hook, [], [["error"]]),
    "auth": (_digest, ["401 www-authenticate=Digest/realm=x", "ok"], [["error"]]),
    "text-body": (_text_body, [], [["ok"]]),
    "prepared": (_prepared, [], [["ok"], ["ok"]]),
}


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # aiohttp discourages this

    class Sub(aiohttp.ClientSession):  # type: ignore[name-defined,misc]
        """An app's own kind of session."""

        async def _request(self, *args: Any, **kwargs: Any) -> Any:
            return await super()._request(*args, **kwargs)


Asks = Callable[[Any], Any]


def _in_session(ask: Asks, kind: Any = aiohttp.ClientSession, **options: Any) -> Callable[[Any], Any]:
    """Provider → what *ask* gives for a session."""

    async def work(provider: Any) -> Any:
        async with kind(provider.url, **options) as session:
            return await ask(session)

    return lambda provider: run("async", work(provider))


async def _json(session: Any, **options: Any) -> Any:
    async with session.post(PATH, **(options or {"json": CHAT})) as response:
        return response.status, await response.json()


async def _raising(session: Any) -> Any:
    async with session.post(PATH, json=CHAT, raise_for_status=True) as response:
        return await response.json()


async def _raised_after(session: Any) -> Any:
    async with session.post(PATH, json=CHAT) as response:
        response.raise_for_status()


async def _as_sent(session: Any) -> Any:
    async with session.post(PATH, json=STREAM) as response:
        return await response.content.read()


async def _every_way(session: Any) -> Any:
    content = (await session.post(PATH, json=STREAM)).content
    seen = [await content.readexactly(10), await content.readline(), await content.readexactly(5)]
    seen.append(type(content).__name__)
    return [*seen, await content.readuntil(b"\n\n"), await content.read(), content.at_eof()]


async def _http_chunks(session: Any) -> Any:
    async with session.post(PATH, json=STREAM) as response:
        return b"".join([data async for data, _ in response.content.iter_chunks()])


async def _after(what: str, session: Any) -> Any:
    response = await session.post(PATH, json=STREAM)
    line = await response.content.readline()
    getattr(response, what)()
    with contextlib.suppress(aiohttp.ClientConnectionError):
        await response.content.readline()
    return line


async def _released(session: Any) -> Any:
    response = await session.post(PATH, json=STREAM)
    await response.content.readline()
    await session.close()
    del response
    gc.collect()


async def _timed_out(session: Any) -> Any:
    async with session.post(PATH, json=STREAM) as response:
        return await response.read()


async def _given_up(session: Any) -> Any:
    response = await session.post(PATH, json=STREAM)
    return await asyncio.wait_for(response.read(), 0.1)


async def _traced(provider: Any) -> Any:
    seen: list[str] = []
    config = aiohttp.TraceConfig()
    for name in ("request_start", "request_chunk_sent", "response_chunk_received", "request_end"):

        async def note(_session: Any, _context: Any, told: Any, name: str = name) -> None:
            seen.append(name + str(getattr(told, "chunk", "")))

        getattr(config, f"on_{name}").append(note)
    async with aiohttp.ClientSession(provider.url, trace_configs=[config]) as session:
        return await _json(session), seen


async def _again(request: Any, handler: Any) -> Any:
    """A middleware that sends again by itself."""
    response = await handler(request)
    if response.status >= 500:
        response.close()
        response = await handler(request)
    return response


def _emptying(seen: list[str]) -> Callable[[Any], str]:
    """A serialiser that changes what it is given: it must be asked once."""

    def dumps(value: Any) -> str:
        seen.append("serialised")
        return json.dumps({**value, "messages": list(value["messages"])})

    return dumps


async def _serialised_once(provider: Any) -> Any:
    seen: list[str] = []
    async with aiohttp.ClientSession(provider.url, json_serialize=_emptying(seen)) as session:
        return await _json(session, json={**CHAT, "messages": iter(CHAT["messages"])}), seen


async def _by_aiohttp_request(provider: Any) -> Any:
    async with aiohttp.request("post", provider.url + PATH, json=CHAT) as response:
        return await response.text()


BODY = json.dumps(CHAT)
GZIP = {"accept-encoding": "gzip"}

AIOHTTP: dict[str, Way] = {
    "subclass": (_in_session(_json, Sub), [], [["ok"]]),
    "raise-for-status": (_in_session(_raising), ["429"], [["error"]]),
    "raise-for-status-session": (_in_session(_json, raise_for_status=True), ["500"], [["error"]]),
    "raised-after": (_in_session(_raised_after), ["400"], [["error"]]),
    "as-sent": (_in_session(_as_sent, auto_decompress=False, headers=GZIP), ["gzip"], [["ok"]]),
    "decompressed": (_in_session(_as_sent, headers=GZIP), ["gzip"], [["ok"]]),
    "every-way": (_in_session(_every_way), [], [["ok"]]),
    "http-chunks": (_in_session(_http_chunks), [], [["ok"]]),
    "closed": (_in_session(partial(_after, "close")), ["hang after=6"], [["abandoned"]]),
    "released": (_in_session(partial(_after, "release")), ["hang after=6"], [["abandoned"]]),
    "session-closed": (_in_session(_released), ["hang after=6"], [["abandoned"]]),
    "timed-out": (
        _in_session(_timed_out, timeout=aiohttp.ClientTimeout(sock_read=0.1)),
        ["hang after=6"],
        [["error"]],
    ),
    "given-up": (_in_session(_given_up), ["hang after=6"], [["cancelled"]]),
    "traced": (lambda p: run("async", _traced(p)), [], [["ok"]]),
    "middleware": (_in_session(_json, middlewares=[_again]), ["500", "ok"], [["ok"]]),
    "bytes": (_in_session(partial(_json, data=BODY.encode())), [], [["ok"]]),
    "text-body": (_in_session(partial(_json, data=BODY)), [], [["ok"]]),
    "payload": (_in_session(lambda s: _json(s, data=aiohttp.JsonPayload(CHAT))), [], [["ok"]]),
    "serialised-once": (lambda p: run("async", _serialised_once(p)), [], [["ok"]]),
    "not-serialisable": (_in_session(partial(_json, json={"x": object()})), [], []),
    "both-bodies": (_in_session(partial(_json, json=CHAT, data=BODY)), [], [["error"]]),
    "request": (lambda p: run("async", _by_aiohttp_request(p)), [], [["ok"]]),
}
NEEDS = {"middleware": hasattr(aiohttp, "ClientMiddlewareType")}
LEGS = {
    "retries-below": (500, 503, 200),
    "retries-below-in-vain": (500, 500, 500, 500),
    "middleware": (500, 200),
}
UNSENT = {"own-adapter", "own-adapter-stream", "both-bodies"}
SEVERAL_REQUESTS = {*LEGS, "auth"}


@pytest.mark.parametrize(
    ("name", "way"),
    [*REQUESTS.items(), *AIOHTTP.items()],
    ids=[*(f"requests-{n}" for n in REQUESTS), *(f"aiohttp-{n}" for n in AIOHTTP)],
)
def test_way(name: str, way: Way, provider: Any, request: Any) -> None:
    if not NEEDS.get(name, True):
        pytest.skip("not in this version")
    work, steps, statuses = way
    recording = twice(provider, request, work, steps)
    assert statuses_of(recording) == statuses
    if name not in UNSENT | SEVERAL_REQUESTS and statuses:
        proven(recording, provider)
    for call, attempts in zip(calls_of(recording), statuses, strict=True):
        assert call.attributes["llm.status"] == attempts[-1]
    if name in LEGS:
        (attempt,) = recording.attempts
        assert attempt.attributes["llm.http_statuses"] == LEGS[name]


def test_what_is_raised_for_a_status_is_judged_by_it(provider: Any, request: Any) -> None:
    recording = twice(provider, request, _in_session(_raising), ["429 retry-after-ms=5"])
    told = recording.attempts[0].attributes
    assert told["http.response.status_code"] == 429
    assert told["llm.retryable"] is True
    assert told["llm.retry_after_ms"] == 5


async def _produced(content: Any) -> Any:
    for piece in content:
        yield piece


def _form() -> Any:
    form = aiohttp.FormData()
    form.add_field("model", "m")
    return form


OTHER: dict[str, Callable[[Any], Any]] = {
    "requests-get": lambda p: requests.get(p.url + PATH, timeout=20).text,
    "requests-post": lambda p: requests.post(p.url + "/api/orders", json=CHAT, timeout=20).text,
    "requests-stream": lambda p: list(
        requests.post(p.url + "/api/orders", json=CHAT, timeout=20, stream=True).iter_content(10)
    ),
    "requests-produced": lambda p: (
        requests.post(p.url + PATH, data=(piece for piece in [b"{}"]), timeout=20).text
    ),
    "requests-file": lambda p: requests.post(p.url + PATH, data=io.BytesIO(BODY.encode()), timeout=20).text,
    "requests-room": lambda p: (
        requests.post(p.url + "/rooms/7/messages", json={"messages": [{"text": "hello"}]}, timeout=20).text
    ),
    "aiohttp-get": _in_session(lambda s: _read(s.get(PATH))),
    "aiohttp-post": _in_session(lambda s: _read(s.post("/api/orders", json=CHAT))),
    "aiohttp-room": _in_session(lambda s: _read(s.post("/rooms/7/messages", json={"text": "hello"}))),
    "aiohttp-produced": _in_session(lambda s: _read(s.post(PATH, data=_produced([b"{}"])))),
    "aiohttp-file": _in_session(lambda s: _read(s.post(PATH, data=io.BytesIO(BODY.encode())))),
    "aiohttp-form": _in_session(lambda s: _read(s.post(PATH, data=_form()))),
    "aiohttp-no-body": _in_session(lambda s: _read(s.post(PATH))),
}


async def _read(asked: Any) -> Any:
    async with asked as response:
        return response.status, await response.read()


@pytest.mark.parametrize("work", OTHER.values(), ids=OTHER.keys())
def test_other_traffic(work: Callable[[Any], Any], provider: Any, request: Any) -> None:
    """Nothing is recorded, and nothing is consumed that the app produces."""
    recording = twice(provider, request, work)
    assert calls_of(recording) == []
    assert recording.attempts == []


def test_other_answers_keep_their_classes(provider: Any, recording: Any) -> None:
    """What is no call is not touched at all."""
    from urllib3.response import HTTPResponse

    response = requests.post(provider.url + "/api/orders", json=CHAT, timeout=20, stream=True)
    assert type(response.raw) is HTTPResponse
    response.close()

    async def work(session: Any) -> Any:
        response = await session.post("/api/orders", json=CHAT)
        return type(response.content)

    assert _in_session(work)(provider) is aiohttp.StreamReader


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("library", ["requests", "aiohttp"])
def test_redirect(library: str, status: int, provider: Any, request: Any) -> None:
    """One send, two requests below it: one attempt, which names both statuses."""
    work = {"requests": lambda p: _post(p).text, "aiohttp": _in_session(_json)}[library]
    recording = twice(provider, request, work, [str(status), "ok"])
    (attempt,) = recording.attempts
    assert attempt.attributes["llm.http_statuses"][0] == status
    assert len(attempt.attributes["llm.http_statuses"]) == 2
    assert len(calls_of(recording)) == 1


READS = ("close", "break", "all")


@pytest.mark.parametrize("reads", READS)
def test_connections_of_requests_are_given_back(reads: str, provider: Any, recording: Any) -> None:
    """A session with room for one connection can go on after a stream, however that ended."""
    with requests.Session() as session:
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=1, pool_block=True)
        session.mount("http://", adapter)
        for _ in range(3):
            with _streamed(provider, session) as response:
                for _line in response.iter_lines():
                    if reads != "all":
                        break
                if reads == "close":
                    response.close()
    assert statuses_of(recording) == [["ok"] if reads == "all" else ["abandoned"]] * 3


@pytest.mark.parametrize("reads", READS)
def test_connections_of_aiohttp_are_given_back(reads: str, provider: Any, recording: Any) -> None:
    async def work() -> None:
        connector = aiohttp.TCPConnector(limit=1)
        timeout = aiohttp.ClientTimeout(connect=5)
        async with aiohttp.ClientSession(provider.url, connector=connector, timeout=timeout) as session:
            for _ in range(3):
                async with session.post(PATH, json=STREAM) as response:
                    async for _line in response.content:
                        if reads != "all":
                            break
                    if reads == "close":
                        response.close()

    run("async", work())
    assert statuses_of(recording) == [["ok"] if reads == "all" else ["abandoned"]] * 3


def test_nothing_is_kept_of_what_is_over(provider: Any, recording: Any) -> None:
    """The table beside the readers holds none that is gone."""
    before = _kept()
    for ask in (_json, _as_sent, _http_chunks):
        _in_session(ask)(provider)
    assert len(recording.attempts) == 3
    assert _kept() == before


def _kept() -> int:
    gc.collect()
    return sum(len(bodies._attempts) for bodies in gc.get_objects() if isinstance(bodies, _Bodies))
