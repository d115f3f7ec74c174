"""A transcript of all exchanges of `tests/exchanges`, written by the real writer's own entries."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from spanscript._asked import AskedReader
from spanscript._dialects import DIALECTS, Match
from spanscript._exchange import Outcome, Request
from spanscript.transcript import entries
from spanscript.transcript.blobs import BlobWriter
from spanscript.transcript.conversation import Conversation
from spanscript.transcript.entries import SpanIds, Stamp

EXCHANGES = Path(__file__).parent.parent / "exchanges"
CASES = sorted(EXCHANGES.glob("*/*/request.json"))
START = 1_795_000_000_000_000_000


def call_id(number):
    return f"0199b000-{number:04x}-7000-8000-{number:012x}"


def request_of(path, number, **fields):
    """The request of a case as the live code has it."""
    content = path.read_bytes()
    dialect = DIALECTS[path.parent.parent.name]
    asked = AskedReader().read(Match((dialect,), "a-model", None), content)
    known = {
        "call_id": call_id(number),
        "attempt": 0,
        "dialect": dialect,
        "provider": dialect.provider or "openai",
        "client": "openai",
        "url": "https://llm.internal.acme/v1/acme-deployment/chat/completions",
        "server_address": "llm.internal.acme",
        "server_port": 443,
        "content": content,
        "split": asked and asked.split,
        "model": asked and asked.model,
        "stream": bool(asked and asked.stream),
        "params": asked.params if asked else {},
        "tool_count": asked and asked.tool_count,
        "prompt_chars": asked and asked.prompt_chars,
        "stage": "acme stage",
        "stage_number": 1,
    }
    return Request(**{**known, **fields})


def outcome_of(path, request):
    body = json.loads((path.parent / "response.json").read_bytes())
    return Outcome("ok", START, START + 5_000_000, http_status=200, reply=request.dialect.decode(body))


def write(directory, cases=CASES):
    """Write the transcript of *cases*; gives the requests by call id."""
    conversation, blobs, written, requests = Conversation(), BlobWriter(str(directory), durable=False), [], {}
    written.append(entries.transcript_open("acme-service"))
    for number, path in enumerate(cases):
        request = requests[call_id(number)] = request_of(path, number)
        ids = SpanIds(f"{number + 1:032x}", f"{number + 1:016x}")
        written += conversation.of_request(request, sha256(request.content).hexdigest(), ids)
        conversation.commit()
        if (path.parent / "response.json").exists():
            written.append(entries.provider_call_outcome(request, outcome_of(path, request), ids))
    directory.mkdir(exist_ok=True)
    marked, taken = blobs.take(written)
    blobs.store(taken)
    lines = entries.lines(marked, Stamp("0badcafe", START), 0)
    (directory / "llm_transcript.jsonl").write_bytes(lines)
    return requests
