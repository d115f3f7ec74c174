"""
Records `samples/agent`, the transcript that the documentation shows: real SDKs, on the loopback provider.

    python tests/transcript/record.py

Names of this machine are taken out. Ids and times are new each time: then run `python tests/docs.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from spanscript.demo import agent, loopback
from spanscript.demo.provider import Step

PLACE = Path(__file__).parent / "samples" / "agent"
TOOLS: Any = [{"type": "function", "function": agent.ABOUT | {"parameters": agent.PARAMETERS}}]
PROMPT = "You plan journeys. Look up the weather before you say anything of it."


def main() -> None:
    """Record it in a process of its own, as an app would be."""
    shutil.rmtree(PLACE, ignore_errors=True)
    with loopback.start() as provider:
        script(provider)
        environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("OTEL_", "SPANSCRIPT_"))
            },
            **loopback.environment(provider.openai_url, provider.url),
            "SPANSCRIPT_DIR": str(PLACE),
            "OTEL_SERVICE_NAME": "journeys",
            **{f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")},
        }
        command = ["-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()"]
        app = [sys.executable, __file__, "app"]
        subprocess.run([sys.executable, *command, *app], env=environment, check=True)
        port = str(provider.url).rpartition(":")[2]
    for file in PLACE.glob("*.jsonl"):
        text = re.sub(r'"pid":\d+,"host":"[^"]*"', '"pid":4711,"host":"example"', file.read_text())
        file.write_text(text.replace(f"127.0.0.1:{port}", "127.0.0.1:8080"))


def script(provider: Any) -> None:
    """How long answers take, and what goes wrong, for which question."""
    provider.script(*(Step(delay=seconds) for seconds in (0.31, 0.64, 0.22, 0.47, 0.9, 0.05, 0.38)))
    provider.script("503 retry-after-ms=120 delay=0.02", Step(delay=0.42), match="Porto, tomorrow")
    wrong = {"texts": [None], "calls": [["get_weather", {"town": "Faro"}]], "finish": "tool_calls"}
    provider.script(Step(delay=0.28, answer=wrong), match="Faro")
    provider.script("400", match="forbidden")
    provider.script("unended chunk_delay=0.05", match="a poem")


def app() -> None:
    """An agent: it plans, forks, fails, and has its history made short."""
    import openai

    import spanscript

    client = openai.OpenAI()

    def ask(history: list[Any], **options: Any) -> Any:
        answer = client.chat.completions.create(model="gpt-5-mini", messages=history, **options)
        return answer.choices[0].message

    system = {"role": "system", "content": PROMPT}
    history: list[Any] = [system, {"role": "user", "content": "Lisbon or Porto, tomorrow?"}]
    with spanscript.stage("plan"):
        for turn in (1, 2):
            with spanscript.iteration(turn):
                said = ask(history, tools=TOOLS, temperature=0.2)
                history.append(said.model_dump(exclude_none=True))
                for call in said.tool_calls or ():
                    result = "21 degrees and sunny"
                    history.append({"role": "tool", "tool_call_id": call.id, "content": result})
        with spanscript.iteration(3):
            ask([system, {"role": "user", "content": "And Faro?"}], tools=TOOLS)
    with spanscript.stage("write"):
        other = [*history[:2], {"role": "user", "content": "Only Porto, please. Answer in one sentence."}]
        with spanscript.iteration(1):
            ask(other, temperature=0.7)
        with spanscript.iteration(2):
            short = {"role": "user", "content": "Summary so far: Porto, 21 degrees. Write the invitation."}
            ask([{**system, "content": f"{PROMPT}\nBe brief."}, short])
        with spanscript.iteration(3):
            poem = [system, {"role": "user", "content": "Now a poem."}]
            list(client.chat.completions.create(model="gpt-5-mini", messages=poem, stream=True))
    with contextlib.suppress(openai.BadRequestError):
        ask([{"role": "user", "content": "Something forbidden"}])
    agent.main(["messages", "embeddings", "slow"])


if __name__ == "__main__":
    app() if sys.argv[1:] == ["app"] else main()
