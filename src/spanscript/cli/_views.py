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
_SAID: Final = _columns(JSON="iteration", VARCHAR="trace_id span_id")
"""What request and outcome both say."""

_REQUEST: Final = {
    **_columns(VARCHAR="stage model provider dialect client url", BOOLEAN="stream"),
    **_columns(JSON="max_tokens temperature tool_choice", VARCHAR="tool_format"),
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
    **_columns(BOOLEAN="retryable truncated", DOUBLE="retry_after_ms response_ms first_chunk_ms"),
    **_columns(BIGINT="http_status", VARCHAR="response_id request_id text thinking refusal"),
    **_columns(JSON="tool_calls parts choices finish_reasons extras"),
    **_USAGE,
}
_OF_CALL: Final = ("provider", "dialect", "client", "url", "stream", "trace_id", "iteration", "stage")
_MESSAGE: Final = _columns(VARCHAR="hash parent role content", JSON="iteration")
_KEY: Final = _columns(VARCHAR="call_id", BIGINT="attempt")

VIEWS: Final = ("calls", "attempts", "messages", "entries")


def statements(files: Sequence[str]) -> Iterator[str]:
    """What makes the views over some files. Nothing is read before a view is asked."""
    names = ", ".join(_quoted(pattern(file)) for file in files)
    yield (
        "CREATE VIEW _lines AS SELECT json AS entry, json->>'$.type' AS type, filename AS file"
        f" FROM read_ndjson_objects([{names}], ignore_errors = true, filename = true,"
        f" maximum_object_size = {LINE_LIMIT}) WHERE json_type(json, '$.type') = 'VARCHAR'"
    )
    rest = json.dumps(dict.fromkeys(sorted(ENVELOPE)))
    own = f"coalesce(entry->'$.message', json_merge_patch(entry, {_quoted(rest)}))"
    yield f"CREATE VIEW entries AS {_select(_COMMON, 'type', 'entry', 'file')}"
    messages = _select({**_MESSAGE, **_COMMON}, f"{own} AS message")
    yield f"CREATE VIEW messages AS SELECT * FROM ({messages} WHERE type = 'message') WHERE hash IS NOT NULL"
    yield _of_attempts("_requests", {**_REQUEST}, "type = 'provider_call_request'")
    outcomes = "type IN ('provider_call_response', 'provider_call_error')"
    yield _of_attempts("_outcomes", {"status": "VARCHAR", "model": "VARCHAR", **_OUTCOME}, outcomes)
    yield _attempts()
    yield _calls()


def pattern(path: str) -> str:
    """What DuckDB, which takes paths for patterns, reads as that path alone."""
    return re.sub(r"([\[*?])", r"[\1]", path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _select(columns: _Columns, *more: str) -> str:
    """Each line's keys as columns, parsed once."""
    found = f"json_transform(entry, {_quoted(json.dumps(columns))})"
    return f"SELECT {', '.join([*more, f'unnest({found})'])} FROM _lines"


def _of_attempts(view: str, columns: _Columns, where: str) -> str:
    """One line for each attempt: of several, the first."""
    lines = _select({**_KEY, **_SAID, **_COMMON, **columns}, "type")
    return (
        f"CREATE VIEW {view} AS SELECT * FROM ({lines} WHERE {where})"
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
