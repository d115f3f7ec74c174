"""
Attempts of httpx and of httpx2, which has the same names: one file for both.

`Client.send` sees every attempt of every client once. The body of a streamed answer is seen by a stream
of the library's own kind in the place of `response.stream`: it reads nothing ahead, and passes on
whatever it does not know (`anthropic` looks up `stream_observer` there, `httpx2` reads `elapsed`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from spanscript import _dialects
from spanscript._attempt import Attempt, Wire
from spanscript._calls import Calls, Sending
from spanscript._forms import Field, summary, summary_of
from spanscript._guard import guarded
from spanscript._hooks._legs import legs
from spanscript._hooks._reading import Reading, Seen
from spanscript._hooks._sending import PORTS, around, around_async, kept
from spanscript._patch import Wrapper
from spanscript._secrets import remember


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is httpx or httpx2."""
    hook = _Hook(module, calls)
    leg, aleg = legs(lambda response: ([response.status_code], response.headers.raw))
    return {
        "Client.send": around(hook.begin, partial(hook.take, hook.tee)),
        "AsyncClient.send": around_async(hook.begin, partial(hook.take, hook.atee)),
        "HTTPTransport.handle_request": leg,
        "AsyncHTTPTransport.handle_async_request": aleg,
    }


class _Hook:
    def __init__(self, module: ModuleType, calls: Calls) -> None:
        self._name = module.__name__
        self._calls = calls
        self.tee, self.atee = _tees(module)
        self._request_not_read = module.RequestNotRead
        self._response_not_read = module.ResponseNotRead

    @guarded
    def begin(self, request: Any, **_: Any) -> Sending | None:
        if request.method != _dialects.METHOD:
            return None  # before the URL, which httpx puts together anew each time it is asked
        url = request.url
        path = url.raw_path.partition(b"?")[0].decode("ascii")
        match = _dialects.find(request.method, path)
        if match is None:
            return None
        content, is_form = self._content(request)
        if content is None:
            return None
        shown = f"{url.scheme}://{url.netloc.decode('ascii')}{path}"
        remember(request.headers.raw)
        port = url.port or PORTS.get(url.scheme)
        wire = Wire(request.method, shown, url.host, port, content, is_form)
        return self._calls.sending(match, wire, self._name)

    def _content(self, request: Any) -> tuple[bytes | None, bool]:
        """The body, or what tells of it if it is a form; and whether it is one."""
        try:
            content = request.content
        except self._request_not_read:  # a form, or an upload that no LLM request is
            fields = getattr(request.stream, "fields", None)
            return (None if fields is None else summary(map(_field, fields))), True
        told = summary_of(content, request.headers.get("content-type", ""))
        return (content, False) if told is None else (told, True)

    @guarded
    def take(self, tee: Callable[[Any, Attempt], Any], attempt: Attempt, response: Any) -> None:
        attempt.respond(response.status_code, kept(response.headers.raw))
        try:
            body = response.content
        except self._response_not_read:
            response.stream = tee(response.stream, attempt)
        else:
            attempt.whole(body)


def _field(field: Any) -> Field:
    """A field of a form that is to be sent. Of a file nothing is read; the library knows its length."""
    if hasattr(field, "file"):
        length = field.get_length()
        return Field(
            field.name,
            filename=field.filename,
            content_type=field.headers.get("Content-Type"),
            size=None if length is None else length - len(field.render_headers()),
        )
    value = field.value
    return Field(field.name, text=value if isinstance(value, str) else value.decode("utf-8", "replace"))


def _tees(module: ModuleType) -> tuple[type[Seen], type[Seen]]:
    """Make the two streams, of *module*'s own kinds: it asserts them."""

    class Tee(Seen, module.SyncByteStream):  # type: ignore[name-defined,misc]
        """The body of an answer, seen on its way to the app."""

        def __iter__(self) -> Iterator[bytes]:
            with Reading(self._attempt) as see:
                for chunk in self._stream:
                    see(chunk)
                    yield chunk

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._attempt.end("closed")

    class AsyncTee(Seen, module.AsyncByteStream):  # type: ignore[name-defined,misc]
        """The same of an asynchronous body."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            chunks = self._stream.__aiter__()
            try:
                with Reading(self._attempt) as see:
                    async for chunk in chunks:
                        see(chunk)
                        yield chunk
            finally:
                # Else the event loop would close a generator in there later, in another task.
                if hasattr(chunks, "aclose"):
                    await chunks.aclose()

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._attempt.end("closed")

    return Tee, AsyncTee
