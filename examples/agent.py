"""
A small agent on the openai and anthropic SDKs, to be watched by spanscript without a change to it.

    SPANSCRIPT_DIR=./run OTEL_TRACES_EXPORTER=console opentelemetry-instrument python examples/agent.py

The agent is `spanscript.demo.agent`. It asks whoever `OPENAI_BASE_URL` and `ANTHROPIC_BASE_URL` name, or
the real providers if their keys are set; else a provider that is started here, on loopback.
"""

import contextlib
import os
import sys

from spanscript.demo import agent, loopback

if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        if not any(
            os.environ.get(f"{who}_{what}")
            for who in ("OPENAI", "ANTHROPIC")
            for what in ("BASE_URL", "API_KEY")
        ):
            provider = stack.enter_context(loopback.start())
            os.environ.update(loopback.environment(provider.openai_url, provider.url))
        agent.main(sys.argv[1:])
