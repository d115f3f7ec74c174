"""What goes wrong, how the app reads, and what must be told of it: a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

QUICK = "retry-after-ms=1"


@dataclass(frozen=True)
class Fault:
    """
    A scenario.

    Attributes:
        name: Of the test.
        steps: The provider's script.
        statuses: Of the attempts, in order, with a client that retries.
        raw: Likewise with one that does not; `None`: the first of them alone, as `error` unless it is ok.
        raises: What the client sees as an exception, and not as a status: not all try again after all.
        kinds: To which rows it applies: `whole` (the body is there at once), `lazy` (a whole body that the
            app reads itself), `stream`.
        error: `error.type` of the last attempt, where it is the same for every row.
        retries: The client's own limit.
        timeout: The client's, in seconds.
        reads: How the app reads a stream: `all`, `break` after two items, `close` after two, `drop` unread,
            `held` (the provider goes on only when the first item was seen).
        cancels: The task is cancelled as soon as nothing more comes.
        arrived: Text had arrived of a broken answer, and is told.
        only: Rows (by a part of their name) for which it is run; for what is slow.
        typical: Whether it is among those that are run for every client.
    """

    name: str
    steps: Sequence[str]
    statuses: Sequence[str]
    raw: Sequence[str] | None = None
    raises: str | None = None
    kinds: tuple[str, ...] = ("whole", "lazy", "stream")
    error: str | None = None
    retries: int = 2
    timeout: float | None = None
    reads: str = "all"
    cancels: bool = False
    arrived: bool = False
    only: tuple[str, ...] = ("",)
    typical: bool = False

    def applies_to(self, row: Any) -> bool:
        return (
            row.kind in self.kinds
            and self.name not in row.skips
            and any(part in row.name for part in self.only)
        )

    def statuses_of(self, row: Any) -> Sequence[str]:
        """Of the attempts, with the client of *row*."""
        tries_again = row.retries if self.raises is None else self.raises in row.again
        if tries_again:
            return self.statuses
        if self.raw is not None:
            return self.raw
        return ["ok" if self.statuses[0] == "ok" else "error"] if len(self.statuses) > 1 else self.statuses


BODY = ("stream", "lazy")
STREAM = ("stream",)
WHOLE = ("whole",)
PLAIN = ("openai-chat-whole", "openai-chat-stream", "anthropic-messages-whole", "anthropic-messages-stream")
SOME = (*PLAIN, "httpx-chat", "httpx2-chat", "requests-chat", "aiohttp-chat", "helper", "bedrock")
TRYING = (
    *("openai-chat-whole", "anthropic-messages-stream", "groq-chat-whole", "together-chat-whole"),
    *("google-content", "google-vertex", "google-interaction", "mistralai-chat", "cohere-ClientV2-chat"),
    *("boto3-converse", "aiobotocore-converse", "azure-inference-chat"),
)
"""Of each client that has retries one, whole or streamed; they wait as long as they like."""
PARSED = ("-stream", "counted", "helper", "raw_stream")
UNPARSED = ("lazy_stream", "post_stream")
"""Rows whose client looks into events, and rows where the app reads lines."""

FAULTS = (
    Fault("ok", ["ok"], ["ok"], typical=True),
    Fault("retried", [f"429 {QUICK}", f"429 {QUICK}", "ok"], ["retrying", "retrying", "ok"], typical=True),
    Fault("exhausted", [f"500 {QUICK}"] * 3, ["retrying", "retrying", "retries_exhausted"]),
    Fault("no_retries", ["503"], ["error"], retries=0),
    Fault("bad_request", ["400"], ["error"], typical=True),
    Fault("told_to_retry", [f"400 x-should-retry=true {QUICK}", "ok"], ["retrying", "ok"], only=PLAIN),
    Fault("told_not_to", ["500 x-should-retry=false"], ["error"], only=PLAIN),
    Fault("overloaded", [f"529 {QUICK}", "ok"], ["retrying", "ok"], only=PLAIN),
    Fault("reset", ["reset"], ["error"], retries=0, typical=True),
    Fault("reset_then_ok", ["reset", "ok"], ["retrying", "ok"], raises="reset", only=TRYING, typical=True),
    Fault(
        "reset_always",
        ["reset"] * 2,
        ["retrying", "retries_exhausted"],
        raises="reset",
        retries=1,
        only=TRYING,
        typical=True,
    ),
    Fault(
        "cut_then_ok", ["cut", "ok"], ["retrying", "ok"], raises="cut", kinds=WHOLE, only=TRYING, typical=True
    ),
    Fault(
        "timeout_then_ok",
        ["hang", "ok"],
        ["retrying", "ok"],
        raises="timeout",
        timeout=0.3,
        only=TRYING,
        typical=True,
    ),
    Fault("gzip", ["gzip"], ["ok"], typical=True),
    Fault("slow", ["chunk_delay=0.005"], ["ok"], kinds=STREAM),
    Fault("bytewise", ["chunk_size=7"], ["ok"]),
    Fault("gzip_bytewise", ["gzip chunk_size=7"], ["ok"]),
    Fault("whole_cut", ["cut"], ["error"], kinds=("whole", "lazy"), retries=0, typical=True),
    Fault("whole_truncated", ["truncate"], ["error"], kinds=("whole", "lazy")),
    Fault("whole_error", ["error"], ["error"], kinds=("whole", "lazy"), typical=True),
    Fault("stream_reset", ["reset after=-6"], ["error"], kinds=STREAM, arrived=True),
    Fault("stream_cut", ["cut after=-6"], ["error"], kinds=STREAM, arrived=True, typical=True),
    Fault("stream_badframe", ["badframe after=-6"], ["error"], kinds=STREAM, arrived=True),
    Fault(
        "truncated",
        ["truncate"],
        ["error"],
        kinds=STREAM,
        error="incomplete_stream",
        arrived=True,
        typical=True,
    ),
    Fault(
        "gzip_truncated", ["gzip truncate"], ["error"], kinds=STREAM, error="incomplete_stream", arrived=True
    ),
    Fault("stream_error", ["error after=-6"], ["error"], kinds=STREAM, arrived=True, typical=True),
    Fault("stream_failed", ["failed after=-6"], ["error"], kinds=STREAM, arrived=True),
    Fault("malformed", ["malformed after=-6"], ["error"], kinds=STREAM, arrived=True, only=PARSED),
    Fault("malformed_unseen", ["malformed after=-6"], ["ok"], kinds=STREAM, only=UNPARSED),
    Fault("break", ["ok"], ["abandoned"], kinds=STREAM, reads="break", typical=True),
    Fault("close", ["ok"], ["abandoned"], kinds=STREAM, reads="close", typical=True),
    Fault("never_read", ["ok"], ["abandoned"], kinds=STREAM, reads="drop", typical=True),
    Fault("held", ["hang after=6"], ["ok"], kinds=STREAM, reads="held", typical=True),
    Fault("cancelled", ["hang"], ["cancelled"], cancels=True, typical=True),
    Fault(
        "cancelled_later",
        ["hang after=-6"],
        ["cancelled"],
        kinds=STREAM,
        cancels=True,
        arrived=True,
        typical=True,
    ),
    Fault("timeout", ["hang"], ["error"], retries=0, timeout=0.3, only=SOME),
    Fault("stream_timeout", ["hang after=-6"], ["error"], kinds=STREAM, timeout=0.3, arrived=True, only=SOME),
)
