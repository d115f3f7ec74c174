"""
What stands in the place of something: the same for the same thing, and of no use to find the thing again.

All of it comes from a keyed hash. Without the key, guesses cannot be tried out.
"""

from __future__ import annotations

import math
from base64 import b64encode
from hashlib import blake2b, shake_256
from typing import Final
from uuid import UUID

KEY_BYTES: Final = 32

_LETTERS: Final = b"eeeeeetttttaaaaaoooooiiiiinnnnnsssshhhhrrrrddddllllcuumwfgypbvk"
_TEXT: Final = bytes(_LETTERS[n % len(_LETTERS)] if n % 6 else ord(" ") for n in range(256))
"""Byte → a letter as often as English has it, or a space."""
_MILLISECONDS: Final = (1 << 48) - 1


class Pseudonyms:
    """
    Gives pseudonyms.

    Args:
        key: Secret, `KEY_BYTES` long; the same one gives the same pseudonyms.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def text(self, text: str) -> str:
        """Letters and spaces, line by line as many as there were: equal lines stay equal."""
        return "\n".join(map(self._line, text.split("\n")))

    def name(self, text: str) -> str:
        """A word that can name a tool, a key or a stage."""
        return f"n{self._hex('name', text)[:10]}"

    def ident(self, text: str) -> str:
        """An id as long as it was, 12 characters at least."""
        return f"id_{self._hex('id', text)}"[: max(len(text), 12)]

    def hexadecimal(self, text: str) -> str:
        """Hex digits, as many as there were."""
        return self._hex("hex", text)[: len(text)]

    def number(self, number: float) -> int | float:
        """A number with as many digits, the point in its place."""
        if not math.isfinite(number):
            return number
        mantissa, mark, exponent = repr(number).partition("e")
        dealt = iter(self._hex("number", mantissa))
        digits = "".join(_digit(character, next(dealt, "7")) for character in mantissa)
        return type(number)(float(digits + mark + exponent)) if "." in digits or mark else int(digits)

    def uuid(self, text: str, shift_ms: int) -> str:
        """A UUID; of version 7 with its time moved by so many milliseconds, if it was one."""
        value = int(self._hex("uuid", text)[:32], 16)
        try:
            old = UUID(text)
        except ValueError:
            return str(UUID(int=value, version=4))
        if old.version != 7:
            return str(UUID(int=value, version=4))
        milliseconds = (old.int >> 80) + shift_ms & _MILLISECONDS
        value = value & ((1 << 80) - 1) | milliseconds << 80
        value = value & ~(0xF << 76) | 0x7 << 76
        return str(UUID(int=value & ~(0x3 << 62) | 0x2 << 62))

    def data(self, seed: bytes, size: int) -> bytes:
        """So many bytes that look like nothing."""
        return shake_256(b"%bdata:%b" % (self._key, seed)).digest(size)

    def base64(self, text: str) -> str:
        """Standard base64, as long as it was."""
        size = len(text) // 4 * 3
        return b64encode(self.data(text.encode("utf-8", "surrogatepass"), size)).decode()

    def _line(self, line: str) -> str:
        if not line:
            return ""
        letters = self.data(line.encode("utf-8", "surrogatepass"), len(line)).translate(_TEXT)
        return letters.decode().strip().ljust(len(line), "e")

    def _hex(self, kind: str, text: str) -> str:
        message = f"{kind}:{text}".encode("utf-8", "surrogatepass")
        return blake2b(message, key=self._key, digest_size=64).hexdigest()


def _digit(character: str, dealt: str) -> str:
    """Another digit in the place of a digit; zero is zero still, for many things depend on that alone."""
    return str(int(dealt, 16) % 9 + 1) if character in "123456789" else character
