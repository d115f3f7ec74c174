"""
spanscript: every LLM call of a Python app as OpenTelemetry spans and a replayable transcript.

Without a change to the app: `SPANSCRIPT_DIR=./run opentelemetry-instrument python app.py`. In code:

    import spanscript

    undo = spanscript.instrument(directory="./run")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spanscript._annotations import annotate as annotate
    from spanscript._block import CallInBlock as CallInBlock
    from spanscript._exchange import ToolCall as ToolCall
    from spanscript._interpretation import Answer as Answer
    from spanscript._interpretation import Interpreted as Interpreted
    from spanscript._interpretation import interpreter as interpreter
    from spanscript._limits import rate_limit as rate_limit
    from spanscript._live import live as live
    from spanscript._offered import Tools as Tools
    from spanscript._retrying import Try as Try
    from spanscript._retrying import retrying as retrying
    from spanscript._subscribers import subscribe as subscribe
    from spanscript._told import AttemptEnd as AttemptEnd
    from spanscript._told import CallEnd as CallEnd
    from spanscript._told import CallProgress as CallProgress
    from spanscript._told import CallStart as CallStart
    from spanscript._usage import Spent as Spent
    from spanscript._usage import Used as Used
    from spanscript._usage import usage as usage
    from spanscript._version import __version__ as __version__
    from spanscript._words import call as call
    from spanscript._words import iteration as iteration
    from spanscript._words import stage as stage
    from spanscript.config import Settings as Settings
    from spanscript.instrumentor import instrument as instrument
    from spanscript.transcript.lines import Problem as Problem
    from spanscript.transcript.lines import TranscriptError as TranscriptError
    from spanscript.transcript.processor import TranscriptProcessor as TranscriptProcessor
    from spanscript.transcript.reader import Transcript as Transcript
    from spanscript.transcript.typed import TranscriptWarning as TranscriptWarning
    from spanscript.transcript.typed import read as read

__all__ = [
    "Answer",
    "AttemptEnd",
    "CallEnd",
    "CallInBlock",
    "CallProgress",
    "CallStart",
    "Interpreted",
    "Problem",
    "Settings",
    "Spent",
    "ToolCall",
    "Tools",
    "Transcript",
    "TranscriptError",
    "TranscriptProcessor",
    "TranscriptWarning",
    "Try",
    "Used",
    "__version__",
    "annotate",
    "call",
    "instrument",
    "interpreter",
    "iteration",
    "live",
    "rate_limit",
    "read",
    "retrying",
    "stage",
    "subscribe",
    "usage",
]

_HOMES = {
    "Answer": "spanscript._interpretation",
    "AttemptEnd": "spanscript._told",
    "CallEnd": "spanscript._told",
    "CallInBlock": "spanscript._block",
    "CallProgress": "spanscript._told",
    "CallStart": "spanscript._told",
    "Interpreted": "spanscript._interpretation",
    "Problem": "spanscript.transcript.lines",
    "Settings": "spanscript.config",
    "Spent": "spanscript._usage",
    "ToolCall": "spanscript._exchange",
    "Tools": "spanscript._offered",
    "Transcript": "spanscript.transcript.reader",
    "TranscriptError": "spanscript.transcript.lines",
    "TranscriptProcessor": "spanscript.transcript.processor",
    "TranscriptWarning": "spanscript.transcript.typed",
    "Try": "spanscript._retrying",
    "Used": "spanscript._usage",
    "__version__": "spanscript._version",
    "annotate": "spanscript._annotations",
    "call": "spanscript._words",
    "instrument": "spanscript.instrumentor",
    "interpreter": "spanscript._interpretation",
    "iteration": "spanscript._words",
    "live": "spanscript._live",
    "rate_limit": "spanscript._limits",
    "read": "spanscript.transcript.typed",
    "retrying": "spanscript._retrying",
    "stage": "spanscript._words",
    "subscribe": "spanscript._subscribers",
    "usage": "spanscript._usage",
}


def __getattr__(name: str) -> Any:
    """Import on demand: the command line must not load OpenTelemetry."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
