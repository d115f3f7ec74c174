"""
The same tests in each environment: oldest and newest clients, OpenTelemetry and Python, and the wheel.

`nox` runs what `make test`, which has the newest of all, leaves out; `nox -s "clients(oldest)"` runs one,
`nox -s pythons` each Python that is on the machine.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["clients(oldest)", "clients(middle)", "wheel"]
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

CLIENTS = {
    # The oldest OpenTelemetry that is supported stands with the oldest clients.
    "oldest": [
        "openai==1.109.1",
        "anthropic==0.125.0",
        "httpx==0.28.1",
        "opentelemetry-api==1.37.0",
        "opentelemetry-sdk==1.37.0",
        "opentelemetry-instrumentation==0.58b0",
        "opentelemetry-semantic-conventions==0.58b0",
        "opentelemetry-distro==0.58b0",
        "opentelemetry-exporter-otlp==1.37.0",
        "wrapt==1.14.2",
        "msgspec==0.19.0",
    ],
    "middle": ["openai==2.54.0", "anthropic==1.17.0"],
    "newest": ["openai", "anthropic", "httpx", "httpx2"],
}
TESTS = ["boto3", "pytest", "pytest-asyncio", "pytest-xdist", "hypothesis", "rich"]
OF_CLIENTS = ["tests/clients", "tests/test_instrumentor.py"]


@nox.session
@nox.parametrize("clients", list(CLIENTS), ids=list(CLIENTS))
def clients(session: nox.Session, clients: str) -> None:
    """The tables of client tests against one generation of clients."""
    session.install(*TESTS, *CLIENTS[clients], "opentelemetry-distro", "opentelemetry-exporter-otlp", ".")
    session.run("pytest", "-n", "2", "--dist", "loadgroup", *(session.posargs or OF_CLIENTS))


@nox.session(python=["3.10", "3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """The whole suite on each Python that is here, with the newest of everything."""
    session.install(".[dev]")
    session.run("pytest", "-n", "2", "--dist", "loadgroup", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel, as a user installs it, with `src` out of the way."""
    session.install("build", *TESTS, *CLIENTS["newest"])
    directory = Path(session.create_tmp())
    session.run("python", "-m", "build", "--wheel", "--outdir", str(directory), ".")
    (built,) = directory.glob("spanscript-*.whl")
    session.install(f"spanscript[otlp] @ {built.resolve().as_uri()}")
    session.run("python", "-c", "import spanscript; assert 'site-packages' in spanscript.__file__")
    tests = ["tests/cli", "tests/test_dialects.py", "tests/test_otlp.py"]
    session.run("pytest", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider", *tests)
