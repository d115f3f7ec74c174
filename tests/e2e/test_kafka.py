"""A transcript to Kafka: the collector's own producer, librdkafka's broker and its consumer."""

from __future__ import annotations

import json

import pytest
from instrumented import APP, run_app
from shipping import Shipper, expected, lines, records_of
from stack import until

confluent_kafka = pytest.importorskip("confluent_kafka", reason="pip install confluent-kafka")
from confluent_kafka.admin import AdminClient  # noqa: E402

TOPIC = "spanscript"


@pytest.fixture
def broker():
    """Address of a broker that lives as long as the client that it is in; Kafka's protocol over real sockets."""
    client = AdminClient({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    (found,) = client.list_topics(timeout=30).brokers.values()
    yield f"{found.host}:{found.port}"
    del client


@pytest.fixture
def topic(broker):
    """What came to the topic, by message; grows."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "test",
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 200,
            "fetch.message.max.bytes": 100_000_000,
        }
    )
    consumer.subscribe([TOPIC])
    found = []

    def look():
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            found.append(message.value())
        return found

    yield look
    consumer.close()


def test_every_line_comes_to_the_topic_once(broker, topic, provider, started, tmp_path):
    run_app(APP, provider, tmp_path, OTEL_TRACES_EXPORTER="none")
    wanted = lines(tmp_path / "run")
    settings = {
        "service.pipelines.logs.exporters": "[kafka]",
        "exporters.kafka.protocol_version": "2.1.0",  # librdkafka's broker speaks no newer one rightly
    }

    started(Shipper(tmp_path, settings, {"KAFKA_BROKER": broker, "KAFKA_TOPIC": TOPIC}))

    def arrived():
        records = [r for value in topic() for r in records_of(json.loads(value)["resourceLogs"])]
        return len(records) >= len(wanted) and records

    records = until(arrived)
    assert [record["body"] for record in records] == wanted
    assert records == [expected(line) for line in wanted]
