"""Configurations and tables that are meant to exhaust a machine: one line each, at once."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from refusals import refused
from tiny_study import tiny_config

from weightcast.cli.run import further_configurations
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.environment_table import read_environments
from weightcast.environments.config.load import parse_study
from weightcast.studies import load_any_study

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
)
MERGED = "a0: &a0 {k: 1}\n" + "".join(
    f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, ("values", "expected fewer")),
        (MERGED, ("values", "expected fewer")),
        ("study: " + "[" * 20_000 + "]" * 20_000, ("deep", "64")),
        ("study: " + "{a: " * 20_000 + "1" + "}" * 20_000, ("deep", "64")),
        ("".join(" " * level + "a:\n" for level in range(3000)), ("deep", "64")),
        ("study: &a [*a]\n", ("line 1", "inside of itself")),
        ("study: &a {b: *a}\n", ("inside of itself",)),
        ("study: " + "9" * 10_000, ("cannot be read",)),
        ("study: 2020-99-99", ("cannot be read",)),
        ("study: !!python/object/apply:os.system [ls]", ("not YAML",)),
        ("? [a]\n: b\n", ("not YAML",)),
    ],
    ids=["laughs", "merged", "lists", "mappings", "indented", "self", "self-mapping", "number", "date", "tag", "key"],
)
def test_a_configuration_that_is_a_trap(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "trap.yaml"
    path.write_text(text, encoding="utf-8")
    began = time.process_time()
    with refused(path, *words):
        read_yaml(path)
    assert time.process_time() - began < 2


def test_an_anchor_that_is_named_twice_is_no_trap(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text("few: &few {steps: 1}\none: *few\nother:\n  <<: *few\n  more: [1, 2]\n", encoding="utf-8")
    assert read_yaml(path)["other"] == {"steps": 1, "more": [1, 2]}


@pytest.mark.parametrize("read", [read_yaml, read_environments, load_any_study])
def test_a_device_is_no_file(read: Any) -> None:
    for path in ("/dev/zero", "/dev/null"):
        with refused(path, "device"):
            read(path)


def test_a_configuration_that_never_ends_is_left_early(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    with path.open("wb") as file:
        file.truncate(10 * 1024**4)  # holes: no room on the disk is taken
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with refused(path, "more than 16 MB"):
        read_yaml(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_complaints_are_short_whatever_was_found(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    for value in ("x" * 100_000, ["x"] * 100_000, {"kind": "x" * 100_000}):
        for key in ("predictor", "seed", "study"):
            with pytest.raises(ValueError) as caught:
                parse_study(config | {key: value})
            assert len(str(caught.value)) < 1500 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("predictor", "width"), 10**9),
        (("predictor", "depth"), 10**9),
        (("predictor", "projection"), 10**15),
        (("predictor", "modes"), [10**6, 10**6]),
        (("generator", "vae", "width"), 10**7),
        (("generator", "vae", "layers"), 10**9),
        (("generator", "diffusion", "noise_steps"), 10**12),
        (("zoo", "members"), 10**9),
        (("base", "erm", "steps"), 10**12),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_absurd_sizes_are_refused_by_their_fields(place: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    config = deepcopy(tiny_config(tmp_path))
    section = config
    for key in place[:-1]:
        section = section[key]
    section[place[-1]] = value
    with refused(".".join(place)):
        parse_study(config)


def test_sizes_that_are_absurd_together_are_refused(tmp_path: Path) -> None:
    config = deepcopy(tiny_config(tmp_path))
    config["predictor"] = {"kind": "fno", "width": 8192, "modes": [8, 8], "depth": 100}
    with refused("predictor", "weights", "expected at most"):
        parse_study(config)
    config = deepcopy(tiny_config(tmp_path))
    config["generator"]["vae"] |= {"width": 8192, "layers": 100}
    with refused("generator.vae.layers", "where the width is 8192"):
        parse_study(config)


def test_check_says_it_in_a_line(tmp_path: Path) -> None:
    """Through the command line: no traceback, and nothing heavy imported first."""
    path = tmp_path / "wide.yaml"
    config = tiny_config(tmp_path)
    config["predictor"] = {"kind": "fno", "width": 10**9}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "weightcast.cli.main", "check", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "predictor.width" in done.stderr


@pytest.mark.parametrize("further", [False, True], ids=["first", "further"])
def test_run_says_it_before_snakemake_reads_the_file(further: bool, tmp_path: Path) -> None:
    """Snakemake's own reader ends in its stack's four thousand lines."""
    trap, plain = tmp_path / "nest.yaml", tmp_path / "plain.yaml"
    trap.write_text("study: " + "[" * 20_000 + "]" * 20_000, encoding="utf-8")
    plain.write_text(yaml.safe_dump(tiny_config(tmp_path)), encoding="utf-8")
    files = [str(plain), "-n", "--configfile", str(trap)] if further else [str(trap), "-n"]
    command = [sys.executable, "-m", "weightcast.cli.main", "run", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and f"{trap}: found sections inside of each other" in done.stderr


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["-n", "zoo"], []),
        (["--configfile", "a.yaml", "b.yaml", "-n", "zoo"], ["a.yaml", "b.yaml"]),
        (["--configfile=a.yaml", "b.yaml", "--configfiles", "c.yaml"], ["a.yaml", "b.yaml", "c.yaml"]),
    ],
)
def test_files_that_snakemake_is_told_of(words: list[str], files: list[str]) -> None:
    assert further_configurations(words) == [Path(file) for file in files]
