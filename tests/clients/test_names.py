"""The names that are hooked: the peer's next release must fail here, and only degrade an app."""

from __future__ import annotations

import logging
from importlib import metadata
from types import ModuleType

import pytest

from spanscript import _hooks
from spanscript._patch import patch
from spanscript.cli.doctor import _why_not

HERE = {dist.metadata["Name"].lower().replace("_", "-") for dist in metadata.distributions()}
INSTALLED = [hook for hook in _hooks.TABLE if hook.library in HERE]


@pytest.mark.parametrize("hook", INSTALLED, ids=lambda hook: hook.modules[0])
def test_every_name_is_there(hook):
    assert _hooks.missing_names(hook) == []


def test_a_name_that_moved_is_logged_and_the_rest_is_hooked(caplog):
    class Client:
        def send(self):
            return 1

    module = ModuleType("library")
    module.Client = Client

    with caplog.at_level(logging.WARNING):
        undo_moved = patch(module, "Client.moved", lambda wrapped, _, args, kwargs: wrapped(*args, **kwargs))
        undo = patch(module, "Client.send", lambda wrapped, _, args, kwargs: wrapped(*args, **kwargs) + 1)

    assert "library.Client.moved" in caplog.text
    assert Client().send() == 2
    undo_moved()
    undo()
    assert Client().send() == 1


@pytest.mark.parametrize(
    ("version", "finding", "says"),
    [
        (None, None, "not installed"),
        ("9.0", ["Client.send"], "this version has no Client.send; the rest is hooked"),
        ("9.0", "no module named x", "cannot be imported: no module named x"),
        ("9.0", [], None),
    ],
)
def test_doctor_tells_why_not(version, finding, says):
    told = _why_not(version, finding)

    assert told is None if says is None else says in told
