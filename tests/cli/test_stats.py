"""`stats`: numbers of many calls."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from spec_writer import IDS, SpecWriter, compact

from spanscript.cli import _tally, stats
from spanscript.cli._screen import bar
from spanscript.cli._tally import percentiles

BODY = compact({"model": "m", "messages": [{"role": "user", "content": "x"}]})


def written():
    """Model `a`: two ok, one of them retried; `b`: one failed, one that never ended."""
    w = SpecWriter()
    a = {"input_tokens": 100, "output_tokens": 10, "model": "a"}
    w.raw_request(IDS[0], 0, BODY, model="a", stage="plan", body={})
    w.error(IDS[0], 0)
    w.raw_request(IDS[0], 1, BODY, model="a", stage="plan", body={})
    w.response(IDS[0], 1, **a, cache_read_tokens=40, cost_usd=0.5, first_chunk_ms=20)
    w.raw_request(IDS[1], 0, BODY, model="a", body={})
    w.response(IDS[1], 0, **a)
    w.raw_request(IDS[2], 0, BODY, model="b", client="httpx", body={})
    w.error(IDS[2], 0, "error", text="half", output_tokens=7)
    w.second += 24 * 60 * 60 - 60 * 60 * 8
    w.raw_request(IDS[3], 0, BODY, body={})
    return w.bytes()


@pytest.fixture(autouse=True)
def no_prices(monkeypatch):
    monkeypatch.setattr(_tally, "price", lambda charge: None)


def test_stats(run):
    code, out, err = run("stats", data=written())

    assert (code, err) == (0, "")
    assert out.decode().splitlines() == [
        "model   calls                attempts  failed  retried",
        "a           2  ██████               3      0%      50%",
        "(none)      1  ███                  1    100%       0%",
        "b           1  ███                  1    100%       0%",
        "total       4  ████████████         5     50%      25%",
        "",
        "model   input  output  cache read  cached       cost",
        "a         200      20          40     40%  $0.500000",
        "(none)",
        "b                   7",
        "total     200      27          40     40%  $0.500000",
        "",
        "model   p50   p90   p99  call, ms",
        "a      1000  3000  3000  ████████░░░░░░░░░░░░░░░░",
        "total  1000  3000  3000  ████████░░░░░░░░░░░░░░░░",
        "",
        "model  p50  p90  p99  first chunk, ms",
        "a       20   20   20  ████████████████████████",
        "total   20   20   20  ████████████████████████",
        "",
        "attempts without a cost: 2 (their list price is not known)",
    ]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("model", {"a": 2, None: 1, "b": 1}),
        ("provider", {"openai": 4}),
        ("stage", {None: 3, "plan": 1}),
        ("client", {"openai": 3, "httpx": 1}),
        ("dialect", {"chat_completions": 4}),
        ("day", {"2026-11-22": 4}),
    ],
)
def test_groups(run, by, groups):
    found = json.loads(run("stats", "--json", "--by", by, data=written())[1])

    assert found["by"] == by
    assert {group[by]: group["calls"] for group in found["groups"]} == groups


def test_numbers(run):
    total = json.loads(run("stats", "--json", "--model", "a", data=written())[1])["total"]

    assert total == {
        "calls": 2,
        "attempts": 3,
        "failed": 0,
        "retried": 1,
        "error_rate": 0.0,
        "retry_rate": 0.5,
        "input_tokens": 200,
        "output_tokens": 20,
        "cache_read_tokens": 40,
        "cache_hit_rate": 0.4,
        "cost_usd": 0.5,
        "unpriced": 1,
        "ms": {"p50": 1000.0, "p90": 3000.0, "p99": 3000.0},
        "first_chunk_ms": {"p50": 20.0, "p90": 20.0, "p99": 20.0},
    }


def test_list_prices(run, monkeypatch):
    charges = []
    monkeypatch.setattr(_tally, "price", lambda charge: charges.append(charge) or Decimal("0.25"))
    total = json.loads(run("stats", "--json", data=written())[1])["total"]

    assert (total["cost_usd"], total["unpriced"]) == (1.0, 0)
    assert [(charge.provider, charge.models) for charge in charges] == [
        ("openai", ("a",)),
        ("openai", ("b",)),
    ]


def test_without_the_price_list(run, monkeypatch):
    monkeypatch.setattr(stats, "find_spec", lambda name: None)

    assert b"attempts without a cost: 2 (pip install 'spanscript[prices]')" in run("stats", data=written())[1]


def test_no_calls(run):
    assert run("stats", "--model", "x", data=written())[:2] == (0, b"no calls\n")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], None),
        ([5], {"p50": 5, "p90": 5, "p99": 5}),
        (range(1, 101), {"p50": 50, "p90": 90, "p99": 99}),
        ([1, 2, 3, 4], {"p50": 2, "p90": 4, "p99": 4}),
    ],
)
def test_percentiles(values, found):
    assert percentiles(values) == found


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (0.001, "▏"), (0.5, "██"), (0.6, "██▍"), (1, "████"), (7, "████"), (-1, "")]
)
def test_bars(share, drawn):
    assert bar(share, 4) == drawn
