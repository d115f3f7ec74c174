"""
OpenAI's form for fine-tuning: a line for each example, with `messages` (the last is the answer) and `tools`.

Source: OpenAI's guide to supervised fine-tuning, read in November 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spanscript import _json
from spanscript._exports import chat
from spanscript._exports.exported import Exported, NotForThisError, answered
from spanscript.transcript.exchanges import Exchange

HEAD: Final = ""
TAIL: Final = ""


def one(exchanges: Sequence[Exchange]) -> Exported:
    """
    The example of a call.

    Raises:
        NotForThisError: It is no conversation, or has no answer.
    """
    last, reply = answered(exchanges)
    asked, said = chat.prompt(last.request), chat.answer(reply)
    if not said.messages:
        raise NotForThisError("its answer has nothing that has a place there")
    tools = {"tools": asked.tools} if asked.tools else {}
    line = {"messages": [*asked.messages, *said.messages], **tools}
    return Exported(f"{_json.dumps(line).decode()}\n", [*asked.left_out, *said.left_out])
