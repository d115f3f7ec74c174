"""What the dialects share in reading whole answers and events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spanscript._dialects._usage import usage_in
from spanscript._exchange import Choice, Event, Failure, Json, Reply, Usage
from spanscript._shapes import dig, mapping, string
from spanscript._wire import failure_in

Extras = Mapping[str, tuple[str, ...]]
"""Name of an extra → where it stands in the body."""


def reply_of(
    body: Json,
    choices: Iterable[Choice],
    extras: Extras,
    *,
    usage: Usage | None = None,
    failure: Failure | None = None,
) -> Reply:
    """
    The reply of a body that has `id`, `model`, `usage` and `error` where most have them.

    Args:
        body: Any JSON value.
        choices: Its alternatives, read by the dialect.
        extras: Where the dialect's refinements stand.
        usage: Its counts, if they are not in OpenAI's words.
        failure: What it tells of a failure elsewhere than under `error`.
    """
    fields = mapping(body)
    found = {name: dig(fields, path) for name, path in extras.items()}
    return Reply(
        response_id=string(fields.get("id")),
        model=string(fields.get("model")),
        choices=tuple(choices),
        usage=usage if usage is not None else usage_in(fields),
        failure=failure_in(body) or failure,
        extras={name: value for name, value in found.items() if value is not None},
    )


def kind_of(event: Event) -> str | None:
    """The type of an event: its data's own, else its name; data with an `error` alone is an `error`."""
    data = mapping(event.data)
    return string(data.get("type")) or event.name or ("error" if data.get("error") else None)


def error_of(event: Event) -> Json:
    """What an error event tells, as it would stand under `error` in a whole answer."""
    return mapping(event.data).get("error") or event.data
