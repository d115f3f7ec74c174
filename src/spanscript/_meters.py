"""The metrics of calls and attempts. Names, units and buckets stand in `spanscript._semconv`."""

from __future__ import annotations

from opentelemetry import metrics

from spanscript import _semconv as semconv
from spanscript._call import Call
from spanscript._exchange import Outcome
from spanscript._semconv import Attributes, Instrument
from spanscript._version import __version__


class Meters:
    """
    Records metrics.

    Args:
        provider: The provider to use; `None`: the global one, also if it is set later.
    """

    def __init__(self, provider: metrics.MeterProvider | None = None) -> None:
        self._meter = metrics.get_meter("spanscript", __version__, meter_provider=provider)
        self._duration = self._histogram(semconv.DURATION)
        self._tokens = self._histogram(semconv.TOKENS)
        self._first_chunk = self._histogram(semconv.FIRST_CHUNK)
        self._retry_wait = self._histogram(semconv.RETRY_WAIT)
        self._attempts = self._counter(semconv.ATTEMPTS)
        self._lost = self._counter(semconv.LOST_ENTRIES)

    def call(self, call: Call) -> None:
        """A call has ended: its time, its tokens."""
        attributes = _of_call(call)
        outcome = call.last.outcome if call.last else None
        reply = outcome.reply if outcome else None
        attributes |= semconv.known({semconv.RESPONSE_MODEL: reply.model if reply else None})
        for kind, count in semconv.token_counts(reply.usage) if reply is not None else ():
            self._tokens.record(count, {**attributes, semconv.TOKEN_TYPE: kind})
        if outcome is not None and outcome.first_chunk_ns is not None:
            self._first_chunk.record((outcome.first_chunk_ns - call.started_ns) / 1e9, attributes)
        attributes |= semconv.known({semconv.ERROR_TYPE: call.failure.type if call.failure else None})
        if call.ended_ns is not None:
            self._duration.record((call.ended_ns - call.started_ns) / 1e9, attributes)

    def attempt(self, call: Call, outcome: Outcome) -> None:
        """An attempt has ended."""
        answered = {semconv.STATUS: outcome.status, semconv.HTTP_STATUS: outcome.http_status}
        self._attempts.add(1, {**_of_call(call), **semconv.known(answered)})

    def retry_wait(self, call: Call, seconds: float) -> None:
        """The client waited before it tried again."""
        self._retry_wait.record(seconds, _of_call(call))

    def lost(self, reason: str, count: int) -> None:
        """Entries of the transcript could not be written."""
        self._lost.add(count, {"reason": reason})

    def _histogram(self, instrument: Instrument) -> metrics.Histogram:
        return self._meter.create_histogram(
            instrument.name,
            unit=instrument.unit,
            description=instrument.description,
            explicit_bucket_boundaries_advisory=instrument.buckets,
        )

    def _counter(self, instrument: Instrument) -> metrics.Counter:
        return self._meter.create_counter(
            instrument.name, unit=instrument.unit, description=instrument.description
        )


def _of_call(call: Call) -> Attributes:
    asked = call.last.request if call.last else call.info
    return semconv.at_start(
        call.info.operation, asked.provider, asked.model, asked.server_address, asked.server_port
    )
