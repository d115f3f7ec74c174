"""Checked by mypy, never run: the public names keep their types."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.sdk.trace import TracerProvider

import spanscript

provider = TracerProvider()
provider.add_span_processor(spanscript.TranscriptProcessor("./run", max_bytes=1_000_000, write="sync"))
undo: Callable[[], None] = spanscript.instrument(provider, directory="./run")
settings: spanscript.Settings = spanscript.Settings.from_environment({})
directory: str | None = settings.directory
version: str = spanscript.__version__
