"""
The same tests in each environment: releases of clients, OpenTelemetry and Python, and the wheel.

`nox` runs a representative part, beside what `make test` runs, which has the newest of all; `make matrix`
every client in every release, with a row per client and mode; `nox -s "client(cohere 5.21.0)"` one of them;
`nox -s pythons` each Python that is on the machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / "tests" / "clients"))
import matrix
from versions import CLIENTS, environments, requirements

nox.options.sessions = ["clients(oldest)", "client(litellm newest)", "wheel"]
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

OPENTELEMETRY = {
    "oldest": [
        "opentelemetry-api==1.37.0",
        "opentelemetry-sdk==1.37.0",
        "opentelemetry-instrumentation==0.58b0",
        "opentelemetry-semantic-conventions==0.58b0",
        "opentelemetry-distro==0.58b0",
        "opentelemetry-exporter-otlp==1.37.0",
        "wrapt==1.14.2",
        "msgspec==0.19.0",
    ],
    "newest": ["opentelemetry-distro", "opentelemetry-exporter-otlp"],
}
TESTS = ["pytest", "pytest-asyncio", "pytest-xdist", "hypothesis", "rich", "pydantic"]
# What our own errors do is the same in every environment, and takes long.
OF_CLIENTS = [
    *("tests/clients", "tests/test_instrumentor.py", "tests/test_logs.py"),
    "--ignore=tests/clients/test_nothing_breaks.py",
]
IN_PARALLEL = ["-n", "4", "--dist", "loadgroup"]  # half of the time they wait for a server
REPORT = Path(".nox") / "matrix.jsonl"


@nox.session
@nox.parametrize("age", ["oldest"], ids=["oldest"])
def clients(session: nox.Session, age: str) -> None:
    """All client tests with the oldest release of every client that can stand beside the others."""
    side_by_side = [name for name, client in CLIENTS.items() if client.shared]
    together = [wanted for name in side_by_side for wanted in requirements(name, CLIENTS[name].oldest)]
    session.install(*TESTS, *OPENTELEMETRY[age], *together, ".")
    session.run("pytest", *IN_PARALLEL, *(session.posargs or OF_CLIENTS))


@nox.session
@nox.parametrize(("name", "version"), environments(), ids=[f"{n} {v or 'newest'}" for n, v in environments()])
def client(session: nox.Session, name: str, version: str) -> None:
    """One client in one release, alone."""
    session.install(*TESTS, *OPENTELEMETRY["newest"], *requirements(name, version), ".")
    own = Path("tests/clients") / f"test_{name.replace('-', '_')}.py"
    tests = ["tests/clients/test_table.py", "tests/clients/test_names.py"]
    tests += [str(own)] if own.exists() else []
    tests += [] if version else ["tests/test_examples.py"]  # an example is for the newest release
    report = REPORT.absolute()
    session.run("pytest", *IN_PARALLEL, "--client", name, "--matrix", str(report), *session.posargs, *tests)


@nox.session(name="matrix", venv_backend="none")
def print_matrix(session: nox.Session) -> None:
    """What the client sessions that ran found, a row per client and mode."""
    rows = matrix.read(REPORT)
    sys.stdout.write(matrix.table(rows) + "\n")
    failed = sorted({row["client"] for row in rows if row.get("failed")})
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session(python=["3.10", "3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """The whole suite on each Python that is here, with the newest of everything."""
    session.install(".[dev]")
    session.run("pytest", *IN_PARALLEL, *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel, as a user installs it, with `src` out of the way."""
    session.install("build", *TESTS, "openai", "anthropic", "httpx", "httpx2")
    directory = Path(session.create_tmp())
    session.run("python", "-m", "build", "--wheel", "--outdir", str(directory), ".")
    (built,) = directory.glob("spanscript-*.whl")
    session.install(f"spanscript[otlp] @ {built.resolve().as_uri()}", "genai-prices")
    session.run("python", "-c", "import spanscript; assert 'site-packages' in spanscript.__file__")
    tests = ["tests/cli", "tests/test_dialects.py", "tests/test_otlp.py"]
    session.run("pytest", *IN_PARALLEL, "-p", "no:cacheprovider", *tests)


OPENINFERENCE, OPENLLMETRY = "openinference-instrumentation-", "opentelemetry-instrumentation-"
NEIGHBOURS = [
    "httpx",
    f"{OPENINFERENCE}openai",
    f"{OPENLLMETRY}openai",
    "opentelemetry-instrumentation-openai-v2==2.4b0",
    "opentelemetry-util-genai==1.1b0",  # with 1.3b0 this openai-v2 cannot be imported
]
FRAMEWORKS = {
    "openai_agents": [
        "openai-agents",
        f"{OPENINFERENCE}openai-agents",
        f"{OPENLLMETRY}openai-agents",
    ],
    "pydantic_ai": ["pydantic-ai-slim[openai,anthropic]", "logfire"],
    "langchain": [
        *("langchain", "langchain-openai", "langchain-anthropic"),
        *(f"{OPENINFERENCE}{of}" for of in ("langchain", "anthropic")),
        *(f"{OPENLLMETRY}{of}" for of in ("langchain", "anthropic")),
    ],
    "llama_index": [
        *("llama-index-core", "llama-index-llms-openai"),
        f"{OPENINFERENCE}llama-index",
        f"{OPENLLMETRY}llamaindex",
    ],
    "crewai": ["crewai", f"{OPENINFERENCE}crewai", f"{OPENLLMETRY}crewai"],
    "instructor": ["instructor", "anthropic", f"{OPENINFERENCE}instructor"],
    "dspy": ["dspy[mcp]", f"{OPENINFERENCE}dspy", f"{OPENINFERENCE}litellm"],
}


@nox.session
@nox.parametrize("framework", list(FRAMEWORKS), ids=list(FRAMEWORKS))
def frameworks(session: nox.Session, framework: str) -> None:
    """A real program on a framework, alone and beside what else instruments it."""
    session.install("pytest", "pytest-asyncio", "-e", ".[otlp,cli]", *NEIGHBOURS, *FRAMEWORKS[framework])
    session.run(
        "pytest", "-p", "no:cacheprovider", *(session.posargs or ["tests/frameworks", "-k", f"{framework}-"])
    )
