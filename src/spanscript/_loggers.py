"""Whose logger carries our records: the given provider's, or the app's, also if it is set later."""

from __future__ import annotations

from opentelemetry._logs import Logger, LoggerProvider, NoOpLogger, get_logger_provider
from opentelemetry._logs._internal import ProxyLoggerProvider

from spanscript._guard import guarded
from spanscript._version import __version__


class Loggers:
    """
    Gives the logger for the next records.

    Args:
        given: The provider to use; `None`: the global one, whichever that is at the time.
    """

    def __init__(self, given: LoggerProvider | None) -> None:
        self._given = given
        self._seen: LoggerProvider | None = None
        self._logger: Logger | None = None

    @guarded
    def current(self) -> Logger | None:
        """The logger of the provider that is in force now; `None` if nobody would get a record."""
        provider = self._given or get_logger_provider()
        if provider is not self._seen:
            self._logger = _open(provider)
            self._seen = provider
        logger = self._logger
        # Not every supported release of OpenTelemetry has loggers that can say so.
        is_enabled = getattr(logger, "enabled", None)
        return logger if is_enabled is None or is_enabled() else None


def _open(provider: LoggerProvider) -> Logger | None:
    if isinstance(provider, ProxyLoggerProvider):
        return None  # it stands for one that is not yet set
    logger = provider.get_logger("spanscript", __version__)
    return None if isinstance(logger, NoOpLogger) else logger
