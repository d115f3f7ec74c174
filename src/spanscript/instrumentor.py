"""
Where everything is put together and switched on and off.

Under `opentelemetry-instrument` the entry points here are used; in code, `spanscript.instrument()`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from opentelemetry._logs import LoggerProvider
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from spanscript import _hooks, config
from spanscript._guard import guarded
from spanscript._limits import rate_limits
from spanscript.config import Settings

if TYPE_CHECKING:
    from spanscript._calls import Calls

Undo = Callable[[], None]


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    **settings: Any,
) -> Undo:
    """
    Record every LLM call of this process from now on.

    Libraries are hooked when the app imports them, or at once if it has.

    Args:
        tracer_provider: Where spans go; default: the global provider, also if it is set later.
        meter_provider: Where metrics go; default likewise.
        logger_provider: Where content events and the log records of entries go; default likewise.
        **settings: Fields of `spanscript.Settings`, in place of the environment's: `directory`,
            `max_bytes`, `write`, `logs`, `rpm`, `tool_format`, `capture`.

    Returns:
        A function that takes every hook off again.

    Raises:
        TypeError: A setting of an unknown name.
    """
    chosen = _settled(replace(Settings.from_environment(), **settings))

    @functools.cache
    def recording() -> tuple[Calls, Undo]:
        from spanscript._recording import make_calls  # noqa: PLC0415  # not before it is needed

        return make_calls(chosen, tracer_provider, meter_provider, logger_provider)

    undos = [_without_sdk_tracing(), rate_limits(chosen.rpm), _hooks.install(lambda: recording()[0])]

    def undo() -> None:
        for off in reversed(undos):
            off()
        if recording.cache_info().currsize:
            recording()[1]()

    return undo


class SpanscriptInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """The entry point `opentelemetry_instrumentor`."""

    _undo: Undo | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: any client may be there or not, and is hooked when it is imported."""
        return ()

    @guarded
    def _instrument(self, **kwargs: Any) -> None:
        self._undo = instrument(**kwargs)

    @guarded
    def _uninstrument(self, **_: Any) -> None:
        if self._undo is not None:
            self._undo()
            self._undo = None


@guarded
def pre_instrument() -> None:
    """
    The entry point `opentelemetry_pre_instrument`.

    Runs before any instrumentor imports a client, and whether or not ours is disabled.
    """
    if not config.is_disabled():
        _without_sdk_tracing()


def _settled(settings: Settings) -> Settings:
    """The directory is meant as of now, whatever the app's working directory is when its first call comes."""
    directory = settings.directory
    return replace(settings, directory=os.path.abspath(directory)) if directory else settings  # noqa: PTH100


def _without_sdk_tracing() -> Undo:
    """
    Switch the Anthropic SDK's own spans off, unless the operator said otherwise.

    They would count every token twice, and have no attempts. It reads the variable when a client is made.
    """
    if config.ANTHROPIC_TRACING in os.environ:
        return lambda: None
    os.environ[config.ANTHROPIC_TRACING] = "false"

    def undo() -> None:
        os.environ.pop(config.ANTHROPIC_TRACING, None)

    return undo
