"""`spanscript sql`: the tables tell what `ls` tells, of damaged files too, and a query reaches nothing else."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from docs import ROOT, SAMPLE
from spec_writer import IDS, SpecWriter, chat, compact, sample

from spanscript import cli
from spanscript.cli import sql
from spanscript.transcript import indexing

FORMAT = (ROOT / "docs" / "format.md").read_text()
OURS = {"file", "entry", "ended", "response_model", "attempts", "ms"}
"""Columns that are no keys of entries."""


@pytest.fixture
def run(tmp_path, capfd):
    """Runs the command on `run/`; gives its code, stdout and stderr."""
    directory = tmp_path / "run"

    def call(*argv, data=None, name="llm_transcript.jsonl"):
        if data is not None:
            directory.mkdir(exist_ok=True)
            (directory / name).write_bytes(data)
        code = cli.main([*argv, "--dir", str(directory)])
        return code, *capfd.readouterr()

    return call


def rows(run, query, **given):
    code, out, err = run("sql", query, "--json", **given)
    assert (code, err) == (0, "")
    return json.loads(out)


def retried() -> bytes:
    """A call with a lost outcome, one of another order, copies, and types that do not fit."""
    writer = SpecWriter()
    writer.request(IDS[0], 1, compact(chat(1)), iteration=3)
    writer.request(IDS[0], 0, compact(chat(1)), iteration=3, stage="plan")
    writer.error(IDS[0], 0, error_message="busy")
    writer.raw_request(IDS[1], 0, b"{}", body={})
    writer.response(IDS[1], 0, cost_usd=0.25, input_tokens="many")
    writer.response(IDS[1], 0, cost_usd=1.5)
    writer.error(IDS[2], 2, status=None)
    return writer.bytes()


FILES = {
    "agent": (SAMPLE / "llm_transcript.jsonl").read_bytes(),
    "spec": sample()[0].bytes(),
    "retried": retried(),
}


@pytest.mark.parametrize("name", FILES)
def test_calls_are_what_ls_tells(run, name):
    _, out, _ = run("ls", "--json", data=FILES[name])
    told = {call["call_id"]: call for call in json.loads(out)}
    _, out, _ = run("sql", "select * from calls", "--json")
    found = {call["call_id"]: call for call in json.loads(out)}

    assert found.keys() == told.keys()
    for call_id, call in told.items():
        known = {key: value for key, value in found[call_id].items() if value is not None}
        assert {"attempts", "status", "timestamp"} <= call.keys() & known.keys()
        assert {key: call[key] for key in call.keys() & known} == {
            key: known[key] for key in call.keys() & known
        }
        assert not (call.keys() & found[call_id].keys()) - known.keys()


@pytest.mark.parametrize("name", FILES)
def test_attempts_are_what_show_tells(run, name):
    run("ls", data=FILES[name])
    _, out, _ = run("sql", "select * from attempts order by call_id, attempt", "--json")
    found: dict[str, list] = {}
    for row in json.loads(out):
        found.setdefault(row["call_id"], []).append(row)
    for call_id, attempts in found.items():
        _, out, _ = run("show", call_id, "--json")
        told = json.loads(out)["attempt_list"]

        assert len(told) == len(attempts)
        for mine, theirs in zip(attempts, told, strict=True):
            # What a line does not say of its time, `show` has from the lines' timestamps.
            shared = {
                key for key in theirs.keys() & mine.keys() if key != "response_ms" or mine[key] is not None
            }
            assert {"attempt", "status"} <= shared
            assert {key: mine[key] for key in shared} == {key: theirs[key] for key in shared}


def test_messages_and_entries(run):
    messages = rows(run, "select * from messages order by seq", data=FILES["spec"])
    types = rows(run, "select type, count(*) as n from entries group by all")

    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user", None]
    assert messages[1]["message"] == chat(2)["messages"][2]
    assert messages[1]["parent"] == messages[0]["hash"]
    assert messages[4]["message"]["type"] == "function_call_output"
    assert {row["type"]: row["n"] for row in types}["message"] == 5


def test_every_column_is_named_as_in_the_format(run):
    code, out, _ = run("sql", "--schema", "--json", data=FILES["spec"])
    columns = json.loads(out)
    tables = list(dict.fromkeys(column["table"] for column in columns))

    assert (code, tables) == (0, ["calls", "attempts", "messages", "entries"])
    names = {column["column"] for column in columns} - OURS
    assert [name for name in sorted(names) if f"`{name}`" not in FORMAT] == []
    assert {column["type"] for column in columns} == {
        "VARCHAR",
        "BIGINT",
        "DOUBLE",
        "BOOLEAN",
        "TIMESTAMP",
        "JSON",
    }


# Damage


@pytest.mark.parametrize(
    ("line", "entries"),
    [
        (b"garbage\n", 0),
        (b"\n\n", 0),
        (b'[]\n17\n"x"\nnull\n', 0),
        (b"{}\n", 0),
        (b'{"type":7}\n', 0),
        (b'{"type":"stage"\n', 0),
        (b'{"type":"st\xff"}\n', 0),
        (b'{"type":"stage","x":' + b"[" * 5000 + b"]" * 5000 + b"}\n", None),
        (b'{"type":"provider_call_request","call_id":[1],"attempt":"x"}\n', 1),
        (b'{"type":"message","hash":"x","timestamp":"soon","seq":1.5,"role":{"a":1}}\n', 1),
        (b'{"type":"wonder","timestamp":null}\n', 1),
        (b'{"type":"sta', 0),
    ],
)
def test_what_cannot_be_read_is_left_out_and_told(run, line, entries):
    data = FILES["spec"]
    code, out, err = run("sql", "select count(*) as n from entries", "--json", data=data + line)
    asked = json.loads(out)
    _, calls, _ = run("sql", "select * from calls", "--json")

    if entries is not None:
        assert asked == [{"n": len(sample()[0].lines) + entries}]
    bad = entries == 0 and bool(line.strip())
    assert code == (2 if bad or b"attempt" in line or b"soon" in line or entries is None else 0)
    assert (f"llm_transcript.jsonl:{len(sample()[0].lines) + 1}: " in err) == (code == 2)
    assert {call["call_id"] for call in json.loads(calls)} >= set(IDS[:3])


def test_files_that_were_rotated_are_one(run):
    first, second = SpecWriter("aaaaaaaa"), SpecWriter("bbbbbbbb", second=100)
    first.request(IDS[0], 0, compact(chat(1)))
    second.response(IDS[0], 0)
    run("ls", data=first.bytes(), name="llm_transcript-1.jsonl")

    assert rows(run, "select status, ms from calls", data=second.bytes()) == [{"status": "ok", "ms": 97000.0}]


@pytest.mark.parametrize("name", ["a'b", "a[1]*?", "ü \n", "a%b"])
def test_directories_of_any_name(tmp_path, capfd, name):
    shutil.copytree(SAMPLE, tmp_path / name)
    code = cli.main(["sql", "select count(*) from calls", "--csv", "--dir", str(tmp_path / name)])

    assert (code, capfd.readouterr().out) == (0, "count_star()\n11\n")


def test_more_than_fits_into_memory(run):
    writer = SpecWriter()
    for number in range(500):
        writer.response(f"{number:08x}-0000-7000-8000-000000000000", 0, f"{number:04} " * 400)
    query = "select count(distinct text || i) as n from attempts, range(400) r(i)"  # 800 MB

    assert run("sql", query, "--csv", "--memory", "300MB", data=writer.bytes()) == (0, "n\n200000\n", "")


# Bounds


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("select * from read_text('{elsewhere}')", "disabled by configuration"),
        ("select * from '{elsewhere}'", "DuckDB: Catalog Error"),
        ("from glob('{elsewhere}')", "disabled by configuration"),
        ("from read_csv('http://127.0.0.1:9/x.csv')", "disabled by configuration"),
        ("copy calls to '{elsewhere}'", "one SELECT"),
        ("copy calls to '{transcript}'", "one SELECT"),
        ("explain analyze copy calls to '{transcript}'", "one SELECT"),
        ("select 1; drop view calls", "one SELECT"),
        ("set enable_external_access = true", "one SELECT"),
        ("install httpfs", "one SELECT"),
        ("load httpfs", "one SELECT"),
        ("attach '{elsewhere}'", "one SELECT"),
        ("create table x(a int)", "one SELECT"),
        ("select * from query('copy calls to ''{transcript}''')", "DuckDB: "),
        ("", "one SELECT"),
        ("select nothing from calls", 'Referenced column "nothing" not found'),
        ("selec 1", "DuckDB: Parser Error: syntax error at or near"),
        ("select 1/'x'", "DuckDB: "),
        ("select '\x1b[31m' + 1", "DuckDB: "),
    ],
)
def test_a_query_that_is_refused(run, tmp_path, query, says):
    (tmp_path / "elsewhere").write_text("secret")
    transcript = tmp_path / "run" / "llm_transcript.jsonl"
    query = query.format(elsewhere=tmp_path / "elsewhere", transcript=transcript)
    code, out, err = run("sql", query, data=FILES["spec"])

    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert transcript.read_bytes() == FILES["spec"]
    assert (tmp_path / "elsewhere").read_text() == "secret"


def test_other_files_when_they_are_asked_for(run, tmp_path):
    (tmp_path / "prices.csv").write_text("model,price\ngpt-5,3\n")
    query = f"select distinct price from calls join '{tmp_path}/prices.csv' using (model)"

    assert run("sql", query, data=FILES["spec"])[0] == 2
    assert run("sql", query, "--allow-files", "--csv")[:2] == (0, "price\n3\n")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "no query is given"),
        (["select 1", "--memory", "lots"], "DuckDB: "),
    ],
)
def test_usage(run, argv, says):
    code, _, err = run("sql", *argv, data=FILES["spec"])

    assert (code, says in err) == (2, True)


def test_without_duckdb(run, monkeypatch):
    monkeypatch.setattr(sql, "find_spec", lambda name: None)

    assert run("sql", "select 1", data=FILES["spec"])[::2] == (
        2,
        "spanscript: `spanscript sql` needs DuckDB: pip install 'spanscript[sql]'\n",
    )


def test_a_query_from_stdin(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("select 1 as one"))

    assert run("sql", "-", "--csv", data=FILES["spec"])[1] == "one\n1\n"


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_hostile_text_does_not_reach_a_terminal(run, form):
    hostile = "a\x1b]52;c;aGk=\x07b\x9b31mc\u202ed\r\x00e\x7f"
    writer = SpecWriter()
    writer.request(IDS[0], 0, compact(chat(1)), stage=hostile)
    query = (
        'select stage, stage as "'
        + hostile.replace("\x00", "")
        + '", [stage] as l, {s: stage} as t from attempts'
    )
    code, out, _ = run("sql", query, *form, data=writer.bytes())

    assert code == 0
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out) is None
    assert "52;c;aGk=" in out


def test_values_of_every_kind(run):
    query = (
        "select 1.5::decimal(9, 2) as d, date '2026-01-02' as day, time '03:04:05' as t, interval 90 seconds as i,"
        " [1, 2] as l, {a: timestamp '2026-01-02 03:04:05'} as s, '\\xff'::blob as b, true as y, null as n,"
        " 170141183460469231731687303715884105727 as h, uuid '01a21d18-d787-7d5e-9e98-d051033ef37e' as u,"
        " 'nan'::double as x, map {'k': 1} as m"
    )
    (found,) = rows(run, query, data=FILES["spec"])

    assert found["s"] == {"a": "2026-01-02T03:04:05.000000Z"}
    assert (found["l"], found["y"], found["n"], found["i"], found["x"]) == ([1, 2], True, None, 90.0, None)
    code, out, _ = run("sql", query, "--csv")
    assert code == 0
    assert len(next(csv.reader(out.splitlines()[1:]))) == 13


def test_an_interrupt_ends_it(tmp_path):
    query = "select count(*) from range(1000000) a, range(1000000) b"
    code = "import sys; from spanscript.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "sql", query, "--dir", str(SAMPLE)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"TMPDIR": str(tmp_path)}
    ) as process:
        while not list(tmp_path.iterdir()):  # what the query may spill into
            time.sleep(0.01)
        time.sleep(3)  # by now the query runs, and will for a minute
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (130, b"", b"")
    assert list(tmp_path.iterdir()) == []


def test_a_table_for_people_is_short(run):
    code, out, err = run("sql", "select unnest(range(1500)) as n", data=FILES["spec"])

    assert (code, len(out.splitlines())) == (0, 1001)
    assert err == "spanscript: the first 1000 rows; --csv or --json gives all\n"
    assert run("sql", "select unnest(range(1500)) as n", "--csv")[1].count("\n") == 1501


def test_an_index_is_no_matter(run, monkeypatch):
    monkeypatch.setattr(indexing, "INDEX_FROM", 0)

    assert rows(run, "select count(*) as n from calls", data=FILES["spec"]) == [{"n": 3}]
    assert rows(run, "select count(*) as n from calls") == [{"n": 3}]
