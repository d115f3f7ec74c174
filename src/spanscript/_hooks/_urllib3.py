"""
The bodies of urllib3's answers, which requests and botocore give to the app as `.raw`.

Whatever reads a body (`iter_content`, `iter_lines`, `copyfileobj(response.raw, …)`, botocore's event streams)
ends in a few methods of urllib3's response. So that gets a class of its own, a subclass of what it was: the
object stays the same, it reads nothing ahead, and nothing of requests or botocore is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, wraps
from types import TracebackType
from typing import Any, Final

from spanscript._attempt import Attempt
from spanscript._guard import guarded
from spanscript._hooks._reading import Step
from spanscript._unread import end_unread, watch

_BODY: Final = "_spanscript_body"


def tee(raw: Any, attempt: Attempt, status: int, headers: Mapping[str, str]) -> None:
    """
    Take the head of an answer, and see its body on its way to the app.

    Of what is no response of urllib3 (some adapters of apps put a file there) the body is not seen: then
    the attempt ends here.

    Args:
        raw: The response.
        attempt: Whose answer it is.
        status: The HTTP status.
        headers: What is kept of its headers.
    """
    body = _Body(attempt, status, headers)
    if not hasattr(raw, "read_chunked"):
        attempt.end("closed")
        return
    vars(raw)[_BODY] = body
    raw.__class__ = _teed(type(raw))  # type: ignore[arg-type]  # a class can be hashed
    watch(attempt)


class _Body(Step):
    """
    A body while it is read; entered while urllib3 reads.

    Bytes are given as they came, or with their content-encoding undone: the reader says which.
    """

    __slots__ = ("_as_sent", "busy")

    def __init__(self, attempt: Attempt, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(attempt)
        self.busy = False
        self._as_sent = (status, headers) if "content-encoding" in headers else None
        attempt.respond(status, {k: v for k, v in headers.items() if k != "content-encoding"})

    def __enter__(self) -> None:
        self.busy = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.busy = False
        super().__exit__(kind, error, trace)

    @guarded
    def see(self, data: bytes, decoded: bool) -> None:
        """Take what is given to the app."""
        if self._as_sent is not None and not decoded:
            self.attempt.respond(*self._as_sent)
            self._as_sent = None
        self.attempt.chunk(data)

    def closed(self) -> None:
        """The response is closed: by the app, unless urllib3 does so because of an error."""
        if not self.busy:
            self.attempt.end("closed")


@cache
def _teed(kind: type[Any]) -> type[Any]:
    """Make the class that a response of this *kind* gets."""
    around: Mapping[str, Callable[[Any], Any]] = {
        "read": _read,
        "read1": _read,
        "read_chunked": _read_chunked,
        "stream": _stream,
        "close": _close,
        "__del__": _del,
    }
    members = {name: make(getattr(kind, name)) for name, make in around.items() if hasattr(kind, name)}
    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(kind.__name__, (kind,), members | names)


def _decodes(response: Any, decode_content: bool | None) -> bool:
    return bool(response.decode_content if decode_content is None else decode_content)


def _read(original: Any) -> Any:
    reads_all = original.__name__ == "read"

    @wraps(original)
    def read(self: Any, amt: Any = None, decode_content: Any = None, *args: Any, **kwargs: Any) -> Any:
        body: _Body = vars(self)[_BODY]
        with body:
            data = original(self, amt, decode_content, *args, **kwargs)
        if data:
            body.see(data, _decodes(self, decode_content))
        if (reads_all and amt is None) or (not data and self.closed):
            body.attempt.end("eof")
        return data

    return read


def _read_chunked(original: Any) -> Any:
    @wraps(original)
    def read_chunked(self: Any, amt: Any = None, decode_content: Any = None) -> Iterator[Any]:
        body: _Body = vars(self)[_BODY]
        chunks = original(self, amt, decode_content)
        try:
            while True:
                with body:
                    data = next(chunks, None)
                if data is None:
                    break
                body.see(data, bool(decode_content))
                yield data
        finally:
            chunks.close()
        body.attempt.end("eof")

    return read_chunked


def _stream(original: Any) -> Any:
    @wraps(original)
    def stream(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        body: _Body = vars(self)[_BODY]
        yield from original(self, *args, **kwargs)
        body.attempt.end("eof")

    return stream


def _close(original: Any) -> Any:
    @wraps(original)
    def close(self: Any) -> None:
        try:
            original(self)
        finally:
            vars(self)[_BODY].closed()

    return close


def _del(original: Any) -> Any:
    def __del__(self: Any) -> None:  # noqa: N807
        body: _Body = vars(self)[_BODY]
        end_unread(body.attempt)
        body.busy = True  # it closes itself now
        original(self)

    return __del__
