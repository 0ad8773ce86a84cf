"""``weightcast evolve`` on the command line: which study, and which numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import refused

from weightcast.cli.main import _with_negative_lists


def test_a_study_across_environments_is_led_to_its_own_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("kind: environments\nstudy: mine\n")
    words = ("across environments", f"weightcast generate {tmp_path}")
    refused(capsys, "evolve", tmp_path, "--times", "1", "-o", tmp_path / "o.csv", words=words)


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--times", "-5:50:5"], ["--times=-5:50:5"]),
        (["--times", "-5,0,5", "-n", "3"], ["--times=-5,0,5", "-n", "3"]),
        (["--times", "-1.5e1:0:5"], ["--times=-1.5e1:0:5"]),
        (["--seed", "-1"], ["--seed", "-1"]),  # argparse takes a plain number for a value itself
        (["--times=-5:50:5"], ["--times=-5:50:5"]),
        (["-n", "3", "--force", "a"], ["-n", "3", "--force", "a"]),
    ],
)
def test_lists_that_begin_with_a_minus_are_values(words: list[str], joined: list[str]) -> None:
    assert _with_negative_lists(words) == joined
