"""
Attempts of aiohttp.

`ClientSession._request` sees every request once; redirects and middlewares are below it. It returns before
the body is read, which arrives by itself: what is seen of it is what the app takes, when it takes it.

All ways to read a body end in a few functions of `StreamReader`. So that gets a class of its own. It has
slots, with no room for an attribute or a weak reference: its attempt stands in a table beside it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

from spanscript import _dialects
from spanscript._attempt import Attempt
from spanscript._calls import Calls, Sending
from spanscript._guard import guarded
from spanscript._hooks._legs import legs
from spanscript._hooks._reading import Step
from spanscript._hooks._sending import Headers, kept, pause, sending, text_headers
from spanscript._patch import Wrapper
from spanscript._unread import end_unread, watch


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is aiohttp."""
    _, leg = legs(lambda response: ([response.status], response.raw_headers))
    return {"ClientSession._request": _Hook(module, calls).request, "ClientResponse.start": leg}


class _Hook:
    def __init__(self, module: ModuleType, calls: Calls) -> None:
        self._calls = calls
        self._payload = module.payload
        self._reader = module.StreamReader
        self._bodies = _Bodies(module.ClientConnectionError)
        self._tee = _tee(module, self._bodies)

    async def request(
        self, wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Any, kwargs: Any
    ) -> Any:
        url = self._url(instance, *args, **kwargs)
        if url is None:
            return await wrapped(*args, **kwargs)
        kwargs = self._serialised(instance, kwargs)
        sending = self._begin(url, instance, kwargs)
        if sending is None:
            return await wrapped(*args, **kwargs)
        while seconds := sending.wait():
            await pause(seconds)
        with sending as attempt:
            response = await wrapped(*args, **kwargs)
        if attempt is not None:
            self._take(attempt, response, instance, kwargs)
        return response

    @guarded
    def _url(self, session: Any, method: str, str_or_url: Any, **_: Any) -> str | None:
        """Where it goes, if that may be a request for a model's answer."""
        if method.upper() != _dialects.METHOD:
            return None
        url = str(str_or_url)
        if "://" not in url:
            url = str(session._build_url(str_or_url))  # noqa: SLF001
        return url if _dialects.find(_dialects.METHOD, url.partition("?")[0]) else None

    def _serialised(self, session: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """
        Make of `json` the payload that the session would make of it, so that it is serialised once.

        What the app's own serialiser raises is the app's, so this is not guarded.
        """
        value = kwargs.get("json")
        if value is None or kwargs.get("data") is not None:
            return kwargs
        to_bytes = getattr(session, "_json_serialize_bytes", None)
        if to_bytes is None:
            payload = self._payload.JsonPayload(value, dumps=session.json_serialize)
        else:
            payload = self._payload.JsonBytesPayload(value, dumps=to_bytes)
        return {**kwargs, "json": None, "data": payload}

    @guarded
    def _begin(self, url: str, session: Any, kwargs: dict[str, Any]) -> Sending | None:
        def body() -> tuple[Headers, bytes | None]:
            own = kwargs.get("headers")
            headers = [*session.headers.items(), *(own.items() if isinstance(own, Mapping) else ())]
            return text_headers(headers), self._content(kwargs.get("data"))

        return sending(self._calls, "aiohttp", _dialects.METHOD, url, body)

    def _content(self, data: Any) -> bytes | None:
        """The bytes to be sent; what is read while it is sent, such as a file or a form, is left alone."""
        if isinstance(data, self._payload.BytesPayload):
            data = data._value  # noqa: SLF001
        if isinstance(data, str):
            return data.encode("utf-8", "replace")
        return bytes(data) if isinstance(data, bytes | bytearray | memoryview) else None

    @guarded
    def _take(self, attempt: Attempt, response: Any, session: Any, kwargs: dict[str, Any]) -> None:
        headers = kept(response.raw_headers)
        asked = kwargs.get("auto_decompress")
        if session.auto_decompress if asked is None else asked:
            headers.pop("content-encoding", None)
        attempt.respond(response.status, headers)
        content = response.content
        if type(content) is not self._reader or content.at_eof():
            # There is no body, or the app has put in something of its own that gives it.
            attempt.end("eof" if isinstance(content, self._reader) else "closed")
            return
        content.__class__ = self._tee
        self._bodies.add(content, attempt)


class _Bodies:
    """The attempts of bodies that are still to be read, by their readers."""

    def __init__(self, closed: type[BaseException]) -> None:
        self._attempts: dict[int, Attempt] = {}
        self._closed = closed

    def add(self, reader: Any, attempt: Attempt) -> None:
        """Begin."""
        self._attempts[id(reader)] = attempt
        watch(attempt)

    def step(self, reader: Any) -> AbstractContextManager[None]:
        """To wait for more in."""
        attempt = self._attempts.get(id(reader))
        return nullcontext() if attempt is None else Step(attempt)

    @guarded
    def took(self, reader: Any, data: bytes) -> None:
        """The app takes some bytes."""
        attempt = self._attempts[id(reader)]
        attempt.chunk(data)
        if reader.at_eof():
            attempt.end("eof")

    @guarded
    def came(self, reader: Any) -> None:
        """All has arrived; what the app has still to take, it may take yet."""
        if reader.at_eof():
            self._attempts[id(reader)].end("eof")

    @guarded
    def broke(self, reader: Any, error: BaseException) -> None:
        """Nothing more can be read: by an error, or because the app has closed the response."""
        attempt = self._attempts[id(reader)]
        if type(error) is self._closed:
            attempt.end("closed")
        else:
            attempt.fail(error)

    def pop(self, reader: Any) -> Attempt | None:
        """Forget one."""
        return self._attempts.pop(id(reader), None)


def _tee(module: ModuleType, bodies: _Bodies) -> type[Any]:
    """Make the class of a reader that is seen."""

    class Tee(module.StreamReader):  # type: ignore[name-defined,misc]
        """The body of an answer, on its way to the app."""

        __slots__ = ()

        def _read_nowait_chunk(self, n: int) -> bytes:
            data: bytes = super()._read_nowait_chunk(n)
            bodies.took(self, data)
            return data

        async def _wait(self, func_name: str) -> None:
            with bodies.step(self):
                await super()._wait(func_name)

        def feed_eof(self) -> None:
            super().feed_eof()
            bodies.came(self)

        def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
            super().set_exception(exc, *cause)
            bodies.broke(self, exc)

        def __del__(self) -> None:
            attempt = bodies.pop(self)
            if attempt is not None:
                end_unread(attempt)

    for name in ("__name__", "__qualname__", "__module__"):
        setattr(Tee, name, getattr(module.StreamReader, name))
    return Tee
