"""`spanscript replay`: prints, and never sends."""

from __future__ import annotations

import argparse
import base64
import shlex
import sys
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from spanscript import _json
from spanscript._exchange import Json
from spanscript._text import clean, clean_json, dump
from spanscript.cli import _send, _source
from spanscript.transcript.exchanges import Exchanges
from spanscript.transcript.lines import Entry, TranscriptError
from spanscript.transcript.reader import Rebuilt

EXAMPLE: Final = "spanscript replay last --dir ./run | jq .messages"

_BEARER: Final = ('"Authorization: Bearer $OPENAI_API_KEY"',)
_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "messages": ('"x-api-key: $ANTHROPIC_API_KEY"', '"anthropic-version: 2023-06-01"'),
    "azure.ai.openai": ('"api-key: $AZURE_OPENAI_API_KEY"',),
}
"""Dialect, or a provider with its own way → headers in shell quotes: the shell puts the key in."""

_DOUBTS: Final[Mapping[str, str]] = {
    "respaced": "equal to what was sent as JSON, but not to the byte: it had spaces of its own",
    "masked": "not to the byte what was sent: a key in it stands as [secret]",
    "summary": "not what was sent, but a summary of it: a form, with the sizes of its files",
    "harmed": "not what was sent: it does not have the entry's `body_sha256`; try `spanscript check`",
}

_UNSENT: Final = ("masked", "summary", "harmed")

_HOSTS: Final = ("openai.com", "anthropic.com", "openai.azure.com", "localhost", "127.0.0.1", "::1")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_call(parser)
    _source.add_arguments(parser)
    parser.add_argument("--attempt", type=int, metavar="N", help="the attempt, from 0 (default: the last)")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--curl", action="store_true", help="print a curl command, without credentials")
    ways.add_argument("--send", action="store_true", help="ask again, and show the new answer beside the old")
    _send.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the body to the byte (on a terminal, with control characters as JSON escapes), or send it."""
    transcript = _source.load(args)
    call = _source.find(args, transcript)
    _send.require_send(args)
    request = transcript.request(call, args.attempt)
    rebuilt = transcript.rebuild(request)
    if args.send:
        _require_sendable(request, rebuilt)
        exchange = Exchanges(transcript).of_attempt(call, args.attempt)
        return _send.run(args, exchange) or _source.code_after(transcript)
    if args.json:
        print(dump(_record(request, rebuilt)))
    elif args.curl:
        _write("\n".join(_curl(request, rebuilt)).encode() + b"\n")
    else:
        _write(rebuilt.content)
    if rebuilt.proof in _DOUBTS:
        doubt = clean(f"{request.where}: {_DOUBTS[rebuilt.proof]}", one_line=True)
        print(f"spanscript: {doubt}", file=sys.stderr)
    return max(_source.code_after(transcript), 2 * (rebuilt.proof == "harmed"))


def _require_sendable(request: Entry, rebuilt: Rebuilt) -> None:
    """
    Refuse what is not what the app sent.

    Raises:
        TranscriptError: It is only a summary, or a key is missing in it, or it is harmed.
    """
    if rebuilt.proof in _UNSENT:
        raise TranscriptError(f"{request.where}: it is not sent: {_DOUBTS[rebuilt.proof]}")


def _record(request: Entry, rebuilt: Rebuilt) -> dict[str, Json]:
    keys = ("call_id", "attempt", "dialect", "provider", "model", "url", "body_sha256")
    found = {key: value for key in keys if (value := request.get(key)) is not None}
    found["proof"] = rebuilt.proof
    try:
        return {**found, "body": _json.loads(rebuilt.content)}
    except ValueError:  # a body that was no JSON
        return {**found, "body_base64": base64.b64encode(rebuilt.content).decode()}


def _curl(request: Entry, rebuilt: Rebuilt) -> Iterator[str]:
    if rebuilt.proof == "summary":
        raise TranscriptError(f"{request.where}: no command can be made: the files of the form are not kept")
    url = _url(request)
    host = urlsplit(url).hostname or ""
    if not any(host == known or host.endswith(f".{known}") for known in _HOSTS):
        yield f"# {shlex.quote(host)} is no host that is known here: it would get your key."
    names = (request.get("provider"), request.get("dialect"))
    headers = next((_HEADERS[name] for name in names if name in _HEADERS), _BEARER)
    options = ["--no-buffer"] if request.get("stream") else []
    options += [f"--header {header}" for header in ('"Content-Type: application/json"', *headers)]
    command = " \\\n  ".join(["curl --globoff", *options, "--data-binary @-", f"--url {shlex.quote(url)}"])
    yield f"{_printed(rebuilt.content)} |\n{command}"


def _printed(body: bytes) -> str:
    """A shell command that prints *body* to the byte, without the line feed that a here-document adds."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # what no shell word can hold
        return f"printf %s {base64.b64encode(body).decode()} | base64 -d"
    return f"printf %s {shlex.quote(text)}"


def _url(request: Entry) -> str:
    """
    Where the request went.

    Raises:
        TranscriptError: The entry names no web address, or one that hides something.
    """
    url = str(request.get("url") or "")
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # brackets that hold no IPv6 address
        is_web = False
    if not is_web or clean(url, one_line=True) != url or " " in url:
        raise TranscriptError(f"{request.where}: no command can be made: {url!r} is no web address")
    return url


def _write(content: bytes) -> None:
    """Bytes as they are, unless a person would see them."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    print(clean_json(content.decode(errors="replace")))
