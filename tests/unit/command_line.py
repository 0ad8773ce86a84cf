"""Calling the command line in a test, and what every refusal of bad input must look like there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from weightcast.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[str, str]:
    """What a command that succeeds prints, on stdout and on stderr."""
    capsys.readouterr()
    main([str(word) for word in argv])
    captured = capsys.readouterr()
    return captured.out, captured.err


def refused(
    capsys: pytest.CaptureFixture[str], *argv: object, words: Iterable[object] = (), output: Path | None = None
) -> str:
    """The command ends with status 1 and one line on stderr, in which all `words` occur; no `output` is left."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in argv])
    error = capsys.readouterr().err
    assert caught.value.code == 1
    assert error.startswith("weightcast: error: ")
    assert error.count("\n") == 1
    assert error.endswith("\n")
    for word in words:
        assert str(word) in error, f"{word!r} is not in: {error}"
    if output is not None:
        assert not output.exists()
        assert not list(output.parent.glob(f".{output.name}*"))  # no temporary file either
    return error
