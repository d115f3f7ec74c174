"""
Reading a transcript that is larger than memory: `python -m benchmarks.reading [--gigabytes 5] [--dir DIR]`.

Makes one, the same each time, in files of a gigabyte as rotation does; then reads it as people do, each time
in a process of its own, and prints seconds and peak memory. What was made is removed afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

FILE = 1_000_000_000
"""Bytes of a file, which is where `SPANSCRIPT_MAX_BYTES` rotates."""

TURNS = 20
"""Calls of a conversation. Each sends what was said before, and what a tool said since."""

START = 1_780_000_000
_WORDS = [
    f"{word}{ending}"
    for word in ["lore", "ips", "dolo", "ame", "consecte", "adipi", "eli", "sed", "tempo"]
    for ending in ("m", "rs", "nt", "que", "ß", "\n")
]
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": f"tool_{n}",
            "description": "Does one thing. " * 20,
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        },
    }
    for n in range(8)
]
_SYSTEM = "You are a careful engineer. " * 100


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _hash(value: object, parent: str = "") -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{parent}\n{text}".encode()).digest()[:16].hex()


class Lines:
    """The lines of one writer: real entries of an agent, with ids, hashes and times that are true."""

    def __init__(self, writer: str = "0badcafe") -> None:
        self.writer = writer
        self.rng = random.Random(writer)  # noqa: S311  # the same lines each time
        self.seq = 0
        self.microseconds = 0
        self.texts = [
            " ".join(self.rng.choices(_WORDS, k=n)) for n in (40, 150, 500, 1500) for _ in range(50)
        ]
        self.schemas = _hash(_TOOLS)
        self.system = _hash(_SYSTEM)

    def entry(self, kind: str, **fields: object) -> bytes:
        seconds, rest = divmod(self.microseconds, 1_000_000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(START + seconds))
        head = {"type": kind, "timestamp": f"{stamp}.{rest:06d}Z", "writer": self.writer, "seq": self.seq}
        self.seq += 1
        self.microseconds += 2_000
        return (
            _json({**head, "trace_id": f"{self.seq // 64:032x}", "span_id": f"{self.seq:016x}", **fields})
            + b"\n"
        )

    def opening(self) -> bytes:
        """What each file begins with."""
        about = {"version": 1, "pid": 7, "host": "example", "service_name": "bench", "python": "3.12.0"}
        return b"".join(
            (
                self.entry("transcript_open", **about),
                self.entry("system_prompt", hash=self.system, content=_SYSTEM),
                self.entry("tool_schemas", hash=self.schemas, schemas=_TOOLS),
            )
        )

    def conversation(self) -> Iterator[bytes]:
        """The lines of an agent's conversation, a piece for each call."""
        sent: list[bytes] = []
        parent: str | None = None
        for turn in range(TURNS):
            call_id = f"{START * 1000 + self.microseconds // 1000:012x}"
            call_id = f"{call_id[:8]}-{call_id[8:]}-7000-8000-{self.rng.getrandbits(48):012x}"
            piece = []
            roles = ("user",) if turn == 0 else ("assistant", "tool")
            for role in roles:
                message = {"role": role, "content": f"{self.seq} {self.rng.choice(self.texts)}"}
                name = _hash(message, parent or "")
                piece.append(self.entry("message", hash=name, parent=parent, iteration=turn, **message))
                sent.append(_json(message))
                parent = name
            piece += self.call(call_id, turn, sent, parent or "")
            yield b"".join(piece)

    def call(self, call_id: str, turn: int, sent: list[bytes], context: str) -> list[bytes]:
        """A request and its outcome; one in thirty is asked again."""
        body = {"model": "gpt-5", "messages": [{"role": "system", "content": _SYSTEM}], "tools": _TOOLS}
        whole = _json(body).replace(b'}],"tools"', b"}," + b",".join(sent) + b'],"tools"', 1)
        skeleton = {
            "model": "gpt-5",
            "messages": [
                {"role": "system", "content": {"$transcript": "system_prompt"}},
                {"$transcript": "context"},
            ],
            "tools": {"$transcript": "tool_schemas"},
        }
        request = {
            "call_id": call_id, "attempt": 0, "iteration": turn, "model": "gpt-5", "provider": "openai",
            "dialect": "chat_completions", "client": "openai", "url": "https://api.openai.com/v1/chat/completions",
            "stream": False, "tool_format": "native", "native_tool_count": len(_TOOLS),
            "message_count": len(sent), "system_prompt": self.system, "tool_schemas": self.schemas,
            "context": context, "body": skeleton, "body_bytes": len(whole),
            "body_sha256": hashlib.sha256(whole).hexdigest(),
        }  # fmt: skip
        lines = []
        if self.rng.random() < 1 / 30:
            lines = [
                self.entry("provider_call_request", **request),
                self.entry(
                    "provider_call_error",
                    call_id=call_id,
                    attempt=0,
                    status="retrying",
                    retryable=True,
                    error_type="rate_limit_error",
                    http_status=429,
                    retry_after_ms=100,
                    response_ms=9.5,
                ),
            ]
            request["attempt"] = 1
        answer = {
            "call_id": call_id,
            "attempt": request["attempt"],
            "iteration": turn,
            "model": "gpt-5-2026",
            "text": self.rng.choice(self.texts),
            "finish_reasons": ["stop"],
            "input_tokens": len(whole) // 4,
            "output_tokens": 77,
            "response_ms": 950.125,
            "http_status": 200,
        }
        return [
            *lines,
            self.entry("provider_call_request", **request),
            self.entry("provider_call_response", **answer),
        ]


def make(directory: Path, size: int) -> int:
    """Write about *size* bytes of transcript; gives the number of calls."""
    lines, calls, left = Lines(), 0, size
    while left > 0:
        written = 0
        goal = min(left, FILE)
        name = "llm_transcript.jsonl" if left <= FILE else f"llm_transcript-{lines.seq:012d}-0badcafe.jsonl"
        with (directory / name).open("wb", 1 << 20) as file:
            written += file.write(lines.opening())
            while written < goal:
                for piece in lines.conversation():
                    written += file.write(piece)
                    calls += 1
        left -= written
    return calls


_PROGRAM = "import sys; from spanscript.cli import main; sys.exit(main(sys.argv[1:]))"


class Measured(NamedTuple):
    """
    What a process took.

    Attributes:
        first: Seconds until it printed something.
        seconds: Until it ended.
        peak: Megabytes.
    """

    first: float
    seconds: float
    peak: float


def measure(*command: str, lines: int | None = None) -> Measured:
    """Run Python with these arguments; with *lines*, only until it has printed so many."""
    began = time.perf_counter()
    errors = None if lines is None else subprocess.DEVNULL  # it is not to say that its pipe was closed
    command = (sys.executable, "-c", *command)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:  # noqa: S603
        output = cast("IO[bytes]", process.stdout)
        output.readline()
        first = time.perf_counter() - began
        for _ in itertools.islice(output, lines and lines - 1):
            pass
        if lines is not None:
            output.close()
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return Measured(first, time.perf_counter() - began, usage.ru_maxrss / unit)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description="What reading costs.")
    parser.add_argument("--gigabytes", type=float, default=5, help="size of the transcript (default: 5)")
    parser.add_argument("--dir", help="where to make it (default: a temporary directory)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.dir) as name:
        directory = Path(name)
        directory.chmod(0o700)
        calls = make(directory, int(asked.gigabytes * 1e9))
        files = list(directory.iterdir())
        size = sum(file.stat().st_size for file in files)
        print(f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()};", end=" ")
        print(f"{size / 1e9:.1f} GB in {len(files)} files, {calls} calls.\n")
        print("| what | first line, s | all, s | peak memory, MB |", "| --- | --: | --: | --: |", sep="\n")
        for title, took in _cases(directory):
            print(f"| {title} | {took.first:.2f} | {took.seconds:.2f} | {took.peak:.0f} |", flush=True)
        index = directory / "llm_transcript.index"
        print(f"\nThe index has {index.stat().st_size / size:.1%} of the transcript's size.")


def _cases(directory: Path) -> Iterator[tuple[str, Measured]]:
    place = ("--dir", str(directory))
    live = directory / "llm_transcript.jsonl"
    middle = _middle(directory)
    yield "`ls`, no index yet, the first 100 rows", measure(_PROGRAM, "ls", *place, lines=100)
    yield "`ls`, no index yet", measure(_PROGRAM, "ls", *place)
    yield "`ls`, with the index", measure(_PROGRAM, "ls", *place)
    yield "`show` of a call in the middle", measure(_PROGRAM, "show", middle, *place)
    yield "`show last`", measure(_PROGRAM, "show", "last", *place)
    yield "`replay` of a call in the middle", measure(_PROGRAM, "replay", middle, *place)
    with live.open("ab") as file:
        file.writelines(_more())
    yield "`show last`, after 10 MB were appended", measure(_PROGRAM, "show", "last", *place)
    query = "select model, status, count(*), sum(output_tokens) from calls group by all"
    yield "`sql`: calls and tokens by model and status", measure(_PROGRAM, "sql", query, *place)
    yield "`check`", measure(_PROGRAM, "check", *place)


def _middle(directory: Path) -> str:
    """The id of a call in the middle file."""
    files = sorted(directory.glob("*.jsonl"))
    with files[len(files) // 2].open("rb") as file:
        file.seek(files[len(files) // 2].stat().st_size // 2)
        file.readline()
        return next(json.loads(line)["call_id"] for line in file if b'"provider_call_response"' in line[:40])


def _more() -> Iterator[bytes]:
    """10 MB of another writer."""
    lines = Lines("0ddba115")
    yield lines.opening()
    written = 0
    while written < 10_000_000:
        for piece in lines.conversation():
            written += len(piece)
            yield piece


if __name__ == "__main__":
    main()
