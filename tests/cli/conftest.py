"""What the tests of several commands read."""

from __future__ import annotations

import every_case
import pytest


@pytest.fixture(scope="session")
def every(tmp_path_factory):
    """The directory of a transcript of all recorded exchanges."""
    directory = tmp_path_factory.mktemp("every") / "run"
    every_case.write(directory)
    return directory
