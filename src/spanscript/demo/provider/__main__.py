"""`python -m spanscript.demo.provider [PORT]`: run the loopback provider until interrupted."""

from __future__ import annotations

import contextlib
import signal
import sys

from spanscript.demo.provider import Provider

if __name__ == "__main__":
    with Provider(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as provider:
        print(provider.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
