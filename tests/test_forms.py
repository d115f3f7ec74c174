"""Forms with files: what tells of them, however they are encoded, and before they are."""

import importlib
import io
import json

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from spanscript._forms import CONTENT_TYPE, Field, summary, summary_of
from spanscript._hooks.httpx import _field

AUDIO = bytes(range(256)) * 400 + b"\r\n--no boundary\r\n"
TEXTS = {"model": "whisper-1", "prompt": "Grüße\r\naus Zürich", "temperature": "0.5", "stream": "false"}
FILE = ("a.mp3", AUDIO, "audio/mpeg")
TOLD = {
    "model": "whisper-1",
    "prompt": "Grüße\r\naus Zürich",
    "temperature": 0.5,
    "stream": False,
    "file": {"filename": "a.mp3", "content_type": "audio/mpeg", "bytes": len(AUDIO)},
}


def by_httpx():
    request = importlib.import_module("httpx").Request("POST", "http://x/", data=TEXTS, files={"file": FILE})
    return b"".join(request.stream), request.headers["content-type"]


def by_requests():
    request = requests.Request("POST", "http://x/", data=TEXTS, files={"file": FILE}).prepare()
    return request.body, request.headers["content-type"]


def by_urllib3():
    return urllib3.encode_multipart_formdata({**TEXTS, "file": FILE})


@pytest.mark.parametrize("encoded", [by_httpx, by_requests, by_urllib3])
def test_encoded(encoded):
    assert json.loads(summary_of(*encoded())) == TOLD


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("content", [bytes, io.BytesIO, "file", "no length"])
def test_before_it_is_sent(library, content, tmp_path):
    """By the library's private names: `MultipartStream.fields`, and what its fields have."""
    module = pytest.importorskip(library)
    file, size = opened(content, tmp_path), None if content == "no length" else len(AUDIO)
    form = {"data": {**TEXTS, "t[]": ["a", "b"]}, "files": [("file", ("a.mp3", file, "audio/mpeg"))]}
    request = module.Request("POST", "http://x/", **form)
    before = file.tell() if content == "file" else None

    told = json.loads(summary(map(_field, request.stream.fields)))

    about = {k: v for k, v in {**TOLD["file"], "bytes": size}.items() if v is not None}
    assert told == {**TOLD, "t[]": ["a", "b"], "file": about}
    assert list(told) == [*TEXTS, "t[]", "file"]
    assert before is None or file.tell() == before
    sent = b"".join(request.stream)
    assert AUDIO in sent
    assert json.loads(summary_of(sent, request.headers["content-type"]))["file"] == TOLD["file"]


class Unsized:
    """A file whose length is not known before it was read."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def read(self, size=-1):
        return self._data.read(size)


def opened(content, folder):
    if content == "file":
        (folder / "a.mp3").write_bytes(AUDIO)
        file = (folder / "a.mp3").open("rb")
        file.seek(7)
        return file
    return Unsized(AUDIO) if content == "no length" else content(AUDIO)


def form(*parts, boundary=b"B"):
    return b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary


NAMED = b'Content-Disposition: form-data; name="%b"\r\n\r\n%b'


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (b"{}", "application/json", None),
        (b"{}", "", None),
        (form(), CONTENT_TYPE, None),
        (form(), "Multipart/Form-Data; charset=utf-8; boundary=B", {}),
        (form(NAMED % (b"a", b"x"), boundary=b"q r"), CONTENT_TYPE + '; boundary="q r"', {"a": "x"}),
        (form(NAMED % (b"n", b"2"), NAMED % (b"prompt", b"2")), None, {"n": 2, "prompt": "2"}),
        (form(NAMED % (b"n", b"[2]"), NAMED % (b"seed", b"x")), None, {"n": "[2]", "seed": "x"}),
        (form(*[NAMED % (b"a", b"%d" % i) for i in range(3)]), None, {"a": ["0", "1", "2"]}),
        (form(NAMED % (b"a", b"\xff\xfe")), None, {"a": {"bytes": 2}}),
        (form(NAMED % (b"a", b"x" * 70_000)), None, {"a": {"bytes": 70_000}}),
        (form(NAMED % (b"a", b"")), None, {"a": ""}),
        (
            form(b'content-disposition:form-data;name=a; filename="q\\"\\\\.png"\r\n\r\nabc'),
            None,
            {"a": {"filename": 'q"\\.png', "bytes": 3}},
        ),
        (form(NAMED % (b"a", b"x"))[:-9], None, {}),
        (form(NAMED % (b"a", b"x"), b"no head"), None, {"a": "x"}),
    ],
)
def test_odd_forms(body, kind, told):
    found = summary_of(body, kind if kind is not None else CONTENT_TYPE + "; boundary=B")

    assert (found if found is None else json.loads(found)) == told


def test_a_long_text_is_told_of_by_its_length():
    assert json.loads(summary([Field("a", text="ü" * 70_000)])) == {"a": {"bytes": 140_000}}


@given(st.binary(max_size=300), st.text(max_size=40))
def test_garbage_never_raises(body, kind):
    summary_of(body, kind)
    summary_of(form(body, b"\r\n" + body), f"{CONTENT_TYPE}; boundary=B{kind}")
    summary_of(form(body), f"{CONTENT_TYPE}; boundary=B")
