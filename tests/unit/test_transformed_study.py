"""The tiny study with a positive channel that predictors see through a logarithm: every stage, then the commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from command_line import refused, run
from tiny_chain import Chain, observe_between, study_with_context, tiny_plan
from tiny_study import ROWS

from weightcast.core.environment_table import read_environments
from weightcast.core.errors import InputError
from weightcast.cost.environments import write_random_frames
from weightcast.environments.base import BaseNetwork
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import Plan
from weightcast.environments.model import load_models
from weightcast.environments.transform import Transform
from weightcast.environments.weights_table import WeightsFile
from weightcast.trajectories import read_trajectories, write_trajectories


def positive_chain(folder: Path) -> Chain:
    """The chain of a study whose first channel spreads over orders of magnitude."""

    def change(config: dict[str, Any]) -> None:
        config["data"]["transforms"] = {"u": "log"}
        config["base"]["condition"] = "parameters"
        config["baselines"]["in_context"] = None

    plan = tiny_plan(folder, change)
    for id, *_ in ROWS:
        found = read_trajectories(folder / f"trajectories/{id}.nc")
        values = found.values.copy()
        values[:, :, 0] = np.exp(2.0 * values[:, :, 0])
        values[:, :, 0, :2, :2] = 0.0
        write_trajectories(folder / f"trajectories/{id}.nc", replace(found, values=values))
    return Chain(plan, folder)


def test_a_study_with_a_transform_goes_the_whole_way(tmp_path: Path) -> None:
    chain = positive_chain(tmp_path)
    chain.train()
    tables = chain.finish()
    shown = tables.pop("show_rollouts")
    for name, table in tables.items():
        if "value" in table:  # relative to truths of 0 an error is infinite
            assert np.isfinite(table[table.metric != "relative_error"].value).all(), name
    for name in shown.data_vars:
        assert (name != "u") or float(shown[name].min()) >= 0.0
    base = BaseNetwork.load(tmp_path / "results/base/erm.safetensors")
    offset = base.normalisation.transforms[0]
    assert offset is not None and offset.name == "log" and 0 < offset.offset < 0.5
    assert base.normalisation.transforms[1] is None
    weights = WeightsFile.load(tmp_path / "results/weights/adapt_to_frames.safetensors")
    assert all(weights.normalisation_of(one).transforms[0] is not None for one in weights.methods)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a trained context."""
    folder = tmp_path_factory.mktemp("positive")
    chain = positive_chain(folder)
    return study_with_context(chain, folder)


@pytest.fixture
def observed(results: Path, tmp_path: Path) -> Path:
    """Five frames of an unseen environment."""
    return observe_between(results, tmp_path / "observed.nc")


def test_forecasts_and_bands_are_in_own_units_and_never_negative(
    results: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    run(capsys, "generate", results, "--frames", observed, "-n", 4, "-o", model)
    models, artifact = load_models(model)
    first = models[0].normalisation.transforms[0]
    assert isinstance(first, Transform) and artifact.metadata["normalisation"]["transforms"] == ["log", None]
    for options in ((), ("--smooth",), ("--initial-noise", "0.5")):
        output = tmp_path / f"forecast{len(options)}.nc"
        command = ("forecast", model, "--initial", observed, "--steps", 4, *options, "-o", output)
        run(capsys, *command)
        found = xr.load_dataset(output, decode_times=False)
        quantiles = found["u_quantile"] if "u_quantile" in found else found["u_quantiles"]
        assert float(found["u"].min()) >= 0.0 and float(quantiles.min()) >= 0.0
        assert bool((quantiles.diff("quantile") >= 0).all())
        assert float(found["v"].min()) < 0.0 or float(found["v"].min()) < float(found["v"].max())


def test_negative_frames_are_refused_by_the_commands(
    results: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    run(capsys, "generate", results, "--frames", observed, "-n", 2, "-o", model)
    spoilt = xr.load_dataset(observed, decode_times=False)
    spoilt["u"][0, 3, 1, 1] = -0.125
    spoilt.to_netcdf(tmp_path / "spoilt.nc")
    words = ("spoilt.nc", "channel u", "found -0.125", "expected none", "transform log")
    refused(capsys, "generate", results, "--frames", tmp_path / "spoilt.nc", "-o", tmp_path / "other.safetensors",
            words=words)  # fmt: skip
    spoilt["u"][0, 4, 1, 1] = -0.125
    spoilt.to_netcdf(tmp_path / "spoilt.nc")
    refused(capsys, "forecast", model, "--initial", tmp_path / "spoilt.nc", "--steps", 2, "-o", tmp_path / "f.nc",
            words=words)  # fmt: skip


def test_units_that_are_others_are_still_told(
    results: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = xr.load_dataset(observed, decode_times=False)
    other["u"] = 1e12 * (1.0 + other["u"])
    other.to_netcdf(tmp_path / "other.nc")
    words = ("other.nc: channel u", "standard deviations away", "units")
    refused(capsys, "generate", results, "--frames", tmp_path / "other.nc", "-o", tmp_path / "m.safetensors",
            words=words)  # fmt: skip


def test_reading_refuses_negative_numbers(results: Path) -> None:
    folder = TrajectoryFolder(results.parents[1] / "data/tiny/trajectories")
    config = parse_study(read(results)).data
    data = DataSettings.model_validate(config.model_dump(mode="json") | {"transforms": {"u": "log"}})
    assert folder.read(["low", "high"], data, "train").shape[:2] == (2, 3)
    signed = DataSettings.model_validate(config.model_dump(mode="json") | {"transforms": {"v": "sqrt"}})
    with pytest.raises(InputError, match=r"low\.nc: environment low, channel v: found -.*expected none: it has the"):
        folder.read(["low"], signed, "train")


def test_a_rehearsal_has_frames_that_a_transform_can_take(results: Path, tmp_path: Path) -> None:
    plan = Plan(parse_study(read(results)), read_environments(results / "environments.csv"))
    write_random_frames(tmp_path / "made", plan)
    found = TrajectoryFolder(tmp_path / "made").read(["low"], plan.study.data, "train")
    assert float(found[:, :, :, 0].min()) > 0.0 > float(found[:, :, :, 1].min())


def read(results: Path) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load((results / "config.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data.transforms": {"w": "log"}}, "data.transforms: found 'w', expected some of data.channels (u, v)"),
        ({"data.transforms": {"u": "cube"}}, "data.transforms.u"),
        ({"data.transforms": {"p": "log"}, "data.inputs": {"p": "past"}}, "found the input 'p', expected channels"),
        ({"context.equations": {"degree": 1}}, "context.equations: found it with data.transforms (u)"),
        ({"baselines.equations": {"degree": 1}}, "baselines.equations: found it with data.transforms (u)"),
    ],
)
def test_a_configuration_refuses_transforms_that_cannot_be(results: Path, change: dict[str, Any], words: str) -> None:
    config = read(results)
    for place, value in change.items():
        section, name = place.split(".")
        config[section][name] = value
    with pytest.raises(InputError) as caught:
        parse_study(config, "my.yaml")
    assert words in str(caught.value) and "\n" not in str(caught.value)
