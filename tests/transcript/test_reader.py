"""The reader against files that `spec_writer` made from the format's description, whole and damaged."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from spec_writer import IDS, SpecWriter, chat, compact, digest, sample

from spanscript.transcript import contents, lines
from spanscript.transcript.check import check
from spanscript.transcript.reader import Entry, Problem, Transcript, TranscriptError, read

SAMPLES = Path(__file__).parent / "samples"


def save(tmp_path: Path, data: bytes, name: str = "llm_transcript.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def kinds(path: Path, *, notes: bool = False) -> list[str]:
    return [problem.kind for problem in check(path) if problem.note == notes]


def entries(path: Path) -> list[Entry]:
    return [item for item in read(path) if isinstance(item, Entry)]


def raw_line(**fields) -> bytes:
    return compact({"timestamp": "2026-11-22T07:00:00.000000Z", "writer": "0badcafe", **fields}) + b"\n"


def rebuilt(path: Path, call: str = "last"):
    transcript = Transcript(path)
    return transcript.rebuild(transcript.request(transcript.find(call)))


# Exactness


def default(value) -> bytes:
    return json.dumps(value).encode()


def indented(width: int):
    return lambda value: json.dumps(value, indent=width, ensure_ascii=False).encode()


LAYOUTS = {
    "compact": compact,
    "ascii": lambda value: json.dumps(value, separators=(",", ":")).encode(),
    "spaced": default,
    "spaced utf-8": lambda value: json.dumps(value, ensure_ascii=False).encode(),
    "indent 2": indented(2),
    "indent 4": indented(4),
    "final newline": lambda value: default(value) + b"\n",
}
BODIES = {
    "chat": chat(3),
    "no tools": {k: v for k, v in chat(2).items() if k != "tools"},
    "no system": {"model": "m", "messages": chat(2)["messages"][1:]},
    "system only": chat(0),
    "no messages": {"model": "m", "messages": []},
    "no list": {"model": "m", "input": "x"},
    "numbers": chat(1, seed=2**70, top_p=1.0, n=1, stop=-0.0, eps=1e-7, big=1e22, t=True),
    "unicode": chat(1, user="é\u2028\U0001f600\x7f\u202e", metadata={"ключ": '\u0000\n\t"\\'}),
    "own type key": chat(5),
    "keys out of order": {"z": 1, **chat(2), "a": {"y": 1, "b": [2, {"q": None}]}},
    "empty message": {"model": "m", "messages": [{}, {"role": "user", "content": ""}]},
    "the mark as text": {
        "model": "m",
        "messages": [{"role": "user", "content": '{"$transcript":"context"}'}],
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", BODIES)
def test_bodies_come_back_to_the_byte(tmp_path, name, layout):
    sent = LAYOUTS[layout](BODIES[name])
    writer = SpecWriter()
    writer.request(IDS[0], 0, sent)
    path = save(tmp_path, writer.bytes())

    assert (rebuilt(path).content, rebuilt(path).proof) == (sent, "exact")
    assert kinds(path) == []


def test_a_layout_of_its_own_comes_back_as_the_same_value(tmp_path):
    sent = json.dumps({"model": "m", "stop": ["a", {"b": 1}]}, indent=3).encode()
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, sent, body={})
    kept = sent.replace(b"\n", b" ")
    path = save(tmp_path, writer.bytes().replace(b'"body":{}', b'"body":' + kept))

    assert json.loads(rebuilt(path).content) == json.loads(sent)
    assert rebuilt(path).proof == "respaced"
    assert (kinds(path), sorted(kinds(path, notes=True))) == ([], ["body", "unfinished"])


@pytest.mark.parametrize(
    ("said", "proof"),
    [
        ({"masked": True}, "masked"),
        ({"summary": True}, "summary"),
        ({"summary": True, "masked": True}, "summary"),
        ({}, "unproven"),
    ],
)
def test_a_body_without_proof_is_no_problem(tmp_path, said, proof):
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, b"{}", body={"a": "[secret]"}, **said)
    entry = json.loads(writer.lines[-1])
    del entry["body_sha256"]
    path = save(tmp_path, writer.lines[0] + compact(entry))

    assert (rebuilt(path).content, rebuilt(path).proof) == (b'{"a":"[secret]"}', proof)
    assert (kinds(path), sorted(kinds(path, notes=True))) == ([], ["body", "unfinished"])


def test_texts_are_spliced_never_encoded_anew(tmp_path):
    message = b'{"role":"us\\u0065r","content":"\\/ \\u00e9 \xc3\xa9","n":1.10,"e":1E5,"z":[1, 2]}'
    name = digest(json.loads(message))
    sent = b'{"temperature":1.0e0,"messages":[' + message + b'],"x":"\\u0041"}'
    head = b'{"type":"message","hash":"%b","parent":null,' % name.encode()
    request = (
        raw_line(
            type="provider_call_request",
            call_id=IDS[0],
            attempt=0,
            context=name,
            body_sha256=hashlib.sha256(sent).hexdigest(),
        )[:-2]
        + b',"body":{"temperature":1.0e0,"messages":[{"$transcript":"context"}],"x":"\\u0041"}}\n'
    )
    path = save(tmp_path, head + message[1:] + b"\n" + request)

    assert rebuilt(path).content == sent


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"body": {"a": {"$transcript": "context"}}, "verbatim": True}, b'{"a":{"$transcript":"context"}}'),
        ({"body_text": "no JSON, é \u0000"}, "no JSON, é \u0000".encode()),
        ({"body_base64": base64.b64encode(b"\xff\x00").decode()}, b"\xff\x00"),
        ({"body": {"$transcript": "context", "and": 1}}, b'{"$transcript":"context","and":1}'),
        ({"body": {"a": ["$transcript"]}}, b'{"a":["$transcript"]}'),
        ({"body": {"input": {"$transcript": "context"}}}, b'{"input":[]}'),
        ({"body": {"input": [1, {"$transcript": "context"}, 2]}}, b'{"input":[1,2]}'),
        ({"body": {"a": 1}}, b'{"a":1}'),
    ],
)
def test_bodies_without_messages(tmp_path, fields, sent):
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, sent, **fields)

    assert rebuilt(save(tmp_path, writer.bytes())).content == sent


@pytest.mark.parametrize(
    ("reference", "sent"),
    [
        ({"$transcript": "message"}, b'{"input":"hi","instructions":["x"],"tools":[1]}'),
        ([{"$transcript": "message"}], b'{"input":["hi"],"instructions":["x"],"tools":[1]}'),
        ([{"$transcript": "context"}, 7], b'{"input":["first","hi",7],"instructions":["x"],"tools":[1]}'),
        ([{"$transcript": "system_prompt"}], b'{"input":["x"],"instructions":["x"],"tools":[1]}'),
    ],
)
def test_references(tmp_path, reference, sent):
    writer = SpecWriter()
    refs = {
        "context": writer.chain(["first", "hi"]),
        "system_prompt": writer.value("system_prompt", "content", ["x"]),
        "tool_schemas": writer.value("tool_schemas", "schemas", [1]),
    }
    body = {
        "input": reference,
        "instructions": {"$transcript": "system_prompt"},
        "tools": {"$transcript": "tool_schemas"},
    }
    writer.raw_request(IDS[0], 0, sent, body=body, **refs)

    assert rebuilt(save(tmp_path, writer.bytes())).content == sent


def test_forks_and_edited_histories_share_what_they_share(tmp_path):
    turns = chat(3)["messages"]
    histories = [
        turns,
        [*turns[:2], {"role": "user", "content": "instead"}],
        turns[:2],
        turns[1:],
        [turns[1]] * 3,
    ]
    writer = SpecWriter()
    for number, history in enumerate(histories):
        writer.request(IDS[number], 0, compact({"messages": history}))
        writer.response(IDS[number], 0)
    path = save(tmp_path, writer.bytes())
    transcript = Transcript(path)

    for number, history in enumerate(histories):
        assert json.loads(transcript.body(transcript.request(transcript.find(IDS[number])))) == {
            "messages": history
        }
    assert kinds(path) == []


def test_version_1_is_read_for_good():
    path = SAMPLES / "version1.jsonl"
    bodies = json.loads((SAMPLES / "version1.bodies.json").read_text())
    transcript = Transcript(path)

    assert list(check(path))[-1].kind == "unfinished"
    for call_id, attempts in bodies.items():
        for attempt, body in enumerate(attempts):
            request = transcript.request(transcript.find(call_id), attempt)
            assert transcript.rebuild(request).content == body.encode()
            assert transcript.rebuild(request).proof == "exact"


# The whole


def test_calls(tmp_path):
    path = save(tmp_path, sample()[0].bytes())
    transcript = Transcript(path)
    found = [(c.call_id, c.attempts, c.status, c.first("model")) for c in transcript.calls()]

    assert found == [
        (IDS[0], [0], "ok", "gpt-5"),
        (IDS[1], [0, 1, 2], "ok", "gpt-5"),
        (IDS[2], [0], "unfinished", "gpt-5"),
    ]
    assert transcript.calls()[1].attempt_status(0) == "retrying"
    assert transcript.calls()[0].interpreted is not None
    assert (transcript.entries, transcript.known, transcript.problems) == (19, 19, 0)
    request = transcript.request(transcript.find(IDS[1]))
    assert json.loads(transcript.value(request, "system_prompt") or b"") == chat(0)["messages"][0]["content"]
    assert [json.loads(m)["role"] for m in transcript.messages(request)] == ["user", "assistant", "tool"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("last", IDS[2]),
        (IDS[1], IDS[1]),
        (IDS[1].upper(), IDS[1]),
        (IDS[1][:13], IDS[1]),
        (IDS[1][:9], f"3 calls' ids begin with '{IDS[1][:9]}': {', '.join(IDS[:3])}"),
        ("", "no call's id begins with ''"),
        ("zz", "no call's id begins with 'zz'"),
    ],
)
def test_find(tmp_path, name, found):
    transcript = Transcript(save(tmp_path, sample()[0].bytes()))
    if found in IDS:
        assert transcript.find(name).call_id == found
    else:
        with pytest.raises(TranscriptError, match=f"^{re.escape(found)}"):
            transcript.find(name)


def test_attempts_that_are_not_there_are_named(tmp_path):
    transcript = Transcript(save(tmp_path, sample()[0].bytes()))
    with pytest.raises(TranscriptError, match="no request line of attempt 7; it has 0, 1, 2"):
        transcript.request(transcript.find(IDS[1]), 7)


def test_a_directory_is_read_as_one_in_the_order_of_time(tmp_path):
    late, early = SpecWriter("aaaaaaaa", second=100), SpecWriter("bbbbbbbb")
    late.request(IDS[1], 0, compact(chat(1)))
    early.request(IDS[0], 0, compact(chat(1)))
    save(tmp_path, late.bytes(), "llm_transcript.jsonl")
    save(tmp_path, early.bytes(), "llm_transcript-zz.jsonl")
    save(tmp_path, b"garbage", "other.jsonl")
    transcript = Transcript(tmp_path)

    assert [e.get("writer") for e in entries(tmp_path)] == ["bbbbbbbb"] * 5 + ["aaaaaaaa"] * 5
    assert [call.call_id for call in transcript.calls()] == IDS[:2]
    assert kinds(tmp_path) == []


def test_any_unharmed_copy_serves(tmp_path):
    bad, good = SpecWriter("aaaaaaaa"), SpecWriter("bbbbbbbb", second=100)
    bad.request(IDS[0], 0, compact(chat(1)))
    good.request(IDS[1], 0, compact(chat(1)))
    save(tmp_path, bad.bytes().replace("Köln".encode(), b"Bonn"), "llm_transcript-1.jsonl")
    save(tmp_path, good.bytes(), "llm_transcript-2.jsonl")

    assert rebuilt(tmp_path, IDS[0]).content == compact(chat(1))
    assert kinds(tmp_path) == ["hash"]


def test_files_can_be_concatenated_in_any_order(tmp_path):
    writers = [SpecWriter("aaaaaaaa"), SpecWriter("bbbbbbbb", second=100)]
    for number, writer in enumerate(writers):
        writer.request(IDS[number], 0, compact(chat(2)))
        writer.response(IDS[number], 0)
    shuffled = [line for writer in writers for line in writer.lines]
    random.Random(1).shuffle(shuffled)

    assert kinds(save(tmp_path, b"".join(shuffled))) == []


# Bad input

ENTRY = raw_line(type="stage", seq=0, name="x")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"\n \r\n\t\n", None),
        (ENTRY.replace(b"\n", b"\r\n"), None),
        (ENTRY[:-1], None),
        (ENTRY[:-2], "torn"),
        (b"\xff", "torn"),
        (ENTRY[:-3] + b"\n", "syntax"),
        (ENTRY[:-1] + ENTRY, "syntax"),
        (b"\xef\xbb\xbf" + ENTRY, "syntax"),
        (b"\x00" * 50 + b"\n", "syntax"),
        (ENTRY[:-2] + b",}\n", "syntax"),
        (ENTRY.replace(b"x", b"\xff"), "encoding"),
        (ENTRY[:-1].decode().encode("utf-16") + b"\n", "encoding"),
        (b"[]\n", "syntax"),
        (b"17\n", "syntax"),
        (b'"type"\n', "syntax"),
        (b"{}\n", "foreign"),
        (b'{"type":7}\n', "foreign"),
        (b'{"type":"stage","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "too_deep"),
        (b'{"type":"stage","x":' + b'{"a":' * 100_000 + b"\n", "too_deep"),
        (raw_line(type="stage", pad="x" * 2000), "too_long"),
        (b"x" * 3000, "too_long"),
        (raw_line(type="wonder", seq=1), "unknown_type"),
        (raw_line(type="transcript_open", version=2), "version"),
        (raw_line(type="transcript_open", version="1"), "field"),
        (raw_line(type="message", role="user"), "field"),
        (raw_line(type="message", hash=None), "field"),
        (raw_line(type="provider_call_request", call_id="a"), "field"),
        (raw_line(type="provider_call_request", call_id="a", attempt=True), "field"),
        (raw_line(type="provider_call_response", call_id="a", attempt=0, input_tokens="3"), "field"),
        (raw_line(type="provider_call_response", call_id="a", attempt=0, http_status=1.5), "field"),
        (b'{"type":"provider_call_response","call_id":"a","attempt":' + b"1" * 900 + b"}\n", None),
    ],
)
def test_a_bad_line_is_told_and_the_reading_goes_on(tmp_path, monkeypatch, line, kind):
    monkeypatch.setattr(lines, "LINE_LIMIT", 1000 if kind in {"too_long", None} else 10**7)
    after = b"" if kind == "torn" or not line.endswith(b"\n") else ENTRY
    path = save(tmp_path, ENTRY + line + after)
    found = list(read(path))
    problems = [item for item in found if isinstance(item, Problem)]

    assert [problem.kind for problem in problems] == ([kind] if kind else [])
    assert isinstance(found[0], Entry)
    assert not after or (isinstance(found[-1], Entry) and found[-1].get("name") == "x")
    for problem in problems:
        assert (problem.file, problem.line, problem.offset) == (str(path), 2, len(ENTRY))
        assert str(problem).startswith(f"{path}:2: ")


def test_a_field_of_a_wrong_kind_is_left_out_and_the_rest_kept(tmp_path):
    line = raw_line(type="provider_call_response", call_id="a", attempt=0, input_tokens="3", output_tokens=4)
    found = entries(save(tmp_path, line))

    assert [(e.get("input_tokens"), e.get("output_tokens")) for e in found] == [(None, 4)]


def test_the_future_is_read_as_far_as_it_is_understood(tmp_path):
    data = sample()[0].bytes().replace(b'"version":1', b'"version":2,"new":{}') + raw_line(type="new", seq=19)
    path = save(tmp_path, data)

    assert len(Transcript(path).calls()) == 3
    assert kinds(path) == ["version"]
    assert "unknown_type" in kinds(path, notes=True)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "it is empty"),
        (lambda path: (path.mkdir(), (path / "notes.txt").touch()), "it holds notes.txt"),
    ],
)
def test_no_transcript(tmp_path, make, says):
    make(tmp_path / "run")
    with pytest.raises(TranscriptError, match=says) as error:
        list(read(tmp_path / "run"))
    assert str(tmp_path / "run") in str(error.value)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_told_and_never_waited_for(tmp_path, make):
    make(tmp_path / "llm_transcript-0.jsonl")
    save(tmp_path, ENTRY)

    assert [getattr(item, "kind", "entry") for item in read(tmp_path)] in (
        ["unreadable", "entry"],
        ["entry", "unreadable"],
    )


def test_a_line_of_a_gigabyte_costs_little_memory(tmp_path):
    path = save(tmp_path, ENTRY)
    with path.open("ab") as stream:
        stream.truncate(2**30)
        stream.seek(2**30)
        stream.write(b"\n" + ENTRY)
    code = (
        "import resource, sys; from spanscript.transcript.reader import read\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"  # the kernel counts what the process that started us had
        "print([type(item).__name__ for item in read(sys.argv[1])])\n"
        "print(peak() < max(before + 1, 256 * 1024))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)

    assert done.stdout == "['Entry', 'Problem', 'Entry']\nTrue\n"


# Forged files


def forged(*extra: bytes, body: object, **fields) -> bytes:
    writer = SpecWriter()
    writer.raw_request(IDS[0], 0, b"{}", body=body, **fields)
    return writer.bytes() + b"".join(extra)


NAMES = ["a" * 32, "b" * 32]
CIRCLE = [raw_line(type="message", hash=NAMES[n], parent=NAMES[1 - n], role="user") for n in (0, 1)]
DEEP = json.loads("[" * 300 + '{"$transcript":"context"}' + "]" * 300)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (forged(*CIRCLE, body=[{"$transcript": "context"}], context=NAMES[0]), "run in a circle"),
        (
            forged(CIRCLE[0], body={"a": {"$transcript": "context"}}, context=NAMES[0]),
            f"message {NAMES[1]} is missing",
        ),
        (
            forged(body={"a": {"$transcript": "system_prompt"}}, system_prompt="s"),
            "system_prompt s is missing",
        ),
        (forged(body={"a": {"$transcript": "system_prompt"}}), "which the entry does not name"),
        (forged(body={"a": {"$transcript": "message"}}), "which the entry does not name"),
        (forged(body={"a": {"$transcript": "../../etc/passwd"}}), "which the entry does not name"),
        (forged(body={"a": DEEP}), "too deep"),
        (forged(body=None), "no `body`"),
        (forged(body=None, body_base64="%%"), "cannot be rebuilt"),
        (
            forged(
                raw_line(type="system_prompt", hash="s", content="x" * 1000),
                body=[{"$transcript": "system_prompt"}] * 1000,
                system_prompt="s",
            ),
            "longer than",
        ),
    ],
)
def test_forged_requests_are_refused(tmp_path, monkeypatch, data, says):
    monkeypatch.setattr(contents, "BODY_LIMIT", 100_000)
    path = save(tmp_path, data)
    with pytest.raises(TranscriptError, match=says) as error:
        rebuilt(path)
    assert str(error.value).startswith(f"{path}:2: ")
    assert "body" in kinds(path)


def test_a_file_that_changes_under_the_reader_is_told(tmp_path):
    path = save(tmp_path, sample()[0].bytes())
    transcript = Transcript(path)
    call = transcript.find("last")
    path.write_bytes(b"{}\n" * 20)
    with pytest.raises(TranscriptError, match="changed"):
        transcript.request(call)
    with pytest.raises(TranscriptError, match="holds no calls"):
        transcript.find("last")
    assert transcript.problems == 20


# Check


def edit(line: int, old: bytes, new: bytes):
    def apply(found: list[bytes]) -> list[bytes]:
        assert old in found[line]
        return [*found[:line], found[line].replace(old, new), *found[line + 1 :]]

    return apply


def drop(*numbers: int):
    return lambda found: [line for number, line in enumerate(found) if number not in numbers]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda found: found, []),
        (lambda found: found[::-1], []),
        (edit(2, b"exact", b"exakt"), ["hash"] + ["body"] * 5),
        (edit(1, b"weather", b"whether"), ["hash"] + ["body"] * 5),
        (edit(3, b"K", b"C"), ["hash"] + ["body"] * 5),
        (edit(3, b'"parent":null', b'"parent":"%b"' % (b"0" * 32)), ["hash", "parent"] + ["body"] * 5),
        (edit(4, b"0.2", b"0.3"), ["body"]),
        (edit(4, b'"seq":4', b'"seq":99'), ["seq", "seq"]),
        (edit(4, b'"seq":4,', b""), ["field", "seq"]),
        (edit(4, b'"attempt":0', b'"attempt":1'), ["no_request"]),
        (edit(5, IDS[0].encode(), IDS[5].encode()), ["no_request"]),
        (edit(10, b'"attempt":0', b'"attempt":1'), ["duplicate", "no_request"]),
        (drop(0), ["seq"]),
        (drop(3), ["seq", "parent"] + ["body"] * 5),
        (drop(5), ["seq"]),
        (drop(7, 6), ["seq"]),
        (drop(10), ["no_request", "seq"]),
        (drop(12, 13), ["attempt", "seq"]),
        (lambda found: [*found, found[5]], ["duplicate"]),
        (lambda found: [*found[:5], found[5][:-9], *found[5:]], ["syntax", "seq"]),
    ],
)
def test_check(tmp_path, change, expected):
    found = sample()[0].lines
    path = save(tmp_path, b"".join(change(found)))

    assert sorted(kinds(path)) == sorted(expected)


@pytest.mark.parametrize(
    ("numbers", "types", "problems", "notes"),
    [
        ([0, 1, 2, 3], {}, [], []),
        ([3, 0, 2, 1], {}, [], []),
        ([0, 2, 4, 6, 1, 5, 3], {}, [], []),
        ([0, 1, 4, 5, 9], {}, ["lines 2 to 3 of writer w lost", "lines 6 to 8 of writer w lost"], []),
        ([0, 2], {}, ["line 1 of writer w lost before"], []),
        ([5, 6], {}, ["lines 0 to 4 of writer w lost"], []),
        ([5, 6], {5: "transcript_open"}, [], ["lines 0 to 4 of writer w are in an earlier file"]),
        ([0, 1, 5], {5: "gap"}, ["3 lines could not be written before this one: disk full"], []),
        ([0, 1, 5, 6, 7], {5: "transcript_open", 6: "gap", 7: "gap"}, ["3 lines could not"] * 2, []),
        ([0, 1, 5, 6, 7], {5: "transcript_open", 7: "gap"}, ["3 lines could not", "lines 2 to 4"], []),
        ([0, 1, 1], {}, ["writer w has line 1 twice"], []),
        ([0, 1, 2, 0], {}, ["writer w has line 0 twice"], []),
    ],
)
def test_numbers(tmp_path, numbers, types, problems, notes):
    extra = {"transcript_open": {"version": 1}, "gap": {"dropped": 3, "reason": "disk full"}, "stage": {}}
    data = b""
    for number in numbers:
        kind = types.get(number, "stage")
        data += compact({"type": kind, "timestamp": "t", "writer": "w", "seq": number, **extra[kind]}) + b"\n"
    found = list(check(save(tmp_path, data)))

    for expected, wanted in ((problems, False), (notes, True)):
        reasons = [problem.reason for problem in found if problem.note is wanted]
        assert len(reasons) == len(expected)
        assert all(reason.startswith(start) for reason, start in zip(reasons, expected, strict=True))


# Damage, everywhere


def test_cut_at_every_byte(tmp_path):
    data = sample()[0].bytes()
    starts = [0, *(at + 1 for at, byte in enumerate(data) if byte == 10)]
    for cut in range(len(data) + 1):
        path = save(tmp_path, data[:cut])
        found = list(read(path))
        whole = sum(start <= cut for start in starts[1:])
        rest = data[starts[whole] : cut]
        expected = [] if not rest else [Entry] if data[cut : cut + 1] == b"\n" else [Problem]

        assert [type(item) for item in found] == [Entry] * whole + expected
        if cut % 37 == 0:
            list(check(path))


def test_every_flip_in_what_is_hashed_is_found(tmp_path):
    found = sample()[0].lines
    at = 0
    for number, line in enumerate(found):
        begin = line.index(b'"timestamp"')
        stamp = range(begin + 13, begin + 40)
        if (
            json.loads(line)["type"] in {"message", "system_prompt", "tool_schemas"}
            and b'"message":{' not in line
        ):
            for place in set(range(0, len(line) - 1, 3)) - set(stamp):
                flipped = bytearray(line)
                flipped[place] ^= 1 << (place % 8)
                path = save(tmp_path, b"".join([*found[:number], bytes(flipped), *found[number + 1 :]]))

                assert kinds(path), flipped
                assert len(entries(path)) >= len(found) - 2
        at += len(line)


@pytest.mark.parametrize("seed", range(150))
def test_random_damage(tmp_path, seed):
    data = sample()[0].bytes()
    rng = random.Random(seed)
    at, size = rng.randrange(len(data)), rng.randrange(1, 600)
    block = data[at : at + size]
    other = rng.randrange(len(data))
    damaged = {
        0: lambda: data[:at] + b"\0" * len(block) + data[at + size :],
        1: lambda: data[:at] + rng.randbytes(size) + data[at:],
        2: lambda: data[:at] + block + block + data[at + size :],
        3: lambda: data[:at] + data[at + size :],
        4: lambda: data[:at] + data[other : other + size] + data[at + size :],
        5: lambda: data[:at] + bytes(byte ^ (1 << rng.randrange(8)) for byte in block) + data[at + size :],
    }[seed % 6]()
    path = save(tmp_path, damaged)
    touched = data[:at].count(b"\n"), data[at + size :].count(b"\n")
    intact = set(sample()[0].lines[: touched[0]])
    kept = {bytes(line) for line in damaged.splitlines(keepends=True)}
    transcript = Transcript(path)

    assert intact <= kept
    assert transcript.entries >= touched[0]
    for call in transcript.calls():
        for attempt in call.requests:
            with contextlib.suppress(TranscriptError):
                transcript.rebuild(transcript.request(call, attempt))
    found = kinds(path)
    assert found or seed % 6 != 0  # other damage can look like another text
