"""The frameworks, and who else may instrument them: tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

OPENINFERENCE = "openinference.instrumentation."
OPENTELEMETRY = "opentelemetry.instrumentation."


@dataclass(frozen=True)
class Framework:
    """
    A framework, and its program beside this file.

    Attributes:
        modules: What must be installed.
        shows: Matches what the program prints.
        results: How many of its requests bring a tool's result; none where types are the tools.
        beside: Its own instrumentation, and others': by name, `module:Class` of an instrumentor or the code
            that puts it on.
    """

    modules: tuple[str, ...]
    shows: str
    results: int = 0
    beside: Mapping[str, str] = field(default_factory=dict)


AGENTS_TRACING = """
import os, agents
from agents.tracing.processors import BackendSpanExporter, BatchTraceProcessor
exporter = BackendSpanExporter(endpoint=os.environ["OPENAI_BASE_URL"] + "/traces/ingest")
agents.set_trace_processors([BatchTraceProcessor(exporter)])
agents.set_tracing_disabled(False)
"""
LOGFIRE = """
import logfire
logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_pydantic_ai()
"""
ANYONE: Mapping[str, str] = {
    "nobody": "",
    "openai-v2": f"{OPENTELEMETRY}openai_v2:OpenAIInstrumentor",
    "openinference-openai": f"{OPENINFERENCE}openai:OpenAIInstrumentor",
    "openllmetry-openai": f"{OPENTELEMETRY}openai:OpenAIInstrumentor",
}
"""Who instruments the openai SDK, which they all use."""
AT_ITS_END = "its spans say only when they end that they are of a model"
AFTER_THE_ANSWER = "its span of a response is made after the answer came"
LEFT_TO_IT = "it says that it counts the call of OpenAIResponses, and does not"
UNCOUNTED: Mapping[tuple[str, str], str] = {
    ("langchain", "openinference"): AT_ITS_END,
    ("llama_index", "openinference"): AT_ITS_END,
    ("openai_agents", "openllmetry-openai"): AFTER_THE_ANSWER,
    ("pydantic_ai", "openllmetry-openai"): AFTER_THE_ANSWER,
    ("langchain", "openllmetry-openai"): AFTER_THE_ANSWER,
    ("llama_index", "openllmetry-openai"): AFTER_THE_ANSWER,
    ("llama_index", "openllmetry"): LEFT_TO_IT,
}
"""Where tokens are counted twice or not at all, and why. A test fails where that is no longer so."""
BROKEN: Mapping[str, Collection[str]] = {
    "instructor": ("openai-v2", "openinference-openai", "openllmetry-openai"),
}
"""Neighbours with which a framework does not run, also without us: instructor's streams fail."""
FRAMEWORKS: Mapping[str, Framework] = {
    "openai_agents": Framework(
        ("agents",),
        r"whole: The tool says: .*Lisbon\n(.*\n)*streamed: The \|tool \|says: (.*\n)*chat: The tool",
        results=3,
        beside={
            "own": AGENTS_TRACING,
            "openinference": f"{OPENINFERENCE}openai_agents:OpenAIAgentsInstrumentor",
            "openllmetry": f"{OPENTELEMETRY}openai_agents:OpenAIAgentsInstrumentor",
        },
    ),
    "pydantic_ai": Framework(
        ("pydantic_ai", "anthropic"),
        r"streamed: The \|tool \|says: .*\ntyped: name='Braga'(.*\n)*claude: The tool says",
        results=3,
        beside={"own": "import pydantic_ai\npydantic_ai.Agent.instrument_all()", "logfire": LOGFIRE},
    ),
    "langchain": Framework(
        ("langchain", "langchain_openai", "langchain_anthropic"),
        r"whole: The tool says: .*Lisbon\n(.*\n)*streamed: The \|tool \|(.*\n)*responses: The \|tool ",
        results=4,
        beside={
            "openinference": f"{OPENINFERENCE}langchain:LangChainInstrumentor",
            "openllmetry": f"{OPENTELEMETRY}langchain:LangchainInstrumentor",
            "openinference-anthropic": f"{OPENINFERENCE}anthropic:AnthropicInstrumentor",
            "openllmetry-anthropic": f"{OPENTELEMETRY}anthropic:AnthropicInstrumentor",
        },
    ),
    "llama_index": Framework(
        ("llama_index.core", "llama_index.llms.openai"),
        r"streamed: The tool says: .* \(\d\d pieces\)\n(.*\n)*typed: name='Braga'",
        results=2,
        beside={
            "openinference": f"{OPENINFERENCE}llama_index:LlamaIndexInstrumentor",
            "openllmetry": f"{OPENTELEMETRY}llamaindex:LlamaIndexInstrumentor",
        },
    ),
    "crewai": Framework(
        ("crewai",),
        r"whole: The tool says: (.*\n)*streamed: The tool says: ",
        results=2,
        beside={
            "openinference": f"{OPENINFERENCE}crewai:CrewAIInstrumentor",
            "openllmetry": f"{OPENTELEMETRY}crewai:CrewAIInstrumentor",
        },
    ),
    "instructor": Framework(
        ("instructor", "anthropic"),
        r"tool: city='Lisbon'(.*\n)*streamed: .*\|city='Faro' degrees=1",
        beside={"openinference": f"{OPENINFERENCE}instructor:InstructorInstrumentor"},
    ),
    "dspy": Framework(
        ("dspy", "mcp"),
        r"typed: Prediction(.*\n)*tool: (.*\n)*streamed: ",
        beside={
            "openinference": f"{OPENINFERENCE}dspy:DSPyInstrumentor",
            "openinference-litellm": f"{OPENINFERENCE}litellm:LiteLLMInstrumentor",
        },
    ),
}
