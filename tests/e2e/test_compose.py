"""
What can be seen of `docker-compose.yaml` without a Docker engine.

It is read by Compose's own loader; and its three programs are run as it says, each on a loopback address in the
place of its container.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import peers
import pytest
import yaml
from stack import CONFIGS, Query, Server, program, until

FILE = CONFIGS / "docker-compose.yaml"
SERVICES = yaml.safe_load(FILE.read_text())["services"]
LOADER = "github.com/compose-spec/compose-go/v2/cmd@v2.10.0"
ADDRESSES = {"jaeger": "127.0.77.1", "collector": "127.0.77.2", "app": "127.0.77.3"}


def _environment(name: str, directory: Path) -> dict[str, str]:
    """A service's environment, with addresses for names and *directory* for its volumes."""

    def here(value: str) -> str:
        value = re.sub("//(jaeger|collector):", lambda found: f"//{ADDRESSES[found[1]]}:", value)
        value = value.replace("0.0.0.0", ADDRESSES[name])
        return re.sub("^/(data|transcript)", f"{directory}/\\1", value)

    return {variable: here(value) for variable, value in SERVICES[name]["environment"].items()}


def test_compose_reads_it():
    if not shutil.which("go"):
        pytest.skip("no Go to build Compose's loader")

    done = subprocess.run(["go", "run", LOADER, FILE], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["services"].keys() == SERVICES.keys()


def test_its_versions_are_those_that_the_tests_run():
    """An image without a version, or of another, would be one that nobody has tried."""
    images = {name: service["image"] for name, service in SERVICES.items() if "image" in service}
    collector = yaml.safe_load(peers.MANIFEST.read_text())["dist"]["version"]

    assert images == {
        "jaeger": f"jaegertracing/jaeger:{peers.JAEGER_RELEASE}",
        "collector": f"otel/opentelemetry-collector-contrib:{collector}",
    }


def test_what_is_mounted_and_copied_is_there():
    mounted = [volume.split(":")[0] for volume in SERVICES["collector"]["volumes"] if volume.startswith("./")]
    copied = re.findall(r"^COPY (.+) \S+$", SERVICES["app"]["build"]["dockerfile_inline"], re.MULTILINE)

    assert mounted
    assert copied
    assert all((CONFIGS / path).is_file() for path in mounted)
    assert all((CONFIGS / ".." / path).exists() for line in copied for path in line.split())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on loopback")
def test_its_programs_show_the_demo_in_jaeger(started, tmp_path):
    log = tmp_path / "log"
    started(
        Server(
            [str(program("jaeger"))],
            f"http://{ADDRESSES['jaeger']}:16686",
            log,
            _environment("jaeger", tmp_path),
        )
    )
    started(
        Server(
            [str(program("collector")), f"--config={CONFIGS / 'local.yaml'}"],
            f"http://{ADDRESSES['collector']}:4318",
            log,
            _environment("collector", tmp_path),
        )
    )
    instrument, python, agent = SERVICES["app"]["command"]
    assert python == "python"

    subprocess.run(
        [
            *(Path(sys.executable).parent / instrument, sys.executable),
            CONFIGS.parent / Path(agent).relative_to("/spanscript"),
        ],
        env={k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
        | _environment("app", tmp_path),
        check=True,
        timeout=120,
    )

    jaeger = Query(f"http://{ADDRESSES['jaeger']}:16686")
    service = SERVICES["app"]["environment"]["OTEL_SERVICE_NAME"]
    seen = until(lambda: len((found := jaeger.spans_of(service)).spans) == 18 and found)
    assert (len(seen.calls), len(seen.attempts)) == (8, 10)
