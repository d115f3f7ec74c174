"""`spanscript doctor`: what is installed, hooked and switched on. Imports none of it."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from spanscript import config
from spanscript._exchange import Json
from spanscript._json import loads
from spanscript._text import clean, dump
from spanscript._version import __version__
from spanscript.cli import _source
from spanscript.cli._table import print_table

EXAMPLE: Final = "spanscript doctor"

_PARTS: Final[Mapping[str, str]] = {
    "opentelemetry-api": "",
    "opentelemetry-sdk": "",
    "opentelemetry-instrumentation": "without it there is no `opentelemetry-instrument`",
    "opentelemetry-distro": "without it nothing is exported unless told: spanscript[otlp]",
    "opentelemetry-exporter-otlp": "without it spans cannot be sent by OTLP: spanscript[otlp]",
    "wrapt": "",
    "msgspec": "",
    "rich": "without it tables are plain: spanscript[cli]",
}
"""Package → what its absence means."""

_UNHOOKED: Final[Mapping[str, str]] = {
    "ollama": "needs none; its requests are seen where httpx is hooked",
    "huggingface-hub": "needs none; its requests are seen where httpx or httpx2 is hooked",
    "urllib3": "no hook; what requests and botocore send through it is seen",
    "websockets": "no hook; there is no request that a transcript could hold",
    "grpcio": "no hook; another wire",
}
"""Packages on PyPI that people will ask about → why they are not hooked."""

_SHOWN: Final = (
    *config.VARIABLES,
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_SERVICE_NAME",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    _source.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the findings. 0 also if something is missing: it is a report, not a test."""
    report: dict[str, Json] = {
        "spanscript": __version__,
        "python": platform.python_version(),
        "packages": {name: {"version": _version(name), "missing": why} for name, why in _PARTS.items()},
        "libraries": list(_libraries()),
        "transcript": _transcript(args.dir),
        "exporter": _exporter(),
        "environment": {name: os.environ[name] for name in _SHOWN if name in os.environ},
    }
    if args.json:
        print(dump(report))
    else:
        _print(report)
    return 0


def _print(report: Mapping[str, Json]) -> None:
    print(f"spanscript {report['spanscript']}, Python {report['python']}\n")
    packages = [
        (name, about["version"] or "not installed", "" if about["version"] else about["missing"])
        for name, about in report["packages"].items()
    ]
    print_table(["package", "version", ""], packages)
    print()
    libraries = [[row["name"], row["version"], row["hooked"], row["why"]] for row in report["libraries"]]
    print_table(["library", "version", "hooked", "why"], libraries)
    print()
    for key in ("transcript", "exporter"):
        print(f"{key}: {clean(report[key], one_line=True)}")
    for name, value in report["environment"].items():
        print(f"{name}={clean(value, one_line=True)}")


def _libraries() -> Iterator[dict[str, str | None]]:
    from spanscript._hooks import TABLE  # noqa: PLC0415  # no other command needs it

    findings = _findings()
    sees = {hook.library: hook.sees for hook in TABLE}
    for library, seen in sees.items():
        version = _version(library)
        why = _why_not(version, findings.get(library))
        reason = why or f"its {seen}, once the app imports it"
        yield {"name": library, "version": version, "hooked": "no" if why else "yes", "why": reason}
    for name, why in _UNHOOKED.items():
        if (version := _version(name)) is not None:
            yield {"name": name, "version": version, "hooked": "no", "why": why}


def _findings() -> Mapping[str, list[str] | str]:
    """What a process that imports the libraries finds wrong with them."""
    command = [sys.executable, "-m", "spanscript._hooks"]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # ourselves
    return loads(done.stdout) if done.returncode == 0 else {}


def _why_not(version: str | None, finding: list[str] | str | None) -> str | None:
    if version is None:
        return "not installed"
    if config.is_disabled():
        return f"switched off by {config.DISABLED_INSTRUMENTATIONS}"
    if isinstance(finding, str):
        return f"it cannot be imported: {finding}"
    return f"this version has no {', '.join(finding)}; the rest is hooked" if finding else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _transcript(directory: str | None) -> str:
    """Where the transcript goes, and whether it can."""
    if not directory:
        return f"none: {config.SPANSCRIPT_DIR} is not set"
    path = Path(directory)
    if path.is_dir():
        return f"{path}{'' if os.access(path, os.W_OK | os.X_OK) else ': NOT writable'}"
    if path.exists():
        return f"{path}: NOT a directory"
    parent = next(above for above in path.absolute().parents if above.exists())
    able = os.access(parent, os.W_OK | os.X_OK)
    return f"{path}, made at the first call" if able else f"{path}: CANNOT be made in {parent}"


def _exporter() -> str:
    """Where `opentelemetry-instrument` would send the spans."""
    if os.environ.get(config.SDK_DISABLED, "").strip().lower() == "true":
        return f"none: {config.SDK_DISABLED}=true"
    chosen = os.environ.get("OTEL_TRACES_EXPORTER")
    if chosen is None:
        if _version("opentelemetry-distro") is None:
            return "none: OTEL_TRACES_EXPORTER is not set, nor is opentelemetry-distro here to choose"
        chosen = "otlp"
    if "otlp" not in chosen:
        return chosen
    if _version("opentelemetry-exporter-otlp") is None:
        return f"{chosen}: NOT installed (spanscript[otlp])"
    ends = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return f"{chosen} to {next(filter(None, map(os.environ.get, ends)), 'http://localhost:4317')}"
