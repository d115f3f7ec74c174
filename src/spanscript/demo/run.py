"""Runs the agent under `opentelemetry-instrument`, in a process of its own, and gathers its spans."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from spanscript.demo import local, loopback
from spanscript.demo.forward import forwarder
from spanscript.demo.receiver import Receiver, Span

# The command of that name may stand in a directory that is not on the path.
_INSTRUMENT = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
_KEYS = {
    "OPENAI_API_KEY": ("tools", "stream", "retry", "slow", "embeddings"),
    "ANTHROPIC_API_KEY": ("messages",),
}


@dataclass(frozen=True)
class Plan:
    """Which scenes of the agent are played, in which environment."""

    scenes: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of a run: the agent's exit code, its spans, and where else they went."""

    exit_code: int
    spans: Sequence[Span]
    sent_to: str | None
    trouble: Sequence[str]


class NotReadyError(Exception):
    """The demo cannot run like this; the message says what to do."""


@contextmanager
def on_loopback() -> Iterator[Plan]:
    """All scenes, answered by the loopback provider."""
    with loopback.start() as provider:
        yield Plan((), loopback.environment(provider.openai_url, provider.url))


@contextmanager
def on_local_model() -> Iterator[Plan]:
    """What a small model on this machine can do."""
    with local.server() as url:
        models = {"OPENAI_MODEL": local.MODEL, "ANTHROPIC_MODEL": local.MODEL}
        yield Plan(local.SCENES, loopback.environment(f"{url}/v1", url) | models)


@contextmanager
def live() -> Iterator[Plan]:
    """
    The real providers whose keys are in the environment.

    Raises:
        NotReadyError: There is no key.
    """
    scenes = [scene for key, scenes in _KEYS.items() if os.environ.get(key) for scene in scenes]
    if not scenes:
        raise NotReadyError(f"--live needs a provider's key: set {' or '.join(_KEYS)}")
    yield Plan(scenes)


MODES: Mapping[str, Callable[[], AbstractContextManager[Plan]]] = {
    "loopback": on_loopback,
    "local": on_local_model,
    "live": live,
}


def run(plan: Plan, directory: str, output: TextIO) -> Outcome:
    """
    Run the agent.

    Args:
        plan: What of it, and where it asks.
        directory: Of the transcript.
        output: Where the agent's own lines go.
    """
    found = forwarder(os.environ)
    with Receiver(found[0] if found else None) as receiver:
        environment = os.environ | dict(plan.environment) | _telemetry(receiver.endpoint)
        environment["SPANSCRIPT_DIR"] = directory
        agent = [sys.executable, "-m", "spanscript.demo.agent", *plan.scenes]
        command = [sys.executable, "-c", _INSTRUMENT, *agent]
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            command, env=environment, stdout=subprocess.PIPE, text=True
        )
        with process:
            for line in process.stdout or ():
                print(f"  {line.rstrip()}", file=output, flush=True)
        return Outcome(process.returncode, receiver.spans, found[1] if found else None, receiver.trouble)


def _telemetry(endpoint: str) -> dict[str, str]:
    also = [name for name in os.environ.get("OTEL_TRACES_EXPORTER", "").split(",") if name]
    kept = [name for name in also if name not in ("otlp", "none")]
    quiet = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    return {
        "OTEL_SERVICE_NAME": os.environ.get("OTEL_SERVICE_NAME", "spanscript-demo"),
        "OTEL_TRACES_EXPORTER": ",".join(["otlp", *kept]),
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        **{name: os.environ.get(name, value) for name, value in quiet.items()},
    }
