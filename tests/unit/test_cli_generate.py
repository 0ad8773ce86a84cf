from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from command_line import refused, run
from tiny_conditions import describing
from tiny_study import (
    FRAME_STEP,
    random_trajectories,
    tiny_config,
    tiny_generator,
    without_parameters,
    write_bare_table,
    write_config,
    write_results,
)

from weightcast.core.artifacts import load_artifact
from weightcast.core.errors import InputError
from weightcast.environments.commands.stated_parameters import parse_environment
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.model import load_models
from weightcast.trajectories import write_trajectories


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "model.safetensors"


def test_predictors_for_known_parameters(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, errors = run(capsys, "generate", results, "--environment", "beta=1.1", "-n", 3, "--seed", 5, "-o", output)
    assert "3 predictors" in shown
    assert "beta=1.1" in shown
    assert errors == ""
    generator = Generator.load(results)
    models, artifact = load_models(output)
    assert len(models) == 3
    assert torch.equal(artifact.tensors["weights"], generator.sample_weights({"beta": 1.1}, n=3, seed=5))
    metadata = artifact.metadata
    assert metadata["environment"] == {"beta": 1.1}
    assert (metadata["channels"], metadata["grid"]) == (["u", "v"], [6, 8])
    assert (metadata["arm"], metadata["seed"], metadata["study"]) == ("conditioned", 5, "tiny")
    assert metadata["generator_digest"] == generator.metadata["digest"]
    assert metadata["frame_step"] == FRAME_STEP
    assert metadata["units"] == {"u": "m s-1", "v": "m s-1", "time": "s"}
    assert metadata["normalisation"] == generator.metadata["normalisation"]


def test_the_same_seed_gives_the_same_bytes(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        run(capsys, "generate", results, "--environment", "beta=1", "-o", tmp_path / name)
    run(capsys, "generate", results, "--environment", "beta=1", "--seed", 1, "-o", tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_without_the_studys_trajectories(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They may have been removed after the run: then nobody knows units and time step."""
    shutil.rmtree(results.parents[1] / "data")
    run(capsys, "generate", results, "--environment", "beta=1", "-o", output)
    metadata = load_artifact(output, "model").metadata
    assert metadata["channels"] == ["u", "v"]
    assert "frame_step" not in metadata


def test_another_arm(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "end-to-end" / "conditioned-0.safetensors").unlink()
    run(capsys, "generate", results, "--environment", "beta=1", "--arm", "paper", "-o", output)
    assert output.exists()


def test_environment_inferred_from_frames(
    results: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = tmp_path / "observed.nc"
    write_trajectories(frames, random_trajectories("somewhere", 1.0, trajectories=1, frames=3))
    shown, _ = run(capsys, "generate", results, "--frames", frames, "-o", output)
    assert "inferred beta=" in shown
    assert "1 x 3 frames (trajectory, time)" in shown
    metadata = load_artifact(output, "model").metadata
    assert metadata["environment"].keys() == {"beta"}
    assert metadata["inferred_from"] == "observed.nc"


def test_frames_that_are_searched_by_follow_each_other(
    results: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step that is another than the study's was a warning, and frames were taken to be a step apart."""
    frames, whole = tmp_path / "observed.nc", random_trajectories("somewhere", 1.0, trajectories=1, frames=5)
    every_other = replace(whole, values=whole.values[:, ::2], time=whole.time[::2])
    between = replace(every_other, time=0.7 * every_other.time)
    for seen, words in (
        (every_other, ("found frames more than a step apart", "follow each other")),
        (between, ("found frames 0.7 apart behind 0", "a whole multiple of the study's 0.5")),
    ):
        write_trajectories(frames, seen)
        command = "generate", results, "--frames", frames, "-o", output
        refused(capsys, *command, words=(f"{frames}: time: ", *words), output=output)


def test_one_frame_does_not_tell_the_environment(
    results: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = tmp_path / "observed.nc"
    write_trajectories(frames, random_trajectories("somewhere", 1.0, frames=1))
    refused(capsys, "generate", results, "--frames", frames, "-o", output, words=(frames, "found 1"), output=output)


@pytest.mark.parametrize("beta", ["1.6", "0.4", "1e6"])
def test_outside_the_visible_range_is_a_warning(
    beta: str, results: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, errors = run(capsys, "generate", results, "--environment", f"beta={beta}", "-o", output)
    assert errors.startswith("weightcast: warning: ")
    assert errors.count("\n") == 1
    assert f"beta={float(beta):g}" in errors
    assert "0.5..1.5" in errors
    assert output.exists()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ("gamma=1", ("parameter 'gamma'", "unknown", "beta")),
        ("beta=1,D=0.4", ("parameter 'D'", "unknown", "beta")),
        ("beta=many", ("parameter 'beta'", "'many'", "number")),
        ("beta=", ("parameter 'beta'", "''", "number")),
        ("beta=nan", ("parameter 'beta'", "'nan'", "finite")),
        ("beta=inf", ("parameter 'beta'", "'inf'", "finite")),
        ("beta=1,beta=2", ("parameter 'beta'", "twice")),
        ("beta", ("'beta'", "NAME=NUMBER")),
        ("beta=1,", ("''", "NAME=NUMBER")),
        ("=1", ("'=1'", "NAME=NUMBER")),
        ("", ("''", "NAME=NUMBER")),
    ],
)
def test_environments_that_cannot_be_used(
    environment: str, words: tuple[str, ...], results: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, "generate", results, "--environment", environment, "-o", output, words=words, output=output)


def test_missing_parameter(tmp_path: Path, results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results / "end-to-end" / "conditioned-0.safetensors"
    condition = describing(beta=(0.5, 1.5), D=(0.1, 0.2))
    new_generator(tiny_generator(tiny_config(tmp_path)).metadata | {"condition": condition}, seed=0).save(path)
    words = ("parameter 'D'", "missing", "beta, D")
    refused(capsys, "generate", results, "--environment", "beta=1", "-o", output, words=words, output=output)


def test_parameters_are_read_with_spaces_and_signs() -> None:
    assert parse_environment(" beta = -1.5e-1 , D=+2") == {"beta": -0.15, "D": 2.0}
    with pytest.raises(InputError):
        parse_environment("beta=1;D=2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", "0"], ("n", "found 0")),
        (["--arm", "none"], ("generator.arms", "'none'", "conditioned, paper")),
    ],
)
def test_arguments_that_cannot_be_used(
    arguments: list[str], words: tuple[str, ...], results: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["generate", results, "--environment", "beta=1", *arguments, "-o", output]
    refused(capsys, *command, words=words, output=output)


def test_either_parameters_or_frames(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--environment", "beta=1", "--frames", "observed.nc"]):
        with pytest.raises(SystemExit) as caught:
            run(capsys, "generate", results, *arguments, "-o", output)
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("weightcast: error: ")


def test_study_that_was_not_run(tmp_path: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", tmp_path / "none", "--environment", "beta=1", "-o", output]
    refused(capsys, *command, words=(tmp_path / "none", "no such folder"), output=output)
    (tmp_path / "none").mkdir()
    refused(capsys, *command, words=("config.yaml", "has been run"), output=output)


def test_study_whose_environments_have_no_parameters(
    results: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bare_table(results / "environments.csv")
    words = ("--environment", "found 'a=1'", "expected --frames", "environments.csv have no parameters")
    refused(capsys, "generate", results, "--environment", "a=1", "-o", output, words=words, output=output)


def test_study_without_a_generator(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(results / "config.yaml", without_parameters(tiny_config(results)))
    words = ("config.yaml", "generator.arms", "found none", "no generator")
    refused(capsys, "generate", results, "--environment", "beta=1", "-o", output, words=words, output=output)


def test_generator_that_is_missing(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results / "end-to-end" / "conditioned-0.safetensors"
    path.unlink()
    command = ["generate", results, "--environment", "beta=1", "-o", output]
    refused(capsys, *command, words=(path, "no such file"), output=output)


def test_generator_that_is_damaged(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results / "end-to-end" / "conditioned-0.safetensors"
    whole = path.read_bytes()
    command = ["generate", results, "--environment", "beta=1", "-o", output]
    path.write_bytes(whole[:-10])
    refused(capsys, *command, words=(path, "truncated or damaged"), output=output)
    for place in (20, 300, len(whole) - 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused(capsys, *command, words=(path,), output=output)


def test_artifact_of_another_kind(results: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = output.with_name("other.safetensors")
    run(capsys, "generate", results, "--environment", "beta=1", "-o", model)
    shutil.copy(model, results / "end-to-end" / "conditioned-0.safetensors")
    command = ["generate", results, "--environment", "beta=1", "-o", output]
    refused(capsys, *command, words=("kind", "'model'", "'generator'"), output=output)


def test_place_that_cannot_be_written_to(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", results, "--environment", "beta=1", "-o"]
    refused(capsys, *command, tmp_path, words=(tmp_path, "folder"))
    (tmp_path / "file").touch()
    refused(capsys, *command, tmp_path / "file" / "model.safetensors", words=(tmp_path / "file", "expected a folder"))
