"""What goes wrong, how the app reads, and what must be told of it: a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    name: str
    steps: Sequence[str]
    statuses: Sequence[str]
    raw: Sequence[str] | None = None
    kinds: tuple[str, ...] = ("whole", "lazy", "stream")
    error: str | None = None
    retries: int = 2
    timeout: float | None = None
    reads: str = "all"
    cancels: bool = False
    arrived: bool = False
    only: tuple[str, ...] = ("",)

    @property
    def without_retries(self) -> Sequence[str]:
        if self.raw is not None:
            return self.raw
        return ["ok" if self.statuses[0] == "ok" else "error"] if len(self.statuses) > 1 else self.statuses


BODY = ("stream", "lazy")
STREAM = ("stream",)
WHOLE = ("whole",)
PLAIN = ("openai-chat-whole", "openai-chat-stream", "anthropic-messages-whole", "anthropic-messages-stream")
SOME = (*PLAIN, "httpx-chat", "httpx2-chat", "helper", "bedrock")
NOT_AWS = ("openai", "azure", "anthropic", "vertex", "httpx")
"""In this case the provider answers on AWS paths with what AWS does not send."""
PARSED = ("-stream", "counted", "helper", "raw_stream")
UNPARSED = ("lazy_stream", "post_stream")
"""Rows whose client looks into events, and rows where the app reads lines."""

FAULTS = (
    Fault("ok", ["ok"], ["ok"]),
    Fault("retried", [f"429 {QUICK}", f"429 {QUICK}", "ok"], ["retrying", "retrying", "ok"]),
    Fault("exhausted", [f"500 {QUICK}"] * 3, ["retrying", "retrying", "retries_exhausted"]),
    Fault("no_retries", ["503"], ["error"], retries=0),
    Fault("bad_request", ["400"], ["error"]),
    Fault("told_to_retry", [f"400 x-should-retry=true {QUICK}", "ok"], ["retrying", "ok"], only=PLAIN),
    Fault("told_not_to", ["500 x-should-retry=false"], ["error"], only=PLAIN),
    Fault("overloaded", [f"529 {QUICK}", "ok"], ["retrying", "ok"], only=PLAIN),
    Fault("reset", ["reset"], ["error"], retries=0),
    Fault("reset_then_ok", ["reset", "ok"], ["retrying", "ok"], only=PLAIN[::3]),
    Fault("gzip", ["gzip"], ["ok"]),
    Fault("slow", ["chunk_delay=0.005"], ["ok"], kinds=STREAM),
    Fault("bytewise", ["chunk_size=7"], ["ok"]),
    Fault("gzip_bytewise", ["gzip chunk_size=7"], ["ok"]),
    Fault("whole_cut", ["cut"], ["error"], kinds=("whole", "lazy"), retries=0),
    Fault("whole_truncated", ["truncate"], ["error"], kinds=("whole", "lazy")),
    Fault("whole_error", ["error"], ["error"], kinds=("whole", "lazy"), only=NOT_AWS),
    Fault("stream_reset", ["reset after=-6"], ["error"], kinds=STREAM, arrived=True),
    Fault("stream_cut", ["cut after=-6"], ["error"], kinds=STREAM, arrived=True),
    Fault("stream_badframe", ["badframe after=-6"], ["error"], kinds=STREAM, arrived=True),
    Fault("truncated", ["truncate"], ["error"], kinds=STREAM, error="incomplete_stream", arrived=True),
    Fault(
        "gzip_truncated", ["gzip truncate"], ["error"], kinds=STREAM, error="incomplete_stream", arrived=True
    ),
    Fault("stream_error", ["error after=-6"], ["error"], kinds=STREAM, arrived=True),
    Fault("stream_failed", ["failed after=-6"], ["error"], kinds=STREAM, arrived=True),
    Fault("malformed", ["malformed after=-6"], ["error"], kinds=STREAM, arrived=True, only=PARSED),
    Fault("malformed_unseen", ["malformed after=-6"], ["ok"], kinds=STREAM, only=UNPARSED),
    Fault("break", ["ok"], ["abandoned"], kinds=STREAM, reads="break"),
    Fault("close", ["ok"], ["abandoned"], kinds=STREAM, reads="close"),
    Fault("never_read", ["ok"], ["abandoned"], kinds=STREAM, reads="drop"),
    Fault("held", ["hang after=6"], ["ok"], kinds=STREAM, reads="held"),
    Fault("cancelled", ["hang"], ["cancelled"], cancels=True),
    Fault("cancelled_later", ["hang after=-6"], ["cancelled"], kinds=STREAM, cancels=True, arrived=True),
    Fault("timeout", ["hang"], ["error"], retries=0, timeout=0.3, only=SOME),
    Fault("stream_timeout", ["hang after=-6"], ["error"], kinds=STREAM, timeout=0.3, arrived=True, only=SOME),
)
