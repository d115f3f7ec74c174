"""Text that no terminal should be given."""

import re

HOSTILE = "a\x1b]52;c;aGk=\x07b\x9b31mc\u202ed\r\x00e\x7f\u2066\U000e0041\ud800\tf\ng"
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f\ud800-\udfff]"
)
