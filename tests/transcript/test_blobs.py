"""Images, audio and files: each is written once, beside the lines, and every request comes back to the byte."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from asks import IDS as SPAN
from asks import Step, at_each_step, check_numbers, in_child, lines, read, said
from asks import note as small
from asks import request as made_by_hand
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from spec_writer import FORMS, IDS, SpecWriter, compact
from test_round_trip import request

import spanscript
from spanscript import _blobs
from spanscript._blobs import MIN_TEXT, cut, filled, mark_of
from spanscript._exchange import Choice, Media, Message, Other, Outcome, Reply, Text
from spanscript.cli import main
from spanscript.transcript import appender, entries
from spanscript.transcript import blobs as module
from spanscript.transcript.check import Check, check
from spanscript.transcript.conversation import request_entries
from spanscript.transcript.livefile import NAME
from spanscript.transcript.reader import Transcript, TranscriptError
from spanscript.transcript.writer import Writer

FORMAT = (Path(__file__).parents[2] / "docs" / "format.md").read_text()


def data(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def b64(size: int, seed: int = 0, form: str = "") -> str:
    return FORMS[form](data(size, seed)).decode()


def image(size: int = 15_000, seed: int = 0) -> dict:
    """A message with an image."""
    url = f"data:image/png;base64,{b64(size, seed)}"
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


def body(*messages, **more) -> bytes:
    return json.dumps({"model": "m", "messages": messages, **more}, separators=(",", ":")).encode()


def plain(messages, **fields):
    return made_by_hand([json.dumps(one, separators=(",", ":")).encode() for one in messages], **fields)


def stored(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "blobs").iterdir())


def write(directory: Path, *bodies: bytes, dialect: str = "chat_completions", **options) -> None:
    writer = Writer(directory, **options)
    for number, sent in enumerate(bodies):
        call_id = f"0199b000-{number:04x}-7000-8000-000000000000"
        assert writer.write(request_entries(request(dialect, sent, call_id), None))
    writer.close()


def replayed(directory: Path) -> list[bytes]:
    transcript = Transcript(directory)
    found = [transcript.rebuild(transcript.request(call)) for call in transcript.calls()]
    assert {rebuilt.proof for rebuilt in found} <= {"exact"}
    return [rebuilt.content for rebuilt in found]


def problems(directory: Path, *, notes: bool = False) -> list[str]:
    return [p.reason for p in check(directory) if p.note == notes and p.kind != "unfinished"]


# ---- cutting


def put_back(text: bytes, pieces) -> bytes:
    known = dict(pieces)
    return filled(text, lambda mark: known[mark])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [15_000, 15_001, 15_002])
def test_every_form_comes_back(form, size):
    text = f'"data:image/png;base64,{b64(size, form=form)}"'.encode()
    marked, pieces = cut(text, mark_of)

    assert marked.startswith(b'"data:image/png;base64,$blob{')
    assert len(marked) < 130
    ((mark, piece),) = pieces
    assert (mark.size, mark.sha256) == (size, hashlib.sha256(data(size)).hexdigest())
    assert _blobs.decoded(piece)[0] == data(size)
    assert _blobs.marks(marked) == [mark]
    assert put_back(marked, pieces) == text
    assert _blobs.encoded(data(size), mark.form) == piece


@pytest.mark.parametrize(
    "around", [("", ""), ("x" * 8191 + " ", ""), ("é,", " x"), ("a" * 63 + ".", "." * 70)]
)
def test_from_its_size_on_wherever_it_stands(around):
    before, after = around
    for length, count in ((MIN_TEXT - 4, 0), (MIN_TEXT, 1)):
        for shift in range(0, 8300, 61):
            text = f'"{"." * shift}{before}{b64(length // 4 * 3)}{after}"'.encode()
            assert len(cut(text, mark_of).pieces) == count, (length, shift)


LONG = b64(15_000)


@pytest.mark.parametrize(
    "text",
    [
        f'"{LONG}x"',  # no multiple of four: five bits too many
        f'"{LONG[:-3]}B=="',  # would come back as A==
        f'"{LONG}" "$blob{{"',
        f'"$blob{{{"0" * 64}:1}}{LONG}"',
        f'{{"n":{"1" * 20_000}}}',
        f'{{"n":-{"1" * 20_000}e+10}}',
        f'"{LONG[:-8]}-_+/{LONG[-4:]}"',
        json.dumps("\n".join(LONG[n : n + 76] for n in range(0, len(LONG), 76))),
        json.dumps("word and " * 10_000),
        json.dumps([{"a": "x" * 60}] * 2000),
    ],
    ids=lambda text: text[-30:],
)
def test_what_stays_in_its_line(text):
    assert cut(text.encode(), mark_of) == (text.encode(), [])


BASE64_TOO = ("/", "\\n", "=")
"""Where base64 begins or ends cannot be told: a backslash and an n, as text, are `\\\\n`."""


@pytest.mark.parametrize("lead", ["\n", "\\", "\\\\", "\\n", "é", '"', "\ud800", "/", "=", "", "\\" * 9000])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_escapes_before_base64_are_no_part_of_it(lead, ascii_only):
    value = {"k": lead + LONG + lead}
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    marked, pieces = cut(text, mark_of)

    assert put_back(marked, pieces) == text
    json.loads(marked.decode("utf-8", "surrogatepass"))
    assert [piece for _, piece in pieces] == ([] if lead in BASE64_TOO else [LONG.encode()])


def test_deep_in_escaped_json_and_several_in_one_string():
    inner = json.dumps(
        {"images": [b64(15_000, 1), b64(15_000, 2)], "quoted": json.dumps({"a": b64(15_000, 3)})}
    )
    text = json.dumps({"role": "tool", "content": inner, b64(15_000, 1): 0}).encode()
    marked, pieces = cut(text, mark_of)

    assert len(pieces) == 4
    assert len({mark for mark, _ in pieces}) == 3
    assert len(marked) < 1000
    assert put_back(marked, pieces) == text


PIECE = st.text(st.characters(), max_size=6) | st.sampled_from(
    ["data:image/png;base64,", '"', "\\", "$blob", "="]
)
LARGE = st.builds(b64, st.integers(12_280, 12_400), st.integers(0, 3), st.sampled_from(sorted(FORMS)))
STRING = st.lists(PIECE | LARGE, max_size=4).map("".join)
VALUE = st.recursive(
    STRING | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRING, inner, max_size=2),
    max_leaves=5,
)
STYLE = st.sampled_from(
    [{"separators": (",", ":")}, {}, {"separators": (",", ":"), "ensure_ascii": False}, {"indent": 2}]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STRING | VALUE, max_size=3), VALUE, VALUE, st.dictionaries(STRING, VALUE, max_size=2), STYLE)
@example([LONG, [LONG]], LONG, {LONG: LONG}, {LONG: "$blob{"}, {})
def test_any_body_with_base64_comes_back(contents, system, tool, rest, style):
    messages = [{"role": "system", "content": system}, *({"role": "user", "content": c} for c in contents)]
    value = {"messages": messages, "tools": [tool], **{f"x{key}": other for key, other in rest.items()}}
    sent = json.dumps(value, **style).encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write(directory, sent)
        (found,) = (t.rebuild(t.request(t.find("last"))) for t in [Transcript(directory)])
        assert found.content == sent
        assert [str(p) for p in check(directory) if p.kind != "unfinished"] == []
        assert json.loads(json.dumps(by_the_printed_reader(directory))) == json.loads(json.dumps(value))
        for blob in stored(directory) if (directory / "blobs").exists() else ():
            assert hashlib.sha256((directory / "blobs" / blob).read_bytes()).hexdigest() == blob


def by_the_printed_reader(directory: Path, call_id: str = IDS[0]):
    (code,) = re.findall(r"```python\n(.*?)```", FORMAT, re.DOTALL)
    scope: dict = {"__name__": "reader"}
    exec(code, scope)
    asked = list(scope["read"](str(directory / NAME)))
    whole = next(entry for entry in asked if entry["type"] == "provider_call_request")
    if "body" not in whole:
        content = whole.get("body_text") or base64.b64decode(whole["body_base64"]).decode(
            "utf-8", "surrogatepass"
        )
        return json.loads(content)
    return scope["rebuild"](asked, call_id, 0)


# ---- written once


def test_an_image_in_every_kind_of_entry_is_one_file(tmp_path):
    own = b64(15_000)
    message = image()
    inputs = {
        "chat_completions": [
            body({"role": "system", "content": own}, message, tools=[{"x": own}]),
            body(message, message, prediction={"content": own}),
            f'{{"messages":[NaN,"{own}"]}}'.encode(),
            f'"{own}"\xff'.encode("latin-1"),
        ],
        "embeddings": [json.dumps({"model": "m", "input": [own]}).encode()],
    }
    for dialect, bodies in inputs.items():
        write(tmp_path / dialect, *bodies, dialect=dialect)
        assert replayed(tmp_path / dialect) == bodies
        assert problems(tmp_path / dialect) == []
        names = stored(tmp_path / dialect)
        assert hashlib.sha256(data(15_000)).hexdigest() in names
        assert len(names) == 1 + (
            dialect == "chat_completions"
        )  # bytes that are no text are a blob of their own
        for kind in ("message", "system_prompt", "tool_schemas", "provider_call_request"):
            for line in lines(tmp_path / dialect):
                assert line["type"] != kind or len(json.dumps(line)) < 2000


OUTCOME = Outcome(
    "ok",
    1,
    2,
    reply=Reply(
        choices=tuple(
            Choice(
                Message(
                    "assistant",
                    (Text("see"), Media("image", "image/png", data=b64(15_000, n)), Other({"a": 1})),
                )
            )
            for n in (0, 0, 1)
        )
    ),
)


def test_images_in_answers(tmp_path):
    asked = request("chat_completions", body(image()))
    writer = Writer(tmp_path)
    assert writer.write(request_entries(asked, None))
    assert writer.write(lambda _: [entries.provider_call_outcome(asked, OUTCOME, None)])

    assert len(stored(tmp_path)) == 2
    assert (tmp_path / NAME).stat().st_size < 4000
    transcript = Transcript(tmp_path)
    answer = transcript.whole(transcript.find("last").outcomes[0])
    assert answer.get("blobs") == 4
    whole = transcript.fill(answer)
    assert [
        part["data"] for choice in whole.get("choices") for part in choice["parts"] if "data" in part
    ] == [b64(15_000, n) for n in (0, 0, 1)]
    assert transcript.fill(whole) == whole
    assert problems(tmp_path) == []


class Counted:
    def __init__(self, monkeypatch, *names):
        self.calls = []
        for name in names:
            monkeypatch.setattr(module, name, self.counting(getattr(module, name)))

    def counting(self, real):
        def call(*args):
            self.calls.append(real.__name__)
            return real(*args)

        return call


@pytest.mark.parametrize("more", [{}, {"image": b64(200_000)}], ids=["message", "parameter"])
def test_what_is_sent_in_every_turn_is_decoded_hashed_and_written_once(tmp_path, monkeypatch, more):
    counted = Counted(monkeypatch, "named", "decoded")
    messages = [image(200_000)]
    bodies = []
    for turn in range(20):
        bodies.append(body(*messages, **more))
        messages += said(str(turn))
    write(tmp_path, *bodies)

    assert replayed(tmp_path) == bodies
    assert counted.calls == ["named"]
    assert len(stored(tmp_path)) == 1


def test_over_rotated_files_and_in_each_alone(tmp_path, capsys):
    turns = [image(), *said(*(f"{n} {'.' * 500}" for n in range(30)))]
    bodies = [body(*turns[: n + 1]) for n in range(30)]
    write(tmp_path, *bodies, max_bytes=5000)
    files = sorted(tmp_path.glob("*.jsonl"))

    assert len(files) > 3
    assert len(stored(tmp_path)) == 1
    assert replayed(tmp_path) == bodies
    assert list(map(problems, files)) == [[]] * len(files)
    for notes in (problems(path, notes=True) for path in [tmp_path, *files]):
        assert not any("refers" in note for note in notes)
    linked = tmp_path / "elsewhere" / "name.jsonl"
    linked.parent.mkdir()
    linked.symlink_to(files[0])
    assert problems(linked) == []


def test_standard_input(tmp_path):
    write(tmp_path, body(image()))
    script = f"{sys.executable} -m spanscript.cli replay last --dir /dev/stdin < {tmp_path / NAME}"
    if not Path("/dev/stdin").exists() or not Path("/proc/self/fd").exists():
        pytest.skip("no /dev/stdin that names its file")
    code = "import sys; from spanscript.cli import main; sys.exit(main(['replay', 'last', '--dir', '/dev/stdin']))"
    script = f'{sys.executable} -c "{code}" < {tmp_path / NAME}'
    with os.popen(script) as out:
        assert out.read().encode() == body(image())


def test_modes_are_ours_alone(tmp_path):
    old = os.umask(0)
    try:
        write(tmp_path / "run", body(image()), mode="sync")
    finally:
        os.umask(old)
    (name,) = stored(tmp_path / "run")

    assert stat.S_IMODE((tmp_path / "run" / "blobs").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "run" / "blobs" / name).stat().st_mode) == 0o600


def test_what_is_there_is_left_and_what_has_another_size_replaced(tmp_path):
    write(tmp_path, body(image()))
    (name,) = stored(tmp_path)
    path = tmp_path / "blobs" / name
    first = path.stat()
    write(tmp_path, body(image()))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)

    path.write_bytes(b"cut short")
    write(tmp_path, body(image()))
    assert path.read_bytes() == data(15_000)

    path.unlink()
    path.symlink_to(tmp_path / "outside")
    write(tmp_path, body(image()))
    assert not path.is_symlink()
    assert not (tmp_path / "outside").exists()
    assert [reason for reason in problems(tmp_path) if "second request" not in reason] == []


def test_removed_while_we_run(tmp_path):
    """A parameter is sent with every request: its blob is made anew, without what was remembered misleading us."""
    writer = Writer(tmp_path)
    for number in range(3):
        one = request(
            "chat_completions", body(image=b64(15_000)), f"0199b000-{number:04x}-7000-8000-000000000000"
        )
        assert writer.write(request_entries(one, None))
        if number < 2:
            shutil.rmtree(tmp_path / "blobs")
    assert problems(tmp_path) == []
    shutil.rmtree(tmp_path)
    assert writer.write(request_entries(one, None))
    assert problems(tmp_path) == []


# ---- read by others' writing, and what may be wrong


def test_the_naive_writers_blobs_are_read(tmp_path):
    writer = SpecWriter()
    sent = [
        compact({"model": "m", "messages": [image(), *said("x")], "tools": [{"a": b64(15_001, form=form)}]})
        for form in FORMS
    ]
    for number, content in enumerate(sent):
        writer.request(IDS[number], 0, content)
        writer.response(IDS[number], 0, parts=[{"type": "media", "data": b64(15_002)}])
    writer.save(tmp_path)
    ours = tmp_path / "ours"
    write(ours, *sent)

    assert len(writer.blobs) == 3
    assert replayed(tmp_path) == replayed(ours) == sent
    assert problems(tmp_path) == problems(tmp_path, notes=True) == []
    marks = [set(re.findall(rb"\$blob\{.*?\}", (path / NAME).read_bytes())) for path in (tmp_path, ours)]
    assert len(marks[1]) == 5
    assert marks[0] - marks[1] == {mark_of(b64(15_002).encode()).text}


def removed(path):
    path.unlink()


def shortened(path):
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path):
    path.write_bytes(b"\x00" + path.read_bytes()[1:])


def linked(path):
    path.rename(path.parent.parent / "outside")
    path.symlink_to(path.parent.parent / "outside")


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def folder(path):
    path.unlink()
    path.mkdir()


def gone(path):
    shutil.rmtree(path.parent)


HARM = [
    (removed, "is missing"), (gone, "is missing"), (shortened, "it has 14999 bytes, not 15000"),
    (flipped, "another SHA-256"), (linked, "cannot be read"), (fifo, "no regular file"), (folder, "no regular file"),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "says"), HARM)
def test_harmed_blobs_are_told_with_file_and_line(tmp_path, capsys, harm, says):
    write(tmp_path, body(*said("a")), body(*said("a"), image()), body(*said("a", "b")))
    (name,) = stored(tmp_path)
    harm(tmp_path / "blobs" / name)
    found = [p for p in check(tmp_path) if not p.note]

    assert [(p.kind, p.line) for p in found] == [("blob", 4), ("body", 5)]
    assert all(name in p.reason and says in p.reason for p in found)
    assert main(["check", "--dir", str(tmp_path)]) == 1
    assert f"{NAME}:4: blob {name}" in capsys.readouterr().out
    assert main(["replay", IDS[0][:9] + "0001", "--dir", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{NAME}:4: blob {name}" in told.err
    assert says in told.err
    for call in ("0000", "0002"):
        assert main(["replay", IDS[0][:9] + call, "--dir", str(tmp_path)]) == 0
    assert main(["show", IDS[0][:9] + "0001", "--dir", str(tmp_path)]) == 0


def test_another_copy_of_a_message_serves(tmp_path):
    write(tmp_path, body(image()))
    (tmp_path / NAME).rename(tmp_path / "llm_transcript-1.jsonl")
    text = (tmp_path / "llm_transcript-1.jsonl").read_bytes()
    (name,) = stored(tmp_path)
    (tmp_path / "llm_transcript-0.jsonl").write_bytes(text.replace(name.encode(), b"0" * 64))

    transcript = Transcript(tmp_path)
    assert transcript.body(transcript.request(transcript.find("last"))) == body(image())


@pytest.mark.parametrize(
    "mark",
    [
        "$blob{../../../../etc/passwd:15000}", "$blob{%s/../x:15000}", "$blob{A%s:1}", "$blob{%s}", "$blob{%s:01}",
        "$blob{%s:15000:gzip}", "$blob{%s:-1}", "",
    ],
)  # fmt: skip
def test_forged_marks_are_refused(tmp_path, monkeypatch, mark):
    write(tmp_path, body(image()))
    (name,) = stored(tmp_path)
    text = (tmp_path / NAME).read_text()
    forged = mark % name if "%s" in mark else mark
    (tmp_path / NAME).write_text(text.replace(f"$blob{{{name}:15000}}", forged))
    opened = []
    monkeypatch.setattr("spanscript.transcript.filling._read", lambda *args: opened.append(args))

    assert any("0 whole marks" in reason for reason in problems(tmp_path))
    with pytest.raises(TranscriptError, match="0 whole marks"):
        replayed(tmp_path)
    assert opened == []


def test_marks_that_stand_for_too_much_are_refused(tmp_path):
    write(tmp_path, body(image()))
    (name,) = stored(tmp_path)
    text = (tmp_path / NAME).read_text()
    mark = f"$blob{{{name}:15000}}"
    many = 20_000
    (tmp_path / NAME).write_text(text.replace(mark, mark * many).replace('"blobs":1', f'"blobs":{many}'))

    assert any("longer than" in reason for reason in problems(tmp_path))


def test_marks_in_what_was_sent_are_text(tmp_path):
    sent = [
        body(*said(f"$blob{{{'0' * 64}:5}}")),
        body(image(), *said("what does $blob{…} mean?"), x="$blob{" + LONG),
    ]
    write(tmp_path, *sent)

    assert replayed(tmp_path) == sent
    assert problems(tmp_path) == []
    assert len(stored(tmp_path)) == 1


def test_a_message_with_a_key_of_that_name(tmp_path):
    sent = body({"role": "user", "content": "x", "blobs": 1}, {**image(), "blobs": 7})
    write(tmp_path, sent)
    assert replayed(tmp_path) == [sent]
    assert problems(tmp_path) == []


def test_unused_blobs_are_noted_of_the_directory(tmp_path):
    write(tmp_path, body(image()))
    write(tmp_path / "other", body(image(seed=1)))
    (tmp_path / "other" / "blobs" / stored(tmp_path / "other")[0]).rename(tmp_path / "blobs" / ("f" * 64))
    found = list(Check(tmp_path))

    assert [(p.kind, p.note) for p in found if p.kind == "blob"] == [("blob", True)]
    assert "f" * 64 in found[-1].reason
    assert problems(tmp_path / NAME, notes=True) == []


# ---- processes, signals and sick disks


def converse(directory, number):
    writer = Writer(directory, max_bytes=20_000)
    for turn in range(40):
        made = request_entries(plain([image(seed=turn % 7), *said(f"{number} {turn}")]), SPAN)
        assert writer.write(made)


def test_processes_and_threads_at_once(tmp_path):
    def child(number):
        threads = [threading.Thread(target=converse, args=(tmp_path, f"{number}{n}")) for n in "ab"]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    pids = []
    for number in range(3):
        pid = os.fork()
        if not pid:
            try:
                child(number)
            finally:
                os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 3

    assert len(stored(tmp_path)) == 7
    asked = [line for line in lines(tmp_path) if line["type"] == "provider_call_request"]
    assert len(asked) == 3 * 2 * 40
    assert {p.kind for p in check(tmp_path) if not p.note} <= {"duplicate"}  # one call_id for all of them
    assert not [reason for reason in problems(tmp_path) if "blob" in reason or "hash" in reason]


def test_sigkill_at_any_moment_of_storing(tmp_path):
    def kill():
        os.kill(os.getpid(), signal.SIGKILL)

    def child(directory, at):
        writer = Writer(directory)
        assert writer.write(small("one"))
        Step(kill, at).run(writer.write, request_entries(plain([image()]), SPAN))

    codes, at = [], 1
    while not codes or codes[-1] != 0:
        directory = tmp_path / str(at)
        codes.append(in_child(child, directory, at))
        writer = Writer(directory)
        assert writer.write(request_entries(plain([image()], call_id=IDS[1]), SPAN))
        assert not [reason for reason in problems(directory) if "blob" in reason or "lost" in reason]
        assert Transcript(directory).find(IDS[1]).requests
        at += 7
    assert codes[:-1] == [-signal.SIGKILL] * (len(codes) - 1)
    assert len(codes) > 10


def test_interrupted_at_any_step(tmp_path):
    class Interrupt(BaseException):
        pass

    def stop():
        raise Interrupt

    count = 0

    def run(step):
        nonlocal count
        count += 1
        directory = tmp_path / str(count)
        writer = Writer(directory)
        with contextlib.suppress(Interrupt):
            step(writer.write, request_entries(plain([image()]), SPAN))
        assert writer.write(request_entries(plain([image()], call_id=IDS[1]), SPAN))
        writer.close()
        check_numbers(directory)
        assert all("could not be written" in reason for reason in problems(directory))
        assert not [name for name in stored(directory) if name.startswith(".")]
        shutil.rmtree(directory)

    assert at_each_step(stop, run, stride=3) > 20


class Faulty:
    def __init__(self, name, number):
        self._name, self._number = name, number

    def __getattr__(self, name):
        def fail(*args, **kwargs):
            raise OSError(self._number, os.strerror(self._number))

        return fail if name == self._name else getattr(os, name)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("function", ["write", "open", "mkdir", "rename", "stat"])
def test_what_cannot_be_stored_is_lost_and_told_as_a_line_is(tmp_path, monkeypatch, function, number):
    monkeypatch.setattr(appender, "RETRY_SECONDS", 0)
    lost = []
    writer = Writer(tmp_path, on_lost=lambda *told: lost.append(told))
    assert writer.write(small("before"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "os", Faulty(function, number))
        assert not writer.write(request_entries(plain([image()]), SPAN))
        assert writer.write(small("between"))
    assert writer.write(request_entries(plain([image()], call_id=IDS[1]), SPAN))
    writer.close()

    assert lost == [(errno.errorcode[number], 2)]
    assert [line["type"] for line in lines(tmp_path)] == [
        "transcript_open", "note", "gap", "note", "message", "provider_call_request",
    ]  # fmt: skip
    check_numbers(tmp_path)
    assert replayed(tmp_path) == [plain([image()]).content]
    assert len(stored(tmp_path)) == 1


def planted_link(directory):
    (directory / "outside").mkdir()
    (directory / "blobs").symlink_to(directory / "outside")


def planted_file(directory):
    (directory / "blobs").touch()


def planted_fifo(directory):
    os.mkfifo(directory / "blobs")


def anothers(directory):
    (directory / "blobs").mkdir()
    os.chown(directory / "blobs", 12345, 12345)


def read_only(directory):
    (directory / "blobs").mkdir(0o500)


@pytest.mark.parametrize(
    ("plant", "reason"),
    [(planted_link, "refused"), (planted_file, "ENOTDIR"), (planted_fifo, "ENOTDIR")],
)
def test_planted(tmp_path, monkeypatch, plant, reason):
    monkeypatch.setattr(appender, "RETRY_SECONDS", 0)
    plant(tmp_path)
    lost = []
    writer = Writer(tmp_path, on_lost=lambda *told: lost.append(told))
    began = time.monotonic()
    assert not writer.write(request_entries(plain([image()]), SPAN))
    assert time.monotonic() - began < 5, "it hung"
    assert writer.write(small("x"))
    assert lost == [(reason, 3)]
    assert not (tmp_path / "outside").exists() or list((tmp_path / "outside").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("plant", "reason"), [(anothers, "refused"), (read_only, "EACCES")])
def test_a_folder_that_is_not_for_us(monkeypatch, plant, reason):
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    os.chown(directory, 65534, 65534)
    plant(directory)
    if plant is read_only:
        os.chown(directory / "blobs", 65534, 65534)

    def child():
        os.setgid(65534)
        os.setuid(65534)
        lost = []
        writer = Writer(directory, on_lost=lambda *told: lost.append(told))
        assert not writer.write(request_entries(plain([image()]), SPAN))
        assert lost == [(reason, 3)]

    assert in_child(child) == 0
    shutil.rmtree(directory)


def test_a_limit_of_the_size_of_files(tmp_path):
    def child():
        lost = []
        writer = Writer(tmp_path, on_lost=lambda *told: lost.append(told))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        assert not writer.write(request_entries(plain([image()]), SPAN))
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert stored(tmp_path) == []
        end = time.monotonic() + 5
        while not writer.write(request_entries(plain([image()], call_id=IDS[1]), SPAN)):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert {reason for reason, _ in lost} == {"EFBIG"}

    assert in_child(child) == 0
    good, bad = read(tmp_path)
    assert not bad
    assert replayed(tmp_path) == [plain([image()]).content]
    assert [line["reason"] for _, line in good if line["type"] == "gap"] == ["EFBIG"]
    assert stored(tmp_path) == [hashlib.sha256(data(15_000)).hexdigest()]


# ---- the command line, and a real SDK


def test_show_says_type_and_size_without_the_content(tmp_path, capsys):
    parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(15_000)}"}}]
    claude = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": b64(15_000)}}
    tool = {"type": "tool_result", "tool_use_id": "t", "content": [claude]}
    cases = {
        "chat_completions": (
            body({"role": "user", "content": parts}),
            "(image image/png: 15000 bytes, blobs/",
        ),
        "messages": (
            body({"role": "user", "content": [claude, tool]}),
            "(image image/jpeg: 15000 bytes, blobs/",
        ),
        "embeddings": (json.dumps({"model": "m", "input": LONG}).encode(), "$blob{"),
    }
    for dialect, (sent, says) in cases.items():
        write(tmp_path / dialect, sent, dialect=dialect)
        for options in ([], ["--json"]):
            assert main(["show", "last", "--dir", str(tmp_path / dialect), *options]) == 0
            out = capsys.readouterr().out
            assert len(out) < 3000
            assert (says if not options else "$blob{") in out
        assert main(["replay", "last", "--json", "--dir", str(tmp_path / dialect)]) == 0
        assert json.loads(capsys.readouterr().out)["body"] == json.loads(sent)


def test_a_large_image_in_fifty_turns(provider, recording, capfdbinary):
    """The program of the issue: the image is written once, and turn 50 is replayed as the server received it."""
    openai = pytest.importorskip("openai")
    messages = [image(5 * 1024 * 1024)]
    with openai.OpenAI(base_url=provider.openai_url, api_key="k") as client:
        for turn in range(50):
            answer = client.chat.completions.create(model="gpt-5", messages=messages)
            messages += [
                {"role": "assistant", "content": answer.choices[0].message.content},
                *said(str(turn)),
            ]
    recording.undo()
    directory = recording.directory

    assert main(["check", "--dir", str(directory)]) == 0
    assert b"problems: 0, notes: 0" in capfdbinary.readouterr().out
    assert [path.stat().st_size for path in (directory / "blobs").iterdir()] == [5 * 1024 * 1024]
    assert (directory / NAME).stat().st_size < 200_000
    assert main(["replay", "last", "--dir", str(directory)]) == 0
    assert capfdbinary.readouterr().out == provider.llm_requests[-1].body
    assert replayed(directory) == [received.body for received in provider.llm_requests]


def test_spans_and_events_tell_of_images_by_their_hash(provider, recording, tmp_path):
    openai = pytest.importorskip("openai")
    recording.undo()
    seen = InMemoryLogRecordExporter()
    logs = LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(seen))
    undo = spanscript.instrument(
        recording.provider, recording.meters, logs, directory=str(tmp_path / "x"), capture="SPAN_AND_EVENT"
    )
    tool = {"role": "tool", "tool_call_id": "t", "content": json.dumps({"data": b64(15_001)})}
    try:
        with openai.OpenAI(base_url=provider.openai_url, api_key="k") as client:
            client.chat.completions.create(model="gpt-5", messages=[image(), tool])
    finally:
        undo()
    (call,) = recording.calls
    (event,) = seen.get_finished_logs()

    for told in (
        json.loads(call.attributes["gen_ai.input.messages"]),
        event.log_record.attributes["gen_ai.input.messages"],
    ):
        assert len(json.dumps(told, default=list)) < 1000
        assert dict(told[0]["parts"][0]) == {
            "type": "uri",
            "uri": f"sha256:{hashlib.sha256(data(15_000)).hexdigest()}",
            "size": 15_000,
            "modality": "image",
            "mime_type": "image/png",
        }
        assert mark_of(b64(15_001).encode()).text.decode() in json.dumps(told, default=str)
    assert stored(tmp_path / "x") == sorted(
        hashlib.sha256(data(size)).hexdigest() for size in (15_000, 15_001)
    )
