"""azure-ai-inference's calls, among all that goes through pipelines of azure-core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rows import CHAT, KEY
from twice import calls_of, proven, statuses_of, twice

inference = pytest.importorskip("azure.ai.inference")
core = pytest.importorskip("azure.core")
credentials = pytest.importorskip("azure.core.credentials")
rest = pytest.importorskip("azure.core.rest")


def _chat(p: Any, **options: Any) -> Any:
    credential = credentials.AzureKeyCredential(KEY)
    with inference.ChatCompletionsClient(
        endpoint=f"{p.url}/models", credential=credential, retry_backoff_factor=0
    ) as client:
        return client.complete(**CHAT, **options).as_dict()


def _pipeline(p: Any, path: str, **body: Any) -> Any:
    """What another SDK of Azure sends."""
    with core.PipelineClient(p.url, policies=[]) as client:
        return client.send_request(rest.HttpRequest("POST", p.url + path, **body)).text()


RETRIES: dict[str, tuple[list[str], list[str], dict[str, Any]]] = {
    "server-error": (["500", "503", "ok"], ["retrying", "retrying", "ok"], {}),
    "not-retried": (["429 retry-after-ms=1"], ["error"], {}),
    "told-when": (["429 retry-after=0", "ok"], ["retrying", "ok"], {}),
    "exhausted": (["500"] * 4, ["retrying"] * 3 + ["retries_exhausted"], {}),
    "of-the-call": (["500"] * 2, ["retrying", "retries_exhausted"], {"retry_status": 1}),
}


@pytest.mark.parametrize(("steps", "statuses", "options"), RETRIES.values(), ids=RETRIES.keys())
def test_retries(steps: Any, statuses: Any, options: Any, provider: Any, request: Any) -> None:
    recording = proven(twice(provider, request, lambda p: _chat(p, **options), steps), provider)
    assert statuses_of(recording) == [statuses]
    assert calls_of(recording)[0].attributes["gen_ai.provider.name"] == "azure.ai.inference"


OTHER: dict[str, Callable[[Any], Any]] = {
    "queue": lambda p: _pipeline(p, "/queue/messages", content=b"<QueueMessage>hello</QueueMessage>"),
    "thread": lambda p: _pipeline(p, "/threads/1/messages", json={"content": "hello"}),
    "search": lambda p: _pipeline(p, "/indexes('x')/docs/search.post.search", json={"search": "hello"}),
}


@pytest.mark.parametrize("work", OTHER.values(), ids=OTHER.keys())
def test_other_services(work: Callable[[Any], Any], provider: Any, request: Any) -> None:
    recording = twice(provider, request, work)
    assert calls_of(recording) == []
    assert recording.attempts == []
