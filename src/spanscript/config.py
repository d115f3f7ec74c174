"""
Settings, read from the environment once.

The constants are the names of the variables; `VARIABLES` is the table that the documentation shows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from msgspec import Struct

SPANSCRIPT_DIR: Final = "SPANSCRIPT_DIR"
SPANSCRIPT_MAX_BYTES: Final = "SPANSCRIPT_MAX_BYTES"
SPANSCRIPT_WRITE: Final = "SPANSCRIPT_WRITE"
SPANSCRIPT_LOGS: Final = "SPANSCRIPT_LOGS"
SPANSCRIPT_RPM: Final = "SPANSCRIPT_RPM"
SPANSCRIPT_TOOL_FORMAT: Final = "SPANSCRIPT_TOOL_FORMAT"
CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
ANTHROPIC_TRACING: Final = "ANTHROPIC_OPEN_TELEMETRY"
DISABLED_INSTRUMENTATIONS: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
SDK_DISABLED: Final = "OTEL_SDK_DISABLED"

VARIABLES: Final[Mapping[str, tuple[str, str]]] = {
    SPANSCRIPT_DIR: (
        "none: no transcript",
        "Directory of the transcript; made with mode 0700 if it is missing.",
    ),
    SPANSCRIPT_MAX_BYTES: (
        "1000000000",
        "Size at which the live file is renamed and a new one begun; 0: never.",
    ),
    SPANSCRIPT_WRITE: (
        "inline",
        "`inline`: written lines survive SIGKILL; `sync`: and, by fdatasync, power loss.",
    ),
    SPANSCRIPT_LOGS: (
        "0",
        "`1`: each entry of the transcript is also an OpenTelemetry log record, with a directory or without.",
    ),
    SPANSCRIPT_RPM: (
        "none",
        "Most requests per minute to providers: `openai=60,anthropic=30`; the others wait (extra `agent`).",
    ),
    SPANSCRIPT_TOOL_FORMAT: (
        "`native` if tools are offered, else `text`",
        "How tool calls stand in answers: `native`, `json`, `hermes`, or the name of an interpreter.",
    ),
    CAPTURE_CONTENT: (
        "NO_CONTENT",
        "Prompts and answers also on spans: `SPAN_ONLY`, `EVENT_ONLY`, `SPAN_AND_EVENT`.",
    ),
    ANTHROPIC_TRACING: (
        "false",
        "The Anthropic SDK's own spans; set to `true` to keep them, ours then step back.",
    ),
    DISABLED_INSTRUMENTATIONS: ("none", "Contains `spanscript`: spanscript stays off."),
    SDK_DISABLED: ("false", "`true`: no spans, no transcript."),
}
"""Name → default, meaning."""

WriteMode = Literal["inline", "sync"]
Capture = Literal["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"]

DEFAULT_MAX_BYTES: Final = 1_000_000_000
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""What is kept of one answer while it streams; what comes after is counted, not kept."""

_T = TypeVar("_T")
_LOG = logging.getLogger("spanscript")
_WRITE_MODES: Final[Mapping[str, WriteMode]] = {"inline": "inline", "sync": "sync"}
_SWITCHES: Final[Mapping[str, bool]] = {"": False, "0": False, "false": False, "1": True, "true": True}
_CAPTURES: Final[Mapping[str, Capture]] = {
    "": "NO_CONTENT",
    "NO_CONTENT": "NO_CONTENT",
    "SPAN_ONLY": "SPAN_ONLY",
    "EVENT_ONLY": "EVENT_ONLY",
    "SPAN_AND_EVENT": "SPAN_AND_EVENT",
}


class Settings(Struct, frozen=True, kw_only=True):
    """
    What can be set. `from_environment` reads it; every field can be given in code instead.

    Attributes:
        directory: Where the transcript goes; `None`: no transcript is written.
        max_bytes: Size at which the live file is rotated; 0: never.
        write: How sure a written line is, see `SPANSCRIPT_WRITE`.
        logs: Whether each entry of the transcript is also a log record; needs no directory.
        rpm: Provider → most requests per minute, see `spanscript.rate_limit`.
        tool_format: How tool calls stand in answers, where the app does not say; see `spanscript.call`.
        capture: Whether content goes on spans, on events, on both or on neither.
    """

    directory: str | None = None
    max_bytes: int = DEFAULT_MAX_BYTES
    write: WriteMode = "inline"
    logs: bool = False
    rpm: Mapping[str, int] = {}
    tool_format: str | None = None
    capture: Capture = "NO_CONTENT"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables. A value that makes no sense is named in a warning, and the default holds."""
        return cls(
            directory=environ.get(SPANSCRIPT_DIR) or None,
            max_bytes=_size(environ.get(SPANSCRIPT_MAX_BYTES, "")),
            write=_one_of(
                _WRITE_MODES, SPANSCRIPT_WRITE, environ.get(SPANSCRIPT_WRITE, "").lower(), "inline"
            ),
            logs=_one_of(_SWITCHES, SPANSCRIPT_LOGS, environ.get(SPANSCRIPT_LOGS, "").strip().lower(), False),
            rpm=_rpm(environ.get(SPANSCRIPT_RPM, "")),
            tool_format=environ.get(SPANSCRIPT_TOOL_FORMAT, "").strip() or None,
            capture=_one_of(
                _CAPTURES, CAPTURE_CONTENT, environ.get(CAPTURE_CONTENT, "").upper(), "NO_CONTENT"
            ),
        )


def is_disabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the operator switched spanscript off by OpenTelemetry's own variables."""
    names = environ.get(DISABLED_INSTRUMENTATIONS, "").split(",")
    return bool({name.strip() for name in names} & {"spanscript", "*"})


def _one_of(table: Mapping[str, _T], variable: str, value: str, default: _T) -> _T:
    if value in table:
        return table[value]
    if value:
        _LOG.warning(
            "%s=%s is none of %s; using %s", variable, value, ", ".join(filter(None, table)), default
        )
    return default


def _rpm(value: str) -> dict[str, int]:
    limits: dict[str, int] = {}
    for limit in filter(None, map(str.strip, value.split(","))):
        provider, _, number = (part.strip() for part in limit.partition("="))
        if provider and number.isdecimal() and int(number):
            limits[provider] = int(number)
        else:
            _LOG.warning("%s: %r is no provider=requests, as in openai=60; left out", SPANSCRIPT_RPM, limit)
    return limits


def _size(value: str) -> int:
    if value.strip().isdecimal():
        return int(value)
    if value:
        _LOG.warning("%s=%s is no number of bytes; using %d", SPANSCRIPT_MAX_BYTES, value, DEFAULT_MAX_BYTES)
    return DEFAULT_MAX_BYTES
