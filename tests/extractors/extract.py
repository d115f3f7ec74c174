"""What the tests read of an answer, for comparison."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Extract(NamedTuple):
    """
    How to read one wire API.

    `whole`: body → what must be found (some of `text`, `thinking`, `refusal`, `names`, `arguments`).
    `stream`: likewise, from the events' data. `tokens`: bodies or events → input and output tokens.
    """

    whole: Callable[[Any], dict[str, Any]]
    stream: Callable[[list[Any]], dict[str, Any]]
    tokens: Callable[[list[Any]], tuple[int | None, int | None]]
