"""Collectors and backends go down and come back: the app never waits, and no span is lost that a queue could hold."""

from __future__ import annotations

import pytest
from asking import asking
from otlp import RECEIVERS
from stack import Collector, Jaeger, until

PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
"""Seconds in which the SDK tries to send a batch; 10 by default."""


def _otlp(collector, protocol, service):
    return {
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
    }


def _all_there(jaeger, service, app):
    """Waits until Jaeger has every attempt that the transcript has, each with its call."""

    def look():
        seen = jaeger.spans_of(service)
        return app.attempts <= seen.attempts.keys() and seen

    seen = until(look, 120)
    assert seen.attempts.keys() == app.attempts
    assert seen.calls.keys() == {span["parent"] for span in seen.attempts.values()}


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_a_collector_that_is_down_at_the_start(protocol, provider, shared_jaeger, started, tmp_path):
    collector = Collector("local.yaml", tmp_path / "c", environment={"JAEGER_URL": shared_jaeger.http})
    service = f"late-{protocol.partition('/')[0]}"

    with asking(provider, tmp_path / "run", **_otlp(collector, protocol, service), **PATIENT) as app:
        app.ask(20)  # all answered, before there is any collector
        started(collector)
        app.ask(20)
        app.end()

    _all_there(shared_jaeger, service, app)


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_a_collector_that_is_killed(protocol, provider, local, shared_jaeger, tmp_path):
    service = f"killed-{protocol.partition('/')[0]}"
    with asking(provider, tmp_path / "run", **_otlp(local, protocol, service), **PATIENT) as app:
        app.ask(20)
        until(lambda: shared_jaeger.spans_of(service).spans)
        app.ask(20)
        local.kill()
        app.ask(20)  # all answered, without a collector
        local.start()
        app.ask(20)
        app.end()

    _all_there(shared_jaeger, service, app)


def test_a_backend_that_is_away_longer_than_the_app_lives(provider, started, tmp_path):
    """What the collector has on disk survives it, too."""
    jaeger = Jaeger(tmp_path / "jaeger")
    collector = Collector("local.yaml", tmp_path / "c", environment={"JAEGER_URL": jaeger.http})
    started(collector)

    with asking(provider, tmp_path / "run", **_otlp(collector, "grpc", "bereft")) as app:
        app.ask(50)
        app.end()
    collector.kill()
    collector.start()
    started(jaeger)

    _all_there(jaeger, "bereft", app)
