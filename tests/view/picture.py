"""Makes the picture in the documentation: `python tests/view/picture.py docs/viewer.png`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from browser import Browser
from generate import generate

from spanscript.viewer import page
from spanscript.viewer.payload import Payload

CALLS = 400


def shoot(picture, directory):
    run = directory / "checkout"
    run.mkdir()
    generate(run, CALLS)
    payload = Payload(run)
    page.save(payload, directory / "page.html")
    call = next(filter(_is_telling, payload.transcript.calls()))
    browser = Browser(directory / "profile")
    try:
        browser.open(f"{(directory / 'page.html').as_uri()}#call={call.call_id}", size=(1280, 860))
        browser.until_text(".call", "Answer")
        browser.driver.save_screenshot(str(picture))
    finally:
        browser.quit()


def _is_telling(call):
    """Whether it was retried twice, in the middle of an agent's run."""
    return len(call.attempts) == 3 and call.status == "ok" and call.first("iteration") > 8


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        shoot(Path(sys.argv[1]), Path(scratch))
