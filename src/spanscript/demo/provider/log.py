"""The log of the loopback provider: everything that it received, in order, and what it answered."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spanscript._exchange import Json
from spanscript.demo.provider.script import Step


@dataclass
class Received:
    """
    One request, and what became of it.

    Attributes:
        index: Place in the log, from 0.
        method, path: As in the request line, with the query.
        headers: Names in lower case.
        body: Byte for byte; of a chunked request without its framing.
        received_ns: Wall clock when the request had been read, nanoseconds since the epoch.
        api: The wire API's name; `None` if it is no LLM request.
        step: How it was answered.
        status: The HTTP status that was sent; `None` if none was.
        answer_headers: What was sent, names in lower case.
        pieces: The body's pieces that were sent, as encoded for the content, without transfer framing.
        finished_ns: Wall clock when the server was done with it; `None` until then.
        client_left: Whether the client closed the connection before the answer's end.
    """

    index: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    received_ns: int
    api: str | None = None
    step: Step = field(default_factory=Step)
    status: int | None = None
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    finished_ns: int | None = None
    client_left: bool = False

    @property
    def json(self) -> Json:
        """
        The request's body, parsed.

        Raises:
            ValueError: It is no JSON.
        """
        return json.loads(self.body)

    @property
    def answer(self) -> bytes:
        """The answer's body, as far as it was sent."""
        return b"".join(self.pieces)

    def as_json(self) -> dict[str, Any]:
        """The record for other processes: `body` and `answer` in base64."""
        return {
            "index": self.index,
            "method": self.method,
            "path": self.path,
            "headers": dict(self.headers),
            "body": b64encode(self.body).decode(),
            "received_ns": self.received_ns,
            "api": self.api,
            "status": self.status,
            "answer": b64encode(self.answer).decode(),
            "finished_ns": self.finished_ns,
            "client_left": self.client_left,
        }


class Log:
    """The requests, in the order in which they were read."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[Received] = []

    def begin(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Received:
        """Note a request."""
        with self._changed:
            index = len(self._requests)
            record = Received(index, method, path, headers, body, received_ns=time.time_ns())
            self._requests.append(record)
            self._changed.notify_all()
            return record

    def finish(self, record: Received) -> None:
        """Note that the server is done with a request."""
        with self._changed:
            record.finished_ns = time.time_ns()
            self._changed.notify_all()

    def all(self) -> list[Received]:
        """A copy of the log."""
        with self._changed:
            return list(self._requests)

    def clear(self) -> None:
        """Forget all requests."""
        with self._changed:
            self._requests = []

    def wait(self, count: int, *, finished: bool, seconds: float) -> bool:
        """See `Provider.wait_for`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    len(self._requests) >= count
                    and not (finished and any(r.finished_ns is None for r in self._requests))
                ),
                timeout=seconds,
            )
