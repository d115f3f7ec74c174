"""
A transcript of many calls, as an agent's runs make them: `python tests/view/generate.py DIRECTORY [CALLS]`.

Conversations of twenty calls, with tool calls and results; some calls are retried, some fail for good, some
stream. The same number of calls gives the same bytes.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from spec_writer import SpecWriter, compact

TURNS = 20
SYSTEM = "You are on call for a shop. Find out why an order failed, and say what to do. Be brief and exact."
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": about,
            "parameters": {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]},
        },
    }
    for name, about, key in (
        ("search_logs", "Lines of the logs that hold a text, the newest first.", "query"),
        ("get_order", "An order with its state and its history.", "order_id"),
        ("run_sql", "Rows of a query on the shop's database, read only.", "sql"),
        ("page_human", "Wakes a human being. Only if all else failed.", "reason"),
    )
]
MODELS = (("gpt-5-mini", "openai"), ("gpt-4o-mini", "openai"), ("mistral-small-latest", "mistral_ai"))
STAGES = ("plan", "investigate", "investigate", "answer")
FAULTS = (
    ("rate_limit_exceeded", "Rate limit reached for requests per minute. Please try again in 1.2 s.", 429),
    ("overloaded_error", "Overloaded", 529),
    ("server_error", "The server had an error while processing your request.", 500),
    ("httpx.ReadTimeout", "The read operation timed out", None),
)
ATTEMPTS = 3
SERVICES = ("payments", "webhooks", "stock", "carrier", "gateway", "invoices")
EVENTS = (
    "the webhook's signature had expired",
    "lock wait timed out after {n} s",
    "upstream answered 503, try {n}",
    "the replica lags by {n} s",
    "{n} items reserved",
    "label printed, {n} pages",
    "token refreshed",
    "queue depth {n}",
    "refund of {n} EUR begun",
)


class Writer(SpecWriter):
    """The naive writer, with a clock of its own that somebody sets."""

    now = datetime(2026, 11, 22, 2, 40, tzinfo=timezone.utc)

    def line(self, type_, **fields):
        stamp = self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        envelope = {"type": type_, "timestamp": stamp, "writer": self.writer, "seq": self.seq}
        self.lines.append(compact({**envelope, **fields}) + b"\n")
        self.seq += 1


class Run:
    """Writes conversations, one after the other."""

    def __init__(self):
        self.random = random.Random(7)
        self.writer = Writer("5ba11ad5")
        self.calls = 0

    def conversation(self, number, turns):
        model, provider = MODELS[number % len(MODELS)]
        messages = [{"role": "user", "content": f"Order {4000 + number} failed: {self.event()}. Why?"}]
        last = self.writer.message(messages[0], None)
        for turn in range(turns):
            self.wait(self.random.randint(5, 400))
            about = {
                "trace_id": f"{number + 1:032x}",
                "span_id": f"{self.calls + 1:016x}",
                "iteration": turn + 1,
                "stage": STAGES[turn * len(STAGES) // turns],
                "model": model,
                "provider": provider,
                "stream": turn % 3 == 0,
            }
            answer = self.call(about, last, len(messages), is_last=turn == turns - 1)
            if answer is None:
                return
            for message in answer:
                messages.append(message)
                last = self.writer.message(message, last)

    def call(self, about, last, count, *, is_last):
        ids = {"call_id": f"0199b000-{self.calls:04x}-7000-8000-{self.calls:012x}", "attempt": 0}
        self.calls += 1
        failures = self.random.choices((0, 1, 2, 3), (90, 6, 2, 2))[0]
        for attempt in range(failures):
            ids["attempt"] = attempt
            self.request(ids, about, last, count)
            self.fail(ids, about, is_final=attempt == ATTEMPTS - 1)
        if failures == ATTEMPTS:
            return None
        ids["attempt"] = failures
        self.request(ids, about, last, count)
        return self.answer(ids, about, count, is_last=is_last)

    def request(self, ids, about, last, count):
        refs = {
            "system_prompt": self.writer.value("system_prompt", "content", SYSTEM),
            "tool_schemas": self.writer.value("tool_schemas", "schemas", TOOLS),
            "context": last,
        }
        system = {"role": "system", "content": {"$transcript": "system_prompt"}}
        body = {"model": about["model"], "messages": [system, {"$transcript": "context"}]}
        body |= {"tools": {"$transcript": "tool_schemas"}, "temperature": 0.2, "stream": about["stream"]}
        api = {
            "dialect": "chat_completions",
            "client": "openai",
            "url": "https://api.example/v1/chat/completions",
        }
        more = {"temperature": 0.2, "message_count": count, **refs, "body": body}
        self.writer.line("provider_call_request", **ids, **about, **api, **more)

    def fail(self, ids, about, *, is_final):
        kind, text, http = self.random.choice(FAULTS)
        took = self.random.randint(4, 900)
        self.wait(took)
        fields = {
            "status": "retries_exhausted" if is_final else "retrying",
            "retryable": True,
            "error_type": kind,
            "error_message": text,
            **({} if http is None else {"http_status": http}),
            **({"retry_after_ms": 1200} if http == 429 else {}),
            "response_ms": took,
        }
        self.writer.line("provider_call_error", **ids, **spans(about), **fields)
        self.wait(1230 if http == 429 else self.random.randint(400, 900))

    def answer(self, ids, about, count, *, is_last):
        took = self.random.randint(180, 2600)
        self.wait(took)
        if is_last:
            said = {
                "text": f"This was the cause: {self.event()}. Then {self.event()}.",
                "finish_reasons": ["stop"],
            }
        else:
            said = {**self.tool_call(), "finish_reasons": ["tool_calls"]}
        usage = {
            "input_tokens": 300 + 90 * count,
            "output_tokens": self.random.randint(9, 90),
            "cache_read_tokens": 90 * max(0, count - 4),
        }
        chunk = {"first_chunk_ms": took * 0.4} if about["stream"] else {}
        times = {"http_status": 200, "response_ms": took, **chunk}
        self.writer.line(
            "provider_call_response", **ids, **spans(about), model=about["model"], **said, **usage, **times
        )
        return [] if is_last else self.tool_turn(said["tool_calls"][0])

    def tool_call(self):
        name = self.random.choice(("search_logs", "get_order", "run_sql"))
        arguments = json.dumps({"query": f"{self.random.choice(SERVICES)} {self.event()}"})
        return {"tool_calls": [{"id": f"call_{self.calls:05}", "name": name, "arguments": arguments}]}

    def tool_turn(self, call):
        function = {"name": call["name"], "arguments": call["arguments"]}
        asked = [{"id": call["id"], "type": "function", "function": function}]
        result = "\n".join(f"{self.now():%H:%M:%S} {service:8} {self.event()}" for service in SERVICES)
        return [
            {"role": "assistant", "content": None, "tool_calls": asked},
            {"role": "tool", "tool_call_id": call["id"], "content": result},
        ]

    def wait(self, ms):
        self.writer.now += timedelta(milliseconds=ms)

    def now(self):
        """A moment ago."""
        return self.writer.now - timedelta(seconds=self.random.randint(1, 600))

    def event(self):
        return self.random.choice(EVENTS).format(n=self.random.randint(2, 900))


def spans(about):
    return {key: about[key] for key in ("trace_id", "span_id", "iteration")}


def generate(directory, calls):
    """Write a transcript of so many calls into a directory that exists."""
    run, number = Run(), 0
    while run.calls < calls:
        run.conversation(number, min(TURNS, calls - run.calls))
        number += 1
    run.writer.save(directory)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    generate(target, int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
