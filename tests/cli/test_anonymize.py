"""`spanscript anonymize`: nothing of what was said is in the copy, and it is as whole as the original."""

from __future__ import annotations

import json
import re
import stat

import every_case
import pytest
from spec_writer import IDS, SpecWriter, chat, compact, sample

from spanscript import cli
from spanscript._anonymous.pseudonyms import Pseudonyms
from spanscript._anonymous.vocabulary import KEYS, MIME, WORDS
from spanscript._dialects import DIALECTS
from spanscript.transcript.check import check
from spanscript.transcript.exchanges import Exchanges
from spanscript.transcript.lines import NEEDED
from spanscript.transcript.reader import Transcript

SECRET = "s" * 32


@pytest.fixture
def copied(tmp_path, capsys):
    """Copies *source*; gives code, the new directory and stderr."""
    (tmp_path / "secret").write_text(SECRET)

    def call(source, *argv, secret=True):
        place = tmp_path / f"copy{len(list(tmp_path.glob('copy*')))}"
        given = ["--secret", str(tmp_path / "secret")] if secret else []
        code = cli.main(["anonymize", "--dir", str(source), "-o", str(place), *given, *argv])
        return code, place, capsys.readouterr().err

    return call


def text_of(directory):
    return b"".join(file.read_bytes() for file in sorted(directory.glob("*.jsonl"))).decode()


def found_in(path):
    """What `check` says, without names of what is another in the copy."""
    names = re.compile(r"[0-9a-f-]{32,64}|\(.*\)")
    return [(found.kind, found.note, names.sub("X", found.reason), found.line) for found in check(path)]


def strings(value, key=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ((name, name), *strings(inner, name))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, key)
    elif isinstance(value, str):
        yield key, value


MODELS = {"model", "modelVersion", "agent"}


def is_public(key, text):
    """Whether anybody's transcript has it: words of the wire APIs, names of models, kinds of media."""
    return text in KEYS | WORDS | NEEDED.keys() or key in MODELS | MIME or len(text) < 5


def test_nothing_that_was_said_is_in_the_copy(every, copied):
    _, place, _ = copied(every)
    copy = text_of(place)
    said = set()
    for case in every_case.CASES:
        for name in ("request.json", "response.json"):
            if (case.parent / name).exists():
                said |= set(strings(json.loads((case.parent / name).read_bytes())))
    private = {text for key, text in said if not is_public(key, text)}
    kept = {text for line in copy.splitlines() for _, text in strings(json.loads(line))}
    known = {"image/png", *DIALECTS, *(key for line in copy.splitlines() for key in json.loads(line))}

    assert len(private) > 500
    assert private & kept - known == set()
    assert [
        text for text in private if " " in text and (text in copy or json.dumps(text)[1:-1] in copy)
    ] == []
    assert "acme" not in copy


def test_the_copy_of_every_exchange_is_whole(every, copied):
    code, place, err = copied(every)

    assert (code, err) == (0, "")
    assert [found for found in check(place) if not found.note] == []
    assert found_in(place) == found_in(every)


def shape(exchange):
    """Roles, kinds of parts and whether tools were offered: what a reader makes of an exchange."""
    request, outcome = exchange.request, exchange.outcome
    split = request.split
    messages = [request.dialect.message(json.loads(item)) for item in split.items] if split else []
    reply = outcome.reply if outcome else None
    said = [choice.message for choice in reply.choices] if reply else []
    parts = [
        (message.role, [type(part).__name__ for part in message.parts]) for message in (*messages, *said)
    ]
    usage = reply.usage if reply else None
    return parts, bool(split and split.tools), bool(split and split.system), usage, request.tool_count


def test_the_copy_has_the_same_shape(every, copied):
    _, place, _ = copied(every)
    old, new = Transcript(every), Transcript(place)
    pairs = list(zip(old.calls(), new.calls(), strict=True))

    assert len(pairs) == len(every_case.CASES)
    for case, (before, after) in zip(every_case.CASES, pairs, strict=True):
        shapes = shape(Exchanges(old).of_call(before)[-1]), shape(Exchanges(new).of_call(after)[-1])
        assert shapes[0] == shapes[1], case


@pytest.mark.parametrize(
    ("keep", "kept", "gone"),
    [
        ([], [], ["Be exact", "weather", "api.openai.com", "2026-11-22", "K\\u00f6ln", "sunny"]),
        (["system"], ["Be exact"], ["weather", "api.openai.com", "sunny"]),
        (["tools"], ['"weather"', '"city"'], ["Be exact", "sunny", "Köln"]),
        (["urls"], ["https://api.openai.com/v1/chat/completions"], ["Be exact", "sunny"]),
        (["times"], ["2026-11-22T07:00:00.000000Z", '"0199b000-'], ["Be exact", "sunny"]),
        (["stages"], ["plan the trip"], ["Be exact", "sunny"]),
    ],
)
def test_what_can_be_kept(tmp_path, copied, keep, kept, gone):
    writer = SpecWriter()
    tools = [
        {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {}}}}}
    ]
    said = [
        {"role": "system", "content": "Be exact."},
        {"role": "user", "content": "What is the weather in Köln?"},
        {"role": "assistant", "tool_calls": [_call("weather", '{"city":"Köln"}')]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    sent = compact({"model": "m", "messages": said, "tools": tools})
    writer.request(IDS[0], 0, sent, stage="plan the trip")
    (tmp_path / "llm_transcript.jsonl").write_bytes(writer.bytes())
    code, place, _ = copied(tmp_path, *(f"--keep={name}" for name in keep))
    copy = text_of(place)

    assert code == 0
    assert [text for text in kept if text not in copy] == []
    assert [text for text in gone if text in copy] == []
    assert [found for found in check(place) if not found.note] == []


def _call(name, arguments):
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_what_the_app_says_is_replaced_too(tmp_path, copied):
    writer = SpecWriter()
    writer.line("annotation", event="invoice_paid", fields={"customer": "Acme", "amount": 1250.5, "ok": True})
    writer.line("stage", name="billing")
    writer.line("gap", reason="no space on /mnt/acme", dropped=3)
    (tmp_path / "llm_transcript.jsonl").write_bytes(writer.bytes())
    code, place, _ = copied(tmp_path)
    copy = text_of(place)

    assert code == 0
    assert [text for text in ("invoice", "customer", "Acme", "acme", "1250", "billing") if text in copy] == []
    assert re.search('"event":"n[0-9a-f]{10}","fields":{"n[0-9a-f]{10}":"[a-z ]{4}"', copy)
    assert [found[0] for found in found_in(place)] == [found[0] for found in found_in(tmp_path)] == ["gap"]


def test_what_belongs_together_still_does(tmp_path, copied):
    """Ids of tool calls and their results, names of tools; arguments are JSON still."""
    (tmp_path / "llm_transcript.jsonl").write_bytes(sample()[0].bytes())
    _, place, _ = copied(tmp_path)
    transcript = Transcript(place)
    exchanges = Exchanges(transcript)
    calls = transcript.calls()
    sent = json.loads(exchanges.of_call(calls[2])[-1].request.content)["messages"]
    asked, result = sent[2]["tool_calls"][0], sent[3]
    tool = json.loads(exchanges.of_call(calls[2])[-1].request.content)["tools"][0]["function"]

    assert asked["id"] == result["tool_call_id"]
    assert asked["function"]["name"] == tool["name"]
    assert asked["function"]["arguments"].startswith('{"n')


def test_the_same_secret_gives_the_same_copy_and_no_secret_another(every, copied):
    one, two = text_of(copied(every)[1]), text_of(copied(every)[1])
    three = text_of(copied(every, secret=False)[1])

    assert one == two
    assert not set(re.findall(r'"call_id":"[0-9a-f-]+"', one)) & set(
        re.findall(r'"call_id":"[0-9a-f-]+"', three)
    )
    assert not set(re.findall(r'"text":"[^"]{12,}"', one)) & set(re.findall(r'"text":"[^"]{12,}"', three))


IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,%s"}}]}


def with_image(directory):
    data = "QUJD" * 8000
    message = json.loads(json.dumps(IMAGE) % data)
    writer = SpecWriter()
    writer.request(IDS[0], 0, compact({"model": "m", "messages": [message]}))
    writer.response(IDS[0], 0)
    writer.save(directory)
    return writer


def test_blobs_become_others_of_the_same_size(tmp_path, copied):
    (tmp_path / "run").mkdir()
    writer = with_image(tmp_path / "run")
    _, place, _ = copied(tmp_path / "run")
    (old,), (new,) = writer.blobs.values(), [file.read_bytes() for file in (place / "blobs").iterdir()]

    assert [found for found in check(place) if not found.note] == []
    assert (len(new), new != old) == (len(old), True)
    assert "data:image/png;base64,$blob{" in text_of(place)


DAMAGES = {
    "a harmed message": lambda lines: [line.replace(b"sunny", b"rainy") for line in lines],
    "a lost message": lambda lines: lines[:3] + lines[4:],
    "a torn line": lambda lines: [*lines[:5], lines[5][:40] + b"\n", *lines[6:]],
    "a torn end": lambda lines: [*lines[:-1], lines[-1][:-20]],
    "a line twice": lambda lines: [*lines, lines[4]],
    "an unknown type": lambda lines: [*lines[:-1], lines[-1].replace(b"provider_call_request", b"novelty")],
    "a harmed body": lambda lines: [line.replace(b'"gpt-5"', b'"gpt-6"', 1) for line in lines],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_harmed_is_so_in_the_copy(tmp_path, copied, damage):
    (tmp_path / "llm_transcript.jsonl").write_bytes(b"".join(damage(sample()[0].lines)))
    code, place, err = copied(tmp_path)
    unread = {"torn", "syntax"}
    old = [found[:2] for found in found_in(tmp_path) if found[0] not in unread]

    assert [found[:2] for found in found_in(place)] == old
    assert code == (2 if any(found[0] in unread for found in found_in(tmp_path)) else 0)
    assert "Traceback" not in err


def test_a_blob_that_is_missing_is_missing_in_the_copy(tmp_path, copied):
    (tmp_path / "run").mkdir()
    with_image(tmp_path / "run")
    for file in (tmp_path / "run" / "blobs").iterdir():
        file.unlink()
    _, place, _ = copied(tmp_path / "run")

    assert [found[0] for found in found_in(place)] == [found[0] for found in found_in(tmp_path / "run")]


@pytest.mark.parametrize(
    "mark",
    ["$blob{%s:99999999999999}" % ("a" * 64), "$blob{../../etc/passwd:5}", "$blob{%s:5:up}" % ("a" * 64)],
)
def test_a_forged_mark_costs_nothing_and_names_nothing(tmp_path, copied, mark):
    writer = SpecWriter()
    writer.line("message", blobs=1, hash="0" * 32, parent=None, role="user", content=f"see {mark}")
    (tmp_path / "llm_transcript.jsonl").write_bytes(writer.bytes())
    code, place, err = copied(tmp_path)

    assert (code, err) == (0, "")
    assert not (place / "blobs").exists()
    assert "passwd" not in text_of(place)


def test_files_are_for_their_owner_alone_and_old_ones_keep_their_order(tmp_path, copied):
    (tmp_path / "run").mkdir()
    first, second = SpecWriter("0000000a"), SpecWriter("0000000b", second=60)
    first.request(IDS[0], 0, compact(chat(1)))
    second.request(IDS[1], 0, compact(chat(2)))
    (tmp_path / "run" / "llm_transcript-2026-on-host.jsonl").write_bytes(first.bytes())
    (tmp_path / "run" / "llm_transcript.jsonl").write_bytes(second.bytes())
    _, place, _ = copied(tmp_path / "run")
    files = sorted(file.name for file in place.iterdir())

    assert files == ["llm_transcript-000001.jsonl", "llm_transcript.jsonl"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}
    assert len((place / files[0]).read_bytes().splitlines()) == len(first.lines)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["-o", "full"], "full is not empty"),
        (["-o", "new", "--secret", "short"], "short: a secret of fewer than 16 bytes can be guessed"),
        (["-o", "new", "--secret", "missing"], "No such file"),
        (["-o", "new", "--keep", "all"], "invalid choice: 'all'"),
        ([], "required: -o"),
    ],
)
def test_bad_wishes(tmp_path, monkeypatch, capsys, argv, says):
    monkeypatch.chdir(tmp_path)
    for name, text in (("full", "x"), ("run", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    (tmp_path / "short").write_text("secret")
    (tmp_path / "run" / "llm_transcript.jsonl").write_bytes(sample()[0].bytes())
    try:
        code = cli.main(["anonymize", "--dir", "run", *argv])
    except SystemExit as stop:
        code = stop.code

    assert code == 2
    assert says in capsys.readouterr().err


def test_json(tmp_path, capsys):
    (tmp_path / "llm_transcript.jsonl").write_bytes(sample()[0].bytes())
    code = cli.main(["anonymize", "--dir", str(tmp_path), "-o", str(tmp_path / "new"), "--json"])

    assert code == 0
    assert json.loads(capsys.readouterr().out) == {
        "output": str(tmp_path / "new"),
        "entries": 19,
        "left_out": [],
    }


@pytest.mark.parametrize("number", [0, 7, -7, 1234567890123456789012, 1.5, -0.0, 37.25, 0.5, 100])
def test_numbers_keep_their_digits(number):
    found = Pseudonyms(b"k" * 32).number(number)

    assert type(found) is type(number)
    assert re.sub("[1-9]", "d", repr(found)) == re.sub("[1-9]", "d", repr(number))


@pytest.mark.parametrize("text", ["", "\n\n", "a", "word", "two\nlines of text\n", "Köln 😀", "\ud800x"])
def test_text_keeps_its_length_line_by_line(text):
    found = Pseudonyms(b"k" * 32).text(text)

    assert [len(line) for line in found.split("\n")] == [len(line) for line in text.split("\n")]
    assert Pseudonyms(b"k" * 32).text(text) == found
    assert text == found or Pseudonyms(b"l" * 32).text(text) != found or len(text) < 5
