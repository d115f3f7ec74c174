"""Identifiers of calls."""

from __future__ import annotations

import os
import time


def new_call_id() -> str:
    """
    Make a UUIDv7: 48 bits of milliseconds, the rest random, so that ids sort by time.

    Source: RFC 9562, section 5.7. Random bits come from the operating system, so that a forked child
    does not repeat its parent's.
    """
    value = int.from_bytes(os.urandom(10), "big") | (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
