"""The page as people use it, in a real Chromium."""

from __future__ import annotations

import re
import threading
from functools import partial

import pytest
from browser import DOWN, ENTER, ESCAPE
from spec_writer import IDS, SYSTEM, TURNS, SpecWriter, chat, compact, sample

from spanscript.viewer.payload import Payload
from spanscript.viewer.server import Server

pytestmark = pytest.mark.xdist_group("browser")

ROWS = ".row[data-call]"
CHOSEN = ".row[aria-selected=true]"
HOSTILE = (
    "</script><script>window.pwned=1</script><!--<script>"
    "<img src=x onerror='window.pwned=1'><svg onload='window.pwned=1'>"
    "{{constructor}}\u202egpj.exe\u2066\x1b]0;title\x07\x00\u2028&lt;"
)


@pytest.fixture
def story(written, browser):
    """Calls that go on from one another, one retried, one whose history was edited, one failed, one unfinished."""
    writer, _ = sample()
    edited = [*TURNS[:2], {"role": "tool", "tool_call_id": "c1", "content": "snow"}]
    sent = compact({"model": "gpt-4o", "messages": [{**SYSTEM, "content": "Be brief."}, *edited]})
    writer.request(IDS[3], 0, sent, stage="answer")
    writer.error(IDS[3], 0, "error", error_type="invalid_request_error", error_message="No.", http_status=400)
    browser.open(written(writer).as_uri())
    yield browser
    assert browser.logs()[0] == [], "the console is silent"


def chosen(browser):
    return [row.get_attribute("data-call") for row in browser.all(CHOSEN)]


# What is shown


def test_all_calls_are_listed(story):
    rows = story.texts(ROWS)

    assert len(rows) == 4
    assert re.search(r"3.\s*gpt-5\s.*5\.00 s", rows[1], re.DOTALL), "attempts, model, the time that it took"
    assert "400 invalid_request_error" in rows[3]
    assert "4 calls" in story.text(".totals")


def test_only_the_page_itself_is_asked_for(written, browser):
    page = written(sample()[0])
    browser.open(page.as_uri())
    browser.press("j", "j", "o", "?", ESCAPE)
    console, asked = browser.logs()

    assert (console, asked) == ([], [page.as_uri()])


def test_attempts_and_waits(story):
    story.click(f"{ROWS}:nth-child(2)")

    assert story.texts(".attempt .word") == [*["retrying · 429 · 1.00 s"] * 2, "ok · 200 · 251 ms"]
    assert story.texts(".attempt .waited") == ["waited 1.00 s (asked to wait 1.00 s)"] * 2
    assert len(story.all(".attempts .stretch.wait")) == 2
    assert "slow down" in story.text(".attempts")


def test_what_is_new_in_a_call_stands_open_and_marked(story):
    story.click(f"{ROWS}:nth-child(2)")
    story.until_text(".conversation", "new")

    assert "3 messages, 2 new" in story.text(".conversation h2")
    assert story.texts(".message:not(.new) .role") == ["system", "tools", "user"]
    assert story.texts(".message.new .role") == ["assistant", "tool"]
    assert "← weather c1\nsunny" in story.text(".message.new"), "a result stands under the name of its tool"
    assert "It is sunny.\nEnjoy!" in story.text(".answer")


def test_what_an_edit_took_away_is_told(story):
    story.click(f"{ROWS}:nth-child(4)")
    story.until_text(".conversation", "changed")

    assert story.texts(".message.changed .role") == ["system"]
    assert "1 message of the call before is not in this one" in story.text(".dropped")
    story.click(".dropped button")
    story.until_text(".dropped", "sunny")


def test_what_the_app_says_of_a_call(written, browser):
    writer = SpecWriter()
    writer.request(IDS[0], 0, compact(chat(1)), rate_limit_wait_ms=120)
    writer.response(IDS[0], 0, None, empty=True, request_id="req_7")
    writer.line(
        "interpreted_response", call_id=IDS[0], tool_format="json", tool_parse_errors=["no such tool"]
    )
    writer.line("annotation", event="nudge", call_id=IDS[0], fields={"why": "it said nothing"})
    writer.line("annotation", event="compaction", fields={"dropped": 3})
    browser.open(written(writer).as_uri())
    browser.press("j")
    browser.until_text(".notes", "compaction")

    assert "The model said nothing" in browser.text(".answer")
    assert "no such tool" in browser.text("[aria-label=interpretation]")
    assert browser.texts(".notes .message > b") == ["nudge", "compaction"]
    assert '"why": "it said nothing"' in browser.text(".notes")
    for summary in browser.all(".sources summary"):
        summary.click()
    browser.until_text(".sources", "req_7")
    assert "rate_limit_wait_ms\n120" in browser.text(".sources")


def test_json_as_it_was_sent(story):
    story.click(f"{ROWS}:nth-child(3)")
    story.click(".sources summary")
    story.until_text(".sources", '"seed": 1180591620717411303424')  # no number is respelled


def test_images_are_shown_and_addresses_are_not_followed(written, browser):
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    urls = [f"data:image/png;base64,{png}", "https://example.com/a.png", "javascript:alert(1)"]
    urls += [
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:text/html;base64,PGI+",
        f"data:image/png;base64,{png}'\">",
    ]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    writer = SpecWriter()
    writer.request(IDS[0], 0, compact(chat(0) | {"messages": [{"role": "user", "content": parts}]}))
    page = written(writer)
    browser.open(page.as_uri())
    browser.press("j")
    browser.until(lambda: len(browser.all(".part-media")) == len(urls))

    assert browser.js("return [...document.images].map(i => [i.src, i.naturalWidth])") == [[urls[0], 1]]
    assert browser.all("a") == []
    assert browser.logs() == ([], [page.as_uri()])


# Hostile transcripts


def hostile():
    """Something that would run in each place where others' text can stand."""
    writer = SpecWriter()
    tools = [{"type": "function", "function": {"name": HOSTILE, "description": HOSTILE}}]
    call = {"id": HOSTILE, "type": "function", "function": {"name": HOSTILE, "arguments": HOSTILE}}
    messages = [
        {"role": "system", "content": HOSTILE},
        {"role": HOSTILE, "name": HOSTILE, "content": HOSTILE},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": HOSTILE, "content": [HOSTILE, {HOSTILE: HOSTILE}]},
    ]
    names = dict.fromkeys(("provider", "client", "url", "stage", "trace_id"), HOSTILE)
    sent = compact({"model": HOSTILE, "messages": messages, "tools": tools})
    for attempt in range(2):
        writer.request(HOSTILE, attempt, sent, **names)
        said = {"error_type": HOSTILE, "error_message": HOSTILE, "text": HOSTILE, "thinking": HOSTILE}
        writer.error(HOSTILE, attempt, HOSTILE if attempt else "retrying", **said, finish_reasons=[HOSTILE])
    writer.line("interpreted_response", call_id=HOSTILE, tool_format=HOSTILE, tool_parse_errors=[HOSTILE])
    writer.line("gap", reason=HOSTILE, dropped=1)
    return writer


@pytest.fixture
def attacked(written, browser):
    page = written(hostile(), code=2)
    browser.open(page.as_uri())
    return browser


def test_nothing_of_others_runs(attacked):
    before = attacked.text("#app")
    attacked.press("j", "o")
    attacked.until_text(".call", "onerror")
    for summary in attacked.all("summary, .source"):
        summary.click()
    attacked.press("/", "<img")
    attacked.until(lambda: attacked.all("mark"))
    shown = before + attacked.text("#app")

    assert attacked.js("return window.pwned") is None
    assert attacked.all("#app script, #app svg, #app img, #app a, #app iframe") == []
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u2028\u202a-\u202e\u2066-\u2069]", shown)
    assert "\\u202egpj.exe\\u2066\\x1b]0;title\\x07\\x00\\u2028&lt;" in shown, "visible, as it was said"
    console, asked = attacked.logs()
    assert console == []
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("code", "directive"),
    [
        ("document.body.appendChild(document.createElement('img')).src = 'http://127.0.0.1:9/x'", "img-src"),
        ("fetch('http://127.0.0.1:9/x').catch(() => 0)", "connect-src"),
        ("try { document.body.innerHTML = '<b>' } catch {}", "require-trusted-types-for"),
        ("try { document.createElement('script').text = '1' } catch {}", "require-trusted-types-for"),
        ("document.body.setAttribute('style', 'color: red')", "style-src-attr"),
        ("document.body.appendChild(document.createElement('style')).textContent = 'b{}'", "style-src-elem"),
        (
            "document.body.appendChild(document.createElement('iframe')).src = 'https://example.com'",
            "frame-src",
        ),
        (
            "document.body.appendChild(document.createElement('base')).href = 'https://example.com'",
            "base-uri",
        ),
    ],
)
def test_the_policy_holds_where_our_code_would_not(attacked, code, directive):
    attacked.js(
        "window.broken = []; addEventListener('securitypolicyviolation', e => broken.push(e.effectiveDirective))"
    )
    attacked.js(code)

    attacked.until(lambda: set(attacked.js("return broken")) == {directive})
    attacked.logs()


def test_problems_are_told_in_the_page(written, browser):
    lines = sample()[0].bytes().splitlines(keepends=True)
    browser.open(written(b"".join([*lines[:3], b'{"torn\n', *lines[4:]]), code=2).as_uri())

    assert "llm_transcript.jsonl:4: no JSON object" in browser.text(".problem-list")
    assert browser.text(".problems") == "3 problems"
    browser.press("j")
    browser.until_text(".conversation", "Earlier messages are lost")
    browser.click(".problems")
    browser.until(lambda: browser.all(".problem-list"))


def test_a_page_that_was_cut_short_says_so(written, browser):
    page = written(sample()[0])
    text = page.read_bytes()
    start = text.index(b'class="index"')
    page.write_bytes(text[:start].rpartition(b"<script")[0] + text[text.rindex(b'<script type="module"') :])
    browser.open(page.as_uri())

    assert "not whole" in browser.text(".opening.failed")


# Finding


def test_search_looks_into_everything_that_was_said(story):
    for text, calls in (
        ("köln", [0]),
        ("SUNNY", [1]),
        ("slow down", [1]),
        (IDS[2], [2]),
        ("snow", [3]),
        ("zzz", []),
    ):
        story.press("/")
        story.js("document.activeElement.select()")
        story.press(text)
        story.until(
            lambda calls=calls: (
                story.js(f"return [...document.querySelectorAll('{ROWS}')].map(r => r.dataset.call)")
                == [IDS[at] for at in calls]
            )
        )
        story.until(lambda: "searching" not in story.text(".totals"))
    story.press(ESCAPE, ESCAPE)
    story.until(lambda: len(story.all(ROWS)) == 4)


def test_what_was_searched_for_is_marked(story):
    story.press("/", "sunny")
    story.until(lambda: len(story.all(ROWS)) == 1)
    story.press(ENTER)
    story.until(lambda: set(story.texts(".call mark")) == {"sunny"})  # they have a text once they are drawn


@pytest.mark.parametrize(
    ("button", "calls"), [("failed", [3]), ("retried", [1]), ("unknown", [2]), ("retried + .failed", [])]
)
def test_kinds(story, button, calls):
    if "+" not in button:
        story.click(f".kinds .{button}")
        assert story.texts(f".kinds .{button}")[0].split()[-1] == str(len(calls))
        story.until(
            lambda: [r.get_attribute("data-call") for r in story.all(ROWS)] == [IDS[at] for at in calls]
        )
    story.click(".kinds button")
    story.until(lambda: len(story.all(ROWS)) == 4)


def test_models_and_errors_are_filters(story):
    story.js(
        "const s = document.querySelector('select[aria-label=model]'); s.value = 'gpt-4o'; s.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    story.until(lambda: len(story.all(ROWS)) == 1)
    story.press(ESCAPE)
    story.until(lambda: len(story.all(ROWS)) == 4)
    story.click(".errors button")
    story.until(lambda: len(story.all(ROWS)) == 1)


def test_a_stretch_of_time_is_dragged_over_a_plot(story):
    from selenium.webdriver.common.action_chains import ActionChains

    over = story.until(lambda: story.all(".u-over"))[0]
    width = over.size["width"]
    drag = ActionChains(story.driver).move_to_element_with_offset(over, width // 2 - 20, 0)
    drag.click_and_hold().move_by_offset(19, 0).release().perform()
    story.until(lambda: len(story.all(ROWS)) == 1)
    story.click(".range")
    story.until(lambda: len(story.all(ROWS)) == 4)


# Keys and addresses


@pytest.mark.parametrize(
    ("keys", "call"),
    [
        ("j", 0),
        ("jj", 1),
        ("jjk", 0),
        ([DOWN, DOWN], 1),
        ("k", 3),
        ("G", 3),
        ("Gg", 0),
        ("n", 1),
        ("nnn", 3),
        ("GN", 2),
        ("G[", 1),
        ("j]", 1),
        ("jjjjjjj", 3),
        (["j", ESCAPE], None),
    ],
)
def test_keys_choose_calls(story, keys, call):
    story.press(*keys)

    story.until(lambda: chosen(story) == ([] if call is None else [IDS[call]]))
    assert story.js("return location.hash") == ("" if call is None else f"#call={IDS[call]}")


def test_keys_for_reading(story):
    story.press("j", ENTER)
    story.until(lambda: story.js("return document.activeElement.matches('.call')"))
    story.press(DOWN)
    assert chosen(story) == [IDS[0]], "in an open call the arrows scroll"
    story.press(ESCAPE)
    assert story.js("return document.activeElement === document.body")
    story.press("o")
    story.until(lambda: story.texts(".conversation .message [aria-expanded=true] .role")[-1:] == ["user"])
    story.press("?")
    story.until_text(".help", "next call that failed")
    story.press(ESCAPE)
    assert story.all(".help") == []
    story.press("p")
    story.until(lambda: not story.all(".plots"))
    story.press("/", "jjj")
    assert story.js("return location.hash") == f"#call={IDS[0]}", "in the search box letters are letters"


def test_links_to_a_call(written, browser):
    page = written(sample()[0]).as_uri()
    browser.open(f"{page}#call={IDS[1]}")
    assert chosen(browser) == [IDS[1]]
    browser.js(f"location.hash = '#call={IDS[2][:13]}'")
    browser.until(lambda: chosen(browser) == [IDS[2]])
    browser.js("location.hash = '#call=nothing'")
    browser.until(lambda: chosen(browser) == [])


# Light and dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(written, browser, scheme):
    def brightness():
        colour = browser.js("return getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    browser.open(written(sample()[0]).as_uri(), scheme=scheme)
    is_light = scheme == "light"
    assert (brightness() > 128) == is_light
    browser.press("t")
    browser.until(lambda: (brightness() > 128) != is_light)
    browser.click("[aria-label='light or dark']")
    browser.until(lambda: (brightness() > 128) == is_light)


# Ten thousand calls


def test_ten_thousand_calls_open_scroll_and_are_searched(big_page, browser):
    browser.open(big_page.as_uri())
    opened = browser.js("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert opened < 2000
    assert "10,000 calls" in browser.text(".totals")
    assert len(browser.all(ROWS)) < 100, "only what is in sight is there"

    browser.js("document.querySelector('.rows').scrollTop = 1e9")
    browser.until(
        lambda: browser.js(f"return [...document.querySelectorAll('{ROWS}')].at(-1).dataset.call").endswith(
            "00000000270f"
        )
    )
    browser.press("G", ENTER)
    browser.until_text(".answer", "This was the cause")
    browser.press(ESCAPE, "/", "order 4321 failed")
    browser.until(lambda: len(browser.all(ROWS)) == 1)
    assert browser.logs() == ([], [big_page.as_uri()])


# Served


def test_served_pages_are_the_same_and_read_anew(tmp_path, browser):
    writer, _ = sample()
    writer.save(tmp_path)
    with Server(0, partial(Payload, tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            browser.open(server.url)
            assert len(browser.all(ROWS)) == 3
            assert browser.logs() == ([], [server.url])
            writer.request(IDS[4], 0, compact(chat(1)))
            (tmp_path / "llm_transcript.jsonl").write_bytes(writer.bytes())
            browser.open(server.url)
            assert len(browser.all(ROWS)) == 4
        finally:
            server.shutdown()
            thread.join()
