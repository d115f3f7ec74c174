"""What an export makes of a call."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from spanscript._exchange import Reply
from spanscript.transcript.exchanges import Exchange


class Exported(Struct, frozen=True):
    """
    A call in another form.

    Attributes:
        text: The form.
        left_out: What of the call is not in it, in words.
    """

    text: str
    left_out: Sequence[str] = ()


class NotForThisError(Exception):
    """The format has no place for such a call as a whole. The text says why."""


def answered(exchanges: Sequence[Exchange]) -> tuple[Exchange, Reply]:
    """
    The last attempt of a call, and what it was answered.

    Raises:
        NotForThisError: It is no conversation, or has no answer.
    """
    last = exchanges[-1]
    operation, outcome = last.request.dialect.operation, last.outcome
    if operation not in {"chat", "generate_content"}:
        raise NotForThisError(f"{operation} is no conversation")
    if outcome is None or outcome.status != "ok" or outcome.reply is None or not outcome.reply.choices:
        raise NotForThisError(f"it has no answer ({'unfinished' if outcome is None else outcome.status})")
    return last, outcome.reply
