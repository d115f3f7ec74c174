"""
What starting under `opentelemetry-instrument` costs, in processes of their own.

What the command does in a process is `initialize()`. Without spanscript means that its entry points are
not found; to disable it by OpenTelemetry's variable would still load its `pre_instrument`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

from benchmarks.measure import Around, Block, Case, Variant

_START = """
import sys, time
import opentelemetry.util._importlib_metadata as metadata
all_of_them = metadata.entry_points
if sys.argv[1] == "without":
    metadata.entry_points = lambda **k: [e for e in all_of_them(**k) if not e.value.startswith("spanscript")]
started = time.thread_time_ns()
from opentelemetry.instrumentation.auto_instrumentation import initialize
initialize()
exec(sys.argv[2])
print(time.thread_time_ns() - started)
"""
_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    **{f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")},
}


class _Start:
    """A block whose calls are processes; `which` is set by the variants."""

    def __init__(self, app: str, bytecode: str) -> None:
        self.which = "without"
        self._app = app
        self._environment = {**_ENVIRONMENT, "PYTHONPYCACHEPREFIX": bytecode}

    def __call__(self, around: Around, count: int) -> list[int]:
        return [self._once(around) for _ in range(count)]

    def _once(self, around: Around) -> int:
        command = [sys.executable, "-c", _START, self.which, self._app]
        with around():
            done = subprocess.run(  # noqa: S603
                command, env=self._environment, capture_output=True, check=True
            )
        return int(done.stdout.split()[-1])


@contextmanager
def _started(app: str) -> Iterator[Block]:
    """With bytecode of everything, as an installed package has it."""
    with tempfile.TemporaryDirectory() as bytecode:
        start = _Start(app, bytecode)
        start.which = "with"
        start(nullcontext, 1)
        yield start


def _variant(which: str) -> Variant:
    @contextmanager
    def variant(block: Block) -> Iterator[Around]:
        block.which = which  # type: ignore[attr-defined]
        yield nullcontext

    return variant


VARIANTS: Mapping[str, Variant] = {"A": _variant("without"), "D": _variant("with")}

CASES = tuple(
    Case(
        name,
        lambda app=app: _started(app),  # type: ignore[misc]
        variants="AD",
        calls=1,
        rounds=8,
        warm=0,
        goal=30_000,
        pair="AD",
        among=VARIANTS,
    )
    for name, app in (("import", ""), ("import-openai", "import openai"))
)
