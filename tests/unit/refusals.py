"""What every refusal of bad input must look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from weightcast.core.errors import InputError


@contextmanager
def refused(*words: object) -> Iterator[None]:
    """The block raises an `InputError` of one line in which all `words` occur."""
    with pytest.raises(InputError) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message, f"{word!r} is not in: {message}"
