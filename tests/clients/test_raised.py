"""What is raised before there is an answer, beyond what the table of faults can make a server do."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any

import pytest
from apps import COLOURS, App, Unavailable, run
from faults import TRYING, Fault
from opentelemetry import trace
from proof import one_call, parity
from rows import ROWS, Row
from rows.row import KEY, loaded
from twice import proven, statuses_of, twice

UNREACHABLE = Fault(
    "unreachable",
    steps=[],
    statuses=["retrying", "retries_exhausted"],
    raises="unreachable",
    retries=1,
    only=TRYING,
)


@dataclass
class _Nowhere:
    """A provider that nobody listens for."""

    url: str
    llm_requests: list[Any] = field(default_factory=list)

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"


@pytest.fixture
def nowhere() -> _Nowhere:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return _Nowhere(f"http://127.0.0.1:{unused.getsockname()[1]}")


@pytest.mark.parametrize(
    ("row", "colour"),
    [
        pytest.param(row, colour, id=f"{row.name}-{colour}")
        for row in ROWS
        if UNREACHABLE.applies_to(row)
        for colour in row.colours
    ],
)
def test_a_server_that_is_not_there(row: Row, colour: str, nowhere: _Nowhere, request: Any) -> None:
    try:
        bare = run(colour, App(nowhere, colour, UNREACHABLE).run(row))
    except Unavailable as missing:
        pytest.skip(str(missing))
    recording = request.getfixturevalue("recording")
    with recording.provider.get_tracer("app").start_as_current_span("app") as outer:
        assert run(colour, App(nowhere, colour, UNREACHABLE).run(row)) == bare
        assert trace.get_current_span() is outer
    one_call(recording, row, UNREACHABLE.statuses_of(row), outer)
    parity(recording)


async def _ask_google(p: Any) -> str:
    client = loaded("google.genai").Client(api_key=KEY, http_options={"base_url": p.url}).aio
    try:
        answer = await client.models.generate_content(model="gemini-2.5-flash", contents="Say hello.")
        return str(answer.text)
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    ("steps", "statuses"),
    [
        (["reset", "ok"], ["retrying", "ok"]),
        (["reset", "reset"], ["retrying", "retries_exhausted"]),
        (["reset", "500"], ["retrying", "error"]),
        (["500"], ["error"]),
        (["cut"], ["error"]),
    ],
)
def test_google_tries_once_more_unasked(
    steps: Any, statuses: Any, provider: Any, request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = pytest.importorskip("google.genai._api_client")
    monkeypatch.setattr(module.random, "randint", lambda low, high: -1)  # it waits for a second more
    recording = twice(provider, request, lambda p: run("async", _ask_google(p)), steps)
    assert statuses_of(proven(recording, provider)) == [statuses]


@pytest.mark.parametrize("colour", COLOURS)
def test_what_is_no_error_of_http(colour: str, provider: Any, request: Any) -> None:
    """Only some releases of these clients try again after it, and ours says what each does."""
    openai = pytest.importorskip("openai")
    http = pytest.importorskip("httpx")
    tries = []

    def refuse(_: Any) -> Any:
        tries.append(1)
        raise ValueError("the app's own transport has a fault")

    async def ask(p: Any) -> Any:
        name = "AsyncClient" if colour == "async" else "Client"
        own = getattr(http, name)(transport=http.MockTransport(refuse))
        client = (openai.AsyncOpenAI if colour == "async" else openai.OpenAI)(
            base_url=p.openai_url, api_key=KEY, max_retries=1, http_client=own
        )
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
        return await answer if colour == "async" else answer

    recording = twice(provider, request, lambda p: run(colour, ask(p)))
    made = len(tries) // 2
    assert statuses_of(recording) == [["retrying", "retries_exhausted"] if made == 2 else ["error"]]
