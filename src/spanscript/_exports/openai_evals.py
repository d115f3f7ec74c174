"""
The data of OpenAI's Evals API: a line for each call, with `item` (what was asked) and `sample` (the answer).

Graders refer to them as `{{item.input}}`, `{{item.ideal}}` and `{{sample.output_text}}`. Source: OpenAI's API
reference (`evals.runs`, data source `jsonl`), read in November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from spanscript import _json
from spanscript._exchange import Json, Text
from spanscript._exports import chat
from spanscript._exports.exported import Exported, answered
from spanscript.transcript.exchanges import Exchange

HEAD: Final = ""
TAIL: Final = ""


def one(exchanges: Sequence[Exchange]) -> Exported:
    """
    The item of a call. `ideal` is the recorded answer: what a later one is to be compared with.

    Raises:
        NotForThisError: It is no conversation, or has no answer.
    """
    last, reply = answered(exchanges)
    asked, said = chat.prompt(last.request), chat.answer(reply)
    text = reply.texts(Text) or ""
    item = {
        "input": asked.messages,
        "ideal": text,
        "tools": asked.tools or None,
        "call_id": last.request.call_id,
        "model": last.request.model,
    }
    sample = {
        "output_text": text,
        "output_tools": [call for message in said.messages for call in message.get("tool_calls", ())] or None,
        "model": reply.model,
        "finish_reason": next(iter(reply.finish_reasons), None),
    }
    line = {"item": _present(item), "sample": _present(sample)}
    return Exported(f"{_json.dumps(line).decode()}\n", [*asked.left_out, *said.left_out])


def _present(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in fields.items() if value is not None}
