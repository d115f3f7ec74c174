"""
Makes `docs/support.md` from the tables of hooks, dialects and tested clients.

    python tests/clients/support.py > docs/support.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from rows import ROWS, Row
from versions import CLIENTS, Client

from spanscript._dialects import DIALECTS
from spanscript._hooks import TABLE

HEAD = """\
# What is supported

Made from the tables of the code and of its tests by `python tests/clients/support.py`; do not edit it by hand.
Each mark stands for tests on the real library against a real HTTP server: the app sees no difference, the server's log
equals the attempts, retries have their index, the transcript replays to the byte.

## Clients
"""

COLUMNS = ("client", "releases tested", "sync", "async", "stream", "embeddings", "dialects", "not seen")

HOOKS = """
## Hooks

Where a library is entered. `attempts`: each HTTP request is seen, whichever client sends it. `calls`: its retries stand
under one call. A client without a line here needs none: each of its requests is a call of its own.
"""

DIALECT_HEAD = """
## Dialects

What bytes mean, whoever sends them: OpenAI-compatible hosts need nothing of their own.
"""

UNSEEN = """
## Not seen

| what | why |
|---|---|
| `urllib`, bare `urllib3`, pycurl, curl_cffi | no hook: clients of models do not use them, or offer another transport |
| WebSockets: OpenAI realtime, `responses.connect`, Gemini live, Mistral realtime | no request and no answer that a transcript could hold yet |
| gRPC: Vertex AI's gapic clients | another wire; their REST transport is seen |
| AWS CRT and smithy clients | they do not go through botocore |
| models in the same process | nothing is sent |
| counting of tokens, files, batches, fine-tuning | no model answers |
"""


def document() -> str:
    """The whole text."""
    return "\n".join(
        (
            HEAD,
            _table(COLUMNS, (_client(name, client) for name, client in CLIENTS.items())),
            HOOKS,
            _table(
                ("library", "module", "sees"),
                ((hook.library, " or ".join(f"`{m}`" for m in hook.modules), hook.sees) for hook in TABLE),
            ),
            DIALECT_HEAD,
            _table(
                ("dialect", "operation", "streams", "clients tested"),
                (_dialect(name) for name in sorted(DIALECTS)),
            ),
            UNSEEN,
        )
    )


def _client(name: str, client: Client) -> Iterator[str]:
    rows = [row for row in ROWS if row.client == name]
    colours = {colour for row in rows for colour in row.colours}
    yield name
    yield ", ".join((client.oldest, *client.between, "newest"))
    yield _mark("sync" in colours)
    yield _mark("async" in colours)
    yield _mark(any(row.kind == "stream" for row in rows))
    yield _mark(any(row.api.operation == "embeddings" for row in rows))
    yield _names(row.api.dialect for row in rows)
    yield client.unseen


def _dialect(name: str) -> Iterator[str]:
    dialect = DIALECTS[name]
    yield f"`{name}`"
    yield dialect.operation
    yield _mark(dialect.ends is not None)
    yield ", ".join(sorted({row.client for row in ROWS if row.api.dialect == name}))


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(set(names)))


def _mark(there: bool) -> str:
    return "yes" if there else ""


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("  |", " |") for line in lines)


def untested() -> list[Row]:
    """Rows of a client that stands in no environment."""
    return [row for row in ROWS if row.client not in CLIENTS]


if __name__ == "__main__":
    sys.stdout.write(document())
