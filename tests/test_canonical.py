"""The fast way to the canonical text of JSON gives what the slow one gives, or nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanscript import _json

EXACT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(EXACT, st.booleans(), st.sampled_from([None, 1]))
def test_without_floats_it_is_the_same(value, escaped, indent):
    text = json.dumps(value, ensure_ascii=escaped, indent=indent).encode()

    assert _json.canonical(value) == _json.maybe_canonical(text)


@pytest.mark.parametrize(
    "text", [b"1.0", b"[1e5]", b'{"a":{"b":-0.0}}', b"NaN", b'"\\ud800"', b'{"a":1', b'"\xff"', b""]
)
def test_what_may_differ_is_left_to_the_slow_way(text):
    assert _json.maybe_canonical(text) is None
