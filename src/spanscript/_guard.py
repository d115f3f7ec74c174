"""
The one guard: nothing of ours raises into the app.

Several SDKs retry on any exception, so an error of ours would be sent again as a second paid request.
`guarded` functions return `None` instead, and say so once per place. Exceptions that are not errors
(`KeyboardInterrupt`, `SystemExit`, `CancelledError`, `GeneratorExit`) always pass, and so does what a
signal handler of the app raises while one of our functions happens to run (a time limit, say).
"""

from __future__ import annotations

import functools
import logging
import signal
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any, Final, Generic, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_LOG = logging.getLogger("spanscript")


class Place(Generic[_P, _R]):
    """A guarded function: where our code is entered from the app's."""

    def __init__(self, function: Callable[_P, _R]) -> None:
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.function = function
        self.reported = False


PLACES: Final[dict[str, Place[Any, Any]]] = {}
"""Every guarded function by name, so that tests can make each of them fail."""

strict = False
"""Raise instead of swallowing. Our own tests set it."""


def guarded(function: Callable[_P, _R]) -> Callable[_P, _R | None]:
    """Make *function* return `None` where it would raise an error."""
    place = PLACES[f"{function.__module__}.{function.__qualname__}"] = Place(function)

    @functools.wraps(function)
    def guard(*args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        try:
            result: _R = place.function(*args, **kwargs)
        except Exception as error:
            if strict or _raised_by_signal_handler(error.__traceback__):
                raise
            _report(place, error)
            return None
        return result

    return guard


def text_of(error: BaseException) -> str | None:
    """The text of an exception, whose own `__str__` may fail; `None` if it has none."""
    try:
        return str(error) or None
    except Exception:
        return None


def _report(place: Place[Any, Any], error: Exception) -> None:
    """Log type and line, once per place. No values: an exception's text may hold a prompt."""
    if place.reported:
        return
    place.reported = True
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    line = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "?"
    _LOG.warning(
        "%s failed with %s at %s. The app is not affected; something of this call may not be recorded. "
        "Further failures there are not logged.",
        place.name,
        type(error).__name__,
        line,
    )


def _raised_by_signal_handler(traceback: TracebackType | None) -> bool:
    codes = _handler_codes()
    while traceback is not None:
        if traceback.tb_frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _handler_codes() -> set[CodeType]:
    """The code of every Python function that is installed as a signal handler."""
    handlers = (signal.getsignal(number) for number in signal.valid_signals())
    functions = (getattr(handler, "__func__", handler) for handler in handlers)
    own = getattr(signal.default_int_handler, "__code__", None)
    codes = {getattr(function, "__code__", None) for function in functions}
    return {code for code in codes if code is not None and code is not own}
