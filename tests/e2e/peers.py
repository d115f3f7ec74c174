"""
The real collector and the real Jaeger that the end-to-end tests run against.

`python tests/e2e/peers.py` builds what is not on PATH, once, from Go modules, into the user's cache directory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

MANIFEST = Path(__file__).parents[2] / "collector-config" / "builder.yaml"
JAEGER = "github.com/jaegertracing/jaeger@v1.76.0"
JAEGER_RELEASE = "2.13.0"
"""The same: Jaeger's module has the numbers of version 1."""


class Peer(NamedTuple):
    on_path: str
    """The program's name where a user has it installed."""
    version: str
    """What is built, to the last component."""
    build: Callable[[Path, str], None]
    """Builds it in an empty directory, as the file of the given name."""


def _go(*arguments: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        ["go", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _build_collector(directory: Path, name: str) -> None:
    """By the official builder, of the manifest's own version."""
    (version,) = re.findall(r"^  version: (\S+)$", MANIFEST.read_text(), re.MULTILINE)
    _go(
        "install",
        f"go.opentelemetry.io/collector/cmd/builder@v{version}",
        cwd=directory,
        GOBIN=str(directory),
    )
    subprocess.run([directory / "builder", f"--config={MANIFEST}"], cwd=directory, check=True)
    (directory / "build" / "otelcol").rename(directory / name)


def _build_jaeger(directory: Path, name: str) -> None:
    """In its own module, which is the only one where its `replace` lines hold."""
    module = json.loads(_go("mod", "download", "-json", JAEGER, cwd=directory))["Dir"]
    _go("build", "-ldflags", "-s -w", "-o", str(directory / name), "./cmd/jaeger", cwd=Path(module))


PEERS: Mapping[str, Peer] = {
    "collector": Peer(
        "otelcol-contrib", hashlib.sha256(MANIFEST.read_bytes()).hexdigest()[:12], _build_collector
    ),
    "jaeger": Peer("jaeger", JAEGER.rpartition("@")[2], _build_jaeger),
}


def _built(name: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "spanscript" / f"{name}-{PEERS[name].version}"


def find(name: str) -> Path | None:
    """The program, from PATH or as built; `None`: there is none yet."""
    installed = shutil.which(PEERS[name].on_path)
    if installed:
        return Path(installed)
    return _built(name) if _built(name).exists() else None


def why_missing(name: str) -> str:
    """Why the program is not there, for the report of the tests."""
    wanted = f"no {name}: {PEERS[name].on_path} is not on PATH"
    return (
        f"{wanted}, and {'`make peers` was not run' if shutil.which('go') else 'there is no Go to build it'}"
    )


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A directory on the target's own disk, so that what was built can be moved there in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        yield Path(directory)


def make(name: str) -> None:
    """Build one, unless it is there."""
    found = find(name)
    if found is None and not shutil.which("go"):
        print(f"{why_missing(name)}. The tests that need it are skipped.")
    elif found is None:
        target = _built(name)
        print(f"{name}: building {target} from Go modules; this takes minutes, once.", flush=True)
        began = time.monotonic()
        with _scratch(target) as directory:
            PEERS[name].build(directory, target.name)
            (directory / target.name).replace(target)
        print(f"{name}: built in {time.monotonic() - began:.0f} s")
    else:
        print(f"{name}: {found}")


if __name__ == "__main__":
    for each in sys.argv[1:] or PEERS:
        make(each)
