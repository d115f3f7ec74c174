"""
A transcript as tables of DuckDB, read where its files lie: SQL text from tables of columns, and no I/O.

Columns are called as the keys of entries are in docs/format.md. A value that has not the type that the
format says is null, as if it were absent; a line that is no JSON object is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from spanscript.transcript.entries import ENVELOPE
from spanscript.transcript.lines import LINE_LIMIT

_Columns: TypeAlias = Mapping[str, str]
"""Name → DuckDB's type."""


def _columns(**names: str) -> dict[str, str]:
    return {name: kind for kind, text in names.items() for name in text.split()}


_COMMON: Final = _columns(TIMESTAMP="timestamp", VARCHAR="writer trace_id span_id", BIGINT="seq")
_SAID: Final = _columns(JSON="iteration", VARCHAR="stage trace_id span_id")
"""What request and outcome both say."""

_REQUEST: Final = {
    **_columns(VARCHAR="model provider dialect client url", BOOLEAN="stream"),
    **_columns(DOUBLE="rate_limit_wait_ms", JSON="max_tokens temperature tool_choice", VARCHAR="tool_format"),
    **_columns(BIGINT="native_tool_count message_count prompt_chars body_bytes"),
    **_columns(VARCHAR="system_prompt tool_schemas context body_sha256"),
}
_FAILURE: Final = _columns(VARCHAR="error_type error_message")
_USAGE: Final = {
    **_columns(BIGINT="input_tokens output_tokens cache_read_tokens cache_write_tokens reasoning_tokens"),
    **_columns(DOUBLE="cost_usd"),
}
_OUTCOME: Final = {
    **_FAILURE,
    **_columns(BOOLEAN="retryable truncated empty", DOUBLE="retry_after_ms response_ms first_chunk_ms"),
    **_columns(BIGINT="http_status", VARCHAR="response_id request_id text thinking refusal"),
    **_columns(JSON="tool_calls parts choices finish_reasons extras"),
    **_USAGE,
}
_OF_CALL: Final = ("provider", "dialect", "client", "url", "stream", "trace_id", "iteration", "stage")
_MESSAGE: Final = _columns(VARCHAR="hash parent role content stage", JSON="iteration")
_KEY: Final = _columns(VARCHAR="call_id", BIGINT="attempt")

VIEWS: Final = ("calls", "attempts", "messages", "entries")


def statements(files: Sequence[str]) -> Iterator[str]:
    """What makes the views over some files. Nothing is read before a view is asked."""
    yield f"CREATE VIEW _lines AS {_lines(files)}"
    rest = json.dumps(dict.fromkeys(sorted(ENVELOPE)))
    own = f"coalesce(line->'$.message', json_merge_patch(line::JSON, {_quoted(rest)}))"
    yield f"CREATE VIEW entries AS {_select(_COMMON, (), 'line::JSON AS entry', 'file')}"
    messages = _select({**_MESSAGE, **_COMMON}, ("message",), f"{own} AS message")
    yield f"CREATE VIEW messages AS SELECT * EXCLUDE (type) FROM ({messages}) WHERE hash IS NOT NULL"
    yield _of_attempts("_requests", _REQUEST, "provider_call_request")
    outcome = {**_columns(VARCHAR="status model"), **_OUTCOME}
    yield _of_attempts("_outcomes", outcome, "provider_call_response", "provider_call_error")
    yield _attempts()
    yield _calls()


def pattern(path: str) -> str:
    """What DuckDB, which takes paths for patterns, reads as that path alone."""
    return re.sub(r"([\[*?])", r"[\1]", path)


def _lines(files: Sequence[str]) -> str:
    """
    Every line as text, and its type if it is an object with one.

    Read as CSV of a single column: DuckDB's reader of JSON takes no line with a lone surrogate, and needs
    memory for the longest line that there may be. No line of JSON holds the byte 1.
    """
    names = ", ".join(_quoted(pattern(file)) for file in files)
    return (
        f"SELECT line, {_type('line')} AS type, file"
        f" FROM (SELECT {_readable('line')} AS line, filename AS file FROM read_csv([{names}],"
        " columns = {'line': 'VARCHAR'}, auto_detect = false, header = false,"
        " delim = '\x01', new_line = '\\n',"
        " quote = '', escape = '', comment = '', strict_mode = false, ignore_errors = true, filename = true,"
        f" max_line_size = {LINE_LIMIT}, buffer_size = {LINE_LIMIT + 1}))"
    )


def _type(line: str) -> str:
    """
    The type of a line, whole or not; null if it has none.

    It comes first: so no JSON is parsed, which takes memory for some thousand lines at once.
    """
    first = f"""nullif(regexp_extract({line}, '^\\{{"type":"([a-z_]+)"', 1), '')"""
    parsed = f"CASE WHEN TRY(json_type({line}, '$.type')) = 'VARCHAR' THEN {line}->>'$.type' END"
    return f"""CASE WHEN {line} LIKE '{{"type":"%' THEN coalesce({first}, {parsed}) ELSE {parsed} END"""


def _readable(line: str) -> str:
    """Text without the lone surrogates that make it no JSON to DuckDB."""
    mended = f"regexp_replace({line}, '(?i)\\\\u(d[89a-f][0-9a-f]{{2}})', '\\\\ufffd', 'g')"
    return f"CASE WHEN {line} ILIKE '%\\ud%' AND NOT json_valid({line}) THEN {mended} ELSE {line} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _select(columns: _Columns, types: Sequence[str] = (), *more: str) -> str:
    """The keys of whole lines as columns; of those of some types, or of all."""
    where = f"type IN ({', '.join(map(_quoted, types))})" if types else "type IS NOT NULL"
    found = f"TRY(json_transform(line, {_quoted(json.dumps(columns))}))"
    return (
        f"SELECT {', '.join(['type', *more, 'unnest(found)'])}"
        f" FROM (SELECT *, {found} AS found FROM _lines WHERE {where}) WHERE found IS NOT NULL"
    )


def _of_attempts(view: str, columns: _Columns, *types: str) -> str:
    """One line for each attempt: of several, the first."""
    lines = _select({**_KEY, **_SAID, **_COMMON, **columns}, types)
    return (
        f"CREATE VIEW {view} AS SELECT * FROM ({lines})"
        " WHERE call_id IS NOT NULL AND attempt IS NOT NULL"
        " QUALIFY row_number() OVER (PARTITION BY call_id, attempt ORDER BY timestamp, writer, seq) = 1"
    )


def _attempts() -> str:
    status = (
        "CASE o.type WHEN 'provider_call_response' THEN 'ok'"
        " WHEN 'provider_call_error' THEN coalesce(o.status, 'error') ELSE 'unfinished' END AS status"
    )
    columns = [
        "call_id",
        "attempt",
        "r.timestamp AS timestamp",
        "o.timestamp AS ended",
        status,
        *(f"coalesce(r.{name}, o.{name}) AS {name}" for name in _SAID),
        *(f"r.{name}" for name in _REQUEST),
        "o.model AS response_model",
        *(f"o.{name}" for name in _OUTCOME),
    ]
    joined = "_requests r FULL JOIN _outcomes o USING (call_id, attempt)"
    return f"CREATE VIEW attempts AS SELECT {', '.join(columns)} FROM {joined}"


def _calls() -> str:
    """What `ls` tells of a call; `ms` is from its first line to its last, waits included."""
    lasted = "date_diff('microsecond', arg_min(timestamp, attempt), arg_max_null(ended, attempt)) / 1000"
    columns = [
        "call_id",
        "least(min(timestamp), min(ended)) AS timestamp",
        "coalesce(arg_min(model, attempt), arg_max(response_model, attempt)) AS model",
        *(f"arg_min({name}, attempt) AS {name}" for name in _OF_CALL),
        "count(*) AS attempts",
        "arg_max(status, attempt) AS status",
        *(f"arg_max_null({name}, attempt) AS {name}" for name in (*_FAILURE, *_USAGE)),
        f"coalesce({lasted}, arg_max_null(response_ms, attempt)) AS ms",
    ]
    return f"CREATE VIEW calls AS SELECT {', '.join(columns)} FROM attempts GROUP BY call_id"
