"""
A second, naive writer of the format, made from its description alone: standard library only, nothing of spanscript.

Reader and real writer are both tested against it, so that they cannot agree on a mistake.
"""

import base64
import hashlib
import json
import re

ENVELOPE = {
    "type",
    "timestamp",
    "writer",
    "seq",
    "trace_id",
    "span_id",
    "hash",
    "parent",
    "iteration",
    "stage",
    "blobs",
    "message",
}


def compact(value):
    """As the SDKs encode; a lone surrogate can only be sent escaped."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def digest(value, parent=None):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = (parent or "").encode() + b"\n" + text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).digest()[:16].hex()


LARGE = re.compile(rb"[A-Za-z0-9+/]{16384,}={0,2}|[A-Za-z0-9_-]{16384,}={0,2}")
FORMS = {
    "": base64.b64encode,
    "bare": lambda data: base64.b64encode(data).rstrip(b"="),
    "url": base64.urlsafe_b64encode,
    "url-bare": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
}


class SpecWriter:
    """Collects lines and blobs. `bytes` gives the file, `blobs` the others by name."""

    def __init__(self, writer="0badcafe", second=0):
        self.writer, self.seq, self.second, self.lines, self.known = writer, 0, second, [], set()
        self.blobs = {}
        self.line(
            "transcript_open", version=1, pid=7, host="h", service_name="s", spanscript="0", python="3.12"
        )

    def line(self, type_, **fields):
        stamp = f"2026-11-22T07:{self.second // 60:02}:{self.second % 60:02}.000000Z"
        envelope = {"type": type_, "timestamp": stamp, "writer": self.writer, "seq": self.seq}
        text, count = LARGE.subn(self.mark, compact(fields))
        if count:
            fields = {"blobs": count, **json.loads(text)}
        self.lines.append(compact({**envelope, **fields}) + b"\n")
        self.seq += 1
        self.second += 1

    def mark(self, found):
        """What stands in the place of base64. (Base64 that would not come back exactly, it does not know.)"""
        data = base64.urlsafe_b64decode(found[0].translate(bytes.maketrans(b"+/", b"-_")) + b"==")
        form = next(form for form, encode in FORMS.items() if encode(data) == found[0])
        name = hashlib.sha256(data).hexdigest()
        self.blobs[name] = data
        return f"$blob{{{name}:{len(data)}{':' * bool(form)}{form}}}".encode()

    def save(self, directory):
        (directory / "llm_transcript.jsonl").write_bytes(self.bytes())
        (directory / "blobs").mkdir()
        for name, data in self.blobs.items():
            (directory / "blobs" / name).write_bytes(data)

    def value(self, kind, key, value):
        name = digest(value)
        if name not in self.known:
            self.known.add(name)
            self.line(kind, hash=name, **{key: value})
        return name

    def message(self, message, parent):
        name = digest(message, parent)
        if name in self.known:
            return name
        self.known.add(name)
        if not isinstance(message, dict):
            own = {"message": message}
        elif ENVELOPE & message.keys():
            own = {"role": message["role"], "message": message} if "role" in message else {"message": message}
        else:
            own = message
        self.line("message", hash=name, parent=parent, **own)
        return name

    def chain(self, messages):
        last = None
        for message in messages:
            last = self.message(message, last)
        return last

    def request(self, call_id, attempt, sent, **fields):
        """`sent`: the bytes of a chat_completions body."""
        body = json.loads(sent)
        refs, skeleton = {}, dict(body)
        messages = list(body.get("messages", []))
        if "tools" in body:
            refs["tool_schemas"] = self.value("tool_schemas", "schemas", body["tools"])
            skeleton["tools"] = {"$transcript": "tool_schemas"}
        if "messages" in body:
            head = []
            if messages and messages[0].get("role") == "system":
                first = messages.pop(0)
                refs["system_prompt"] = self.value("system_prompt", "content", first["content"])
                head = [{**first, "content": {"$transcript": "system_prompt"}}]
            if messages:
                refs["context"] = self.chain(messages)
            skeleton["messages"] = [*head, {"$transcript": "context"}]
        self.raw_request(call_id, attempt, sent, body=skeleton, model=body.get("model"), **refs, **fields)

    def raw_request(self, call_id, attempt, sent, **fields):
        fields = {k: v for k, v in fields.items() if v is not None}
        base = {"provider": "openai", "dialect": "chat_completions", "client": "openai"}
        base["url"] = "https://api.openai.com/v1/chat/completions"
        proof = {"body_bytes": len(sent), "body_sha256": hashlib.sha256(sent).hexdigest()}
        self.line("provider_call_request", call_id=call_id, attempt=attempt, **{**base, **fields}, **proof)

    def response(self, call_id, attempt, text="fine", **fields):
        usage = {"input_tokens": 12, "output_tokens": 3, "http_status": 200, "response_ms": 250.5}
        more = {"text": text, "finish_reasons": ["stop"], "model": "gpt-5-2026", **usage, **fields}
        self.line("provider_call_response", call_id=call_id, attempt=attempt, **more)

    def error(self, call_id, attempt, status="retrying", **fields):
        more = {"status": status, "retryable": True, "error_type": "429", "http_status": 429, **fields}
        self.line("provider_call_error", call_id=call_id, attempt=attempt, **more)

    def bytes(self):
        return b"".join(self.lines)


IDS = [f"0199b000-{n:04x}-7000-8000-00000000000{n}" for n in range(6)]

TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": {"$ref": "#/x", "type": "object"}}}
]
SYSTEM = {"role": "system", "content": "You are exact.\u2028Ünïcödé"}
TURNS = [
    {"role": "user", "content": "What is the weather in Köln?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "K\\u00f6ln"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
    {"type": "function_call_output", "call_id": "c1", "output": "own key `type`"},
]


def chat(turns, **more):
    return {
        "model": "gpt-5",
        "messages": [SYSTEM, *TURNS[:turns]],
        "tools": TOOLS,
        "temperature": 0.2,
        **more,
    }


def sample():
    """Two turns, the second retried, with a stage and an interpretation; and one call that never ended."""
    w = SpecWriter()
    sent = {}
    sent[IDS[0], 0] = compact(chat(1))
    w.request(IDS[0], 0, sent[IDS[0], 0], iteration=1)
    w.response(IDS[0], 0, None, tool_calls=[{"id": "c1", "name": "weather", "arguments": '{"city": "Köln"}'}])
    w.line("interpreted_response", call_id=IDS[0], tool_format="native", prose="", tool_calls=[])
    w.line("stage", name="answer")
    for attempt in range(3):
        sent[IDS[1], attempt] = compact(chat(3, stream=True))
        w.request(IDS[1], attempt, sent[IDS[1], attempt], stream=True, iteration=2)
        if attempt < 2:
            w.error(IDS[1], attempt, retry_after_ms=1000, error_message="slow down")
    w.response(IDS[1], 2, "It is sunny.\nEnjoy!")
    sent[IDS[2], 0] = compact(chat(5, seed=2**70, top_p=1.0, metadata={"é": "\ud800"}))
    w.request(IDS[2], 0, sent[IDS[2], 0])
    return w, sent
