"""How tests are shared by the workers of ``make test`` (``--dist loadgroup --no-loadscope-reorder``).

A file stays with one worker for the sake of its fixtures, as do all tests on the finished mini study. Groups are handed
out in the order in which their first tests stand.
"""

from __future__ import annotations

import pytest

SHARED = "finished"
"""The fixture that tests of several files share."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = SHARED if SHARED in getattr(item, "fixturenames", ()) else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: SHARED not in getattr(item, "fixturenames", ()))  # the longest group begins first
