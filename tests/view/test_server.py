"""Who gets the page that is served, and who does not."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest
from spec_writer import sample

from spanscript.viewer import page
from spanscript.viewer.payload import Payload
from spanscript.viewer.server import Server


@pytest.fixture
def server(tmp_path):
    sample()[0].save(tmp_path)
    with Server(0, partial(Payload, tmp_path)) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ask(server, *, method="GET", path=None, host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path or server.path, skip_host=True)
    if host != "":
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_page_comes_with_its_policy(server, tmp_path):
    answer, body = ask(server)

    assert answer.status == 200
    assert body == b"".join((page.template()[0], *Payload(tmp_path), page.template()[1]))
    assert answer.getheader("Content-Security-Policy") == f"{page.policy()}; frame-ancestors 'none'"
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Referrer-Policy") == "no-referrer"


def test_the_policy_is_strict():
    policy = dict(part.split(" ", 1) for part in page.policy().split("; "))

    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/=]+'", policy["script-src"])
    assert re.fullmatch(r"'sha256-[\w+/=]+'", policy["style-src"])
    assert policy["img-src"] == "data:"
    assert (policy["base-uri"], policy["form-action"], policy["trusted-types"]) == ("'none'",) * 3


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"host": "attacker.example"}, 421),  # DNS rebinding
        ({"host": "127.0.0.1"}, 421),
        ({"host": ""}, 421),
        ({"path": "/"}, 404),  # another user of the machine, who does not know the address
        ({"path": "/llm_transcript.jsonl"}, 404),
        ({"method": "POST"}, 501),
        ({"method": "HEAD"}, 501),
        ({"method": "OPTIONS"}, 501),
    ],
)
def test_everybody_else_gets_nothing(server, asked, status):
    answer, body = ask(server, **asked)

    assert answer.status == status
    assert b"application/gzip" not in body


def test_each_page_has_an_address_of_its_own(tmp_path):
    servers = [Server(0, partial(Payload, tmp_path)) for _ in range(2)]
    for server in servers:
        server.server_close()

    assert servers[0].path != servers[1].path
    assert all(len(server.path) > 20 and server.server_address[0] == "127.0.0.1" for server in servers)


def test_a_transcript_that_goes_away(server, tmp_path):
    (tmp_path / "llm_transcript.jsonl").unlink()
    answer, body = ask(server)

    assert answer.status == 500
    assert b"no llm_transcript*.jsonl in this directory" in body


def test_the_command_serves_until_it_is_interrupted(tmp_path):
    sample()[0].save(tmp_path)
    command = [sys.executable, "-c", "import sys; from spanscript.cli import main; sys.exit(main())"]
    with subprocess.Popen(
        [*command, "view", "--serve", "--json", "--dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": ""},
    ) as process:
        text = b"".join(process.stdout.readline() for _ in range(3))
        url = json.loads(text)["url"]
        host, _, path = url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", f"/{path}")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == b""
