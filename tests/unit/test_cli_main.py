from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from command_line import refused, run
from tiny_study import ROOT

from weightcast import __version__
from weightcast.cli import schema
from weightcast.cli.main import COMMANDS, main
from weightcast.core.console.warning import warn
from weightcast.studies import json_schema

COMMAND = [sys.executable, "-m", "weightcast.cli.main"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"weightcast {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"usage: weightcast {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["chek"], ["check", "--confg"], ["forecast", "model", "--steps", "many"]])
def test_wrong_usage_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("weightcast: error: ")
    assert error.count("\n") == 1
    assert "--help" in error


def test_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = run(capsys, "schema")
    assert json.loads(shown) == json_schema()


def test_what_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_space(arguments: object) -> None:
        raise OSError(28, "No space left on device", "forecast.nc")

    monkeypatch.setattr(schema, "run", no_space)
    refused(capsys, "schema", words=("forecast.nc: No space left on device",))


def test_mistakes_of_the_program_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(schema, "run", mistaken)
    with pytest.raises(ZeroDivisionError):
        main(["schema"])


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen([*COMMAND, "schema"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, error = process.communicate()
    assert error == b""
    assert process.returncode == 141


def test_commands_without_networks_do_not_import_torch() -> None:
    code = (
        "import sys; from weightcast.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print([m for m in ('torch', 'xarray') if m in sys.modules], file=sys.stderr)"
    )
    for arguments in (["schema"], ["check", "--config", os.devnull]):
        shown = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert shown.stderr.splitlines()[-1] == "[]"


def test_warnings_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    warn("outside\nthe range")
    assert capsys.readouterr().err == "weightcast: warning: outside the range\n"
