"""
Attempts of httpx and of httpx2, which has the same names: one file for both.

`Client.send` sees every attempt of every client once. The body of a streamed answer is seen by a stream
of the library's own kind in the place of `response.stream`: it reads nothing ahead, and passes on
whatever it does not know (`anthropic` looks up `stream_observer` there, `httpx2` reads `elapsed`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from types import ModuleType, TracebackType
from typing import Any

from spanscript import _dialects
from spanscript._attempt import Attempt, Wire
from spanscript._calls import Calls, Sending, current_attempt
from spanscript._guard import guarded
from spanscript._hooks._sending import PORTS, kept
from spanscript._patch import Wrapper
from spanscript._secrets import remember
from spanscript._unread import end_unread, watch


def wrappers(module: ModuleType, calls: Calls) -> Mapping[str, Wrapper]:
    """What goes around which function of *module*, which is httpx or httpx2."""
    hook = _Hook(module, calls)
    return {
        "Client.send": hook.send,
        "AsyncClient.send": hook.asend,
        "HTTPTransport.handle_request": _leg,
        "AsyncHTTPTransport.handle_async_request": _aleg,
    }


class _Hook:
    def __init__(self, module: ModuleType, calls: Calls) -> None:
        self._name = module.__name__
        self._calls = calls
        self._tee, self._atee = _tees(module)
        self._request_not_read = module.RequestNotRead
        self._response_not_read = module.ResponseNotRead

    def send(self, wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        sending = self._begin(*args, **kwargs)
        if sending is None:
            return wrapped(*args, **kwargs)
        with sending as attempt:
            response = wrapped(*args, **kwargs)
        self._take(attempt, response, self._tee)
        return response

    async def asend(
        self, wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Any, kwargs: Any
    ) -> Any:
        sending = self._begin(*args, **kwargs)
        if sending is None:
            return await wrapped(*args, **kwargs)
        with sending as attempt:
            response = await wrapped(*args, **kwargs)
        self._take(attempt, response, self._atee)
        return response

    @guarded
    def _begin(self, request: Any, **_: Any) -> Sending | None:
        if request.method != _dialects.METHOD:
            return None  # before the URL, which httpx puts together anew each time it is asked
        url = request.url
        path = url.raw_path.partition(b"?")[0].decode("ascii")
        match = _dialects.find(request.method, path)
        if match is None:
            return None
        try:
            content = request.content
        except self._request_not_read:
            return None  # an upload that is produced while it is sent: no LLM request is
        shown = f"{url.scheme}://{url.netloc.decode('ascii')}{path}"
        remember(request.headers.raw)
        port = url.port or PORTS.get(url.scheme)
        return self._calls.sending(match, Wire(request.method, shown, url.host, port, content), self._name)

    @guarded
    def _take(self, attempt: Attempt, response: Any, tee: Callable[[Any, Attempt], Any]) -> None:
        attempt.respond(response.status_code, kept(response.headers.raw))
        try:
            body = response.content
        except self._response_not_read:
            response.stream = tee(response.stream, attempt)
        else:
            attempt.whole(body)


def _leg(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    response = wrapped(*args, **kwargs)
    if current_attempt() is not None:
        _note_leg(response)
    return response


async def _aleg(wrapped: Callable[..., Awaitable[Any]], instance: Any, args: Any, kwargs: Any) -> Any:
    response = await wrapped(*args, **kwargs)
    if current_attempt() is not None:
        _note_leg(response)
    return response


@guarded
def _note_leg(response: Any) -> None:
    attempt = current_attempt()
    if attempt is not None:
        attempt.legs.append(response.status_code)


class _Reading:
    """The body of an answer while it is read: how that ends is how the attempt ends."""

    __slots__ = ("_attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def __enter__(self) -> Callable[[bytes], None]:
        return self._attempt.chunk

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._attempt.end("eof")
        elif not isinstance(error, GeneratorExit):  # then the app reads no further, and closes
            self._attempt.fail(error)


class _Seen:
    """What the two streams share: all but reading and closing."""

    _stream: Any = None  # a copy that was made without a constructor has nothing to pass on to

    def __init__(self, stream: Any, attempt: Attempt) -> None:
        self._stream = stream
        self._attempt = attempt
        watch(attempt)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __del__(self) -> None:
        if self._stream is not None:
            end_unread(self._attempt)


def _tees(module: ModuleType) -> tuple[type[_Seen], type[_Seen]]:
    """Make the two streams, of *module*'s own kinds: it asserts them."""

    class Tee(_Seen, module.SyncByteStream):  # type: ignore[name-defined,misc]
        """The body of an answer, seen on its way to the app."""

        def __iter__(self) -> Iterator[bytes]:
            with _Reading(self._attempt) as see:
                for chunk in self._stream:
                    see(chunk)
                    yield chunk

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._attempt.end("closed")

    class AsyncTee(_Seen, module.AsyncByteStream):  # type: ignore[name-defined,misc]
        """The same of an asynchronous body."""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            chunks = self._stream.__aiter__()
            try:
                with _Reading(self._attempt) as see:
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
