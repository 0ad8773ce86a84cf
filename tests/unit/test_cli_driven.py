"""``generate`` and ``forecast`` of a study whose predictors are shown known inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from command_line import refused, run
from driven_study import driven_chain
from tiny_chain import observe_between, study_with_context

from weightcast.core.errors import InputError
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.commands.known_inputs import KnownInputs, inputs_ahead
from weightcast.environments.model import load_models
from weightcast.environments.public import Context

STEPS = 4


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a trained context."""
    folder = tmp_path_factory.mktemp("driven")
    chain = driven_chain(folder)
    return study_with_context(chain, folder)


@pytest.fixture
def observed(results: Path, tmp_path: Path) -> Path:
    """A trajectory of an unseen environment: its first five frames with their inputs."""
    return observe_between(results, tmp_path / "observed.nc")


@pytest.fixture
def ahead(results: Path, tmp_path: Path) -> Path:
    """What pushes from the fifth frame on, at the times of the file: a single series for the whole field."""
    with xr.open_dataset(results.parents[1] / "data/tiny/trajectories/between.nc", decode_times=False) as whole:
        whole["push"].isel(trajectory=0, y=0, x=0, drop=True).load().to_dataset().to_netcdf(tmp_path / "ahead.nc")
    return tmp_path / "ahead.nc"


@pytest.fixture
def model(results: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    run(capsys, "generate", results, "--frames", observed, "-n", 3, "-o", tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_forecast_is_driven_by_what_is_known(
    results: Path, model: Path, observed: Path, ahead: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("forecast", model, "--initial", observed, "--inputs", ahead, "--steps", STEPS)
    run(capsys, *command, "-o", tmp_path / "forecast.nc")
    found = xr.load_dataset(tmp_path / "forecast.nc", decode_times=False)
    seen = xr.load_dataset(observed, decode_times=False)
    with xr.open_dataset(results.parents[1] / "data/tiny/trajectories/between.nc", decode_times=False) as whole:
        push = torch.tensor(whole["push"].isel(trajectory=[0], time=slice(4, 9)).to_numpy())
    level, height = (torch.tensor(seen[name].to_numpy()[:, -1:]).expand_as(push) for name in ("level", "height"))
    inputs = torch.stack([push, level, height], dim=2)
    start = torch.tensor(np.stack([seen["u"][:, -1], seen["v"][:, -1]], axis=1))
    models, _ = load_models(model)
    assert models[0].inputs.columns == ("push", "level", "height")
    for sample, predictor in enumerate(models):
        expected = predictor.rollout(start, STEPS, inputs=inputs)
        np.testing.assert_allclose(found["u"][sample], expected[:, :, 0], rtol=1e-5, atol=1e-6)
    others = models[0].rollout(start, STEPS, inputs=inputs + 1.0)
    assert not np.allclose(found["u"][0], others[:, :, 0], atol=1e-3)


def test_the_class_for_programs_does_the_same(results: Path, model: Path, observed: Path) -> None:
    context, seen = Context.load(results), xr.load_dataset(observed, decode_times=False)
    names = ("u", "v", "push", "level", "height")
    frames = torch.tensor(np.stack([seen[name] for name in names], axis=2))
    for made, own in zip(context.predictors(frames, 3), load_models(model)[0], strict=True):
        for name, weight in made.state_dict().items():
            torch.testing.assert_close(weight, own.state_dict()[name])
    inputs = frames[:, :, 2:][:, [-1] * (STEPS + 1)]
    found = context.forecast(frames, steps=STEPS, n=2, inputs=inputs)
    assert found.members.shape == (2, 1, STEPS, 2, *frames.shape[3:])
    assert bool(torch.isfinite(found.members).all())


def test_a_forecast_without_what_it_must_know_ends_in_one_line(
    model: Path, observed: Path, ahead: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "forecast.nc"
    command = ["forecast", model, "--initial", observed, "-o", output]
    words = ("observed.nc: push: found 1 frames", f"expected {STEPS + 1}", "--inputs FILE")
    refused(capsys, *command, "--steps", STEPS, words=words, output=output)
    further = ["--inputs", ahead, "--steps", STEPS + 1]
    refused(capsys, *command, *further, words=("ahead.nc: push: found 5 frames", "expected 6"), output=output)
    refused(capsys, *command, "--inputs", ahead, "--times", "0.25", words=("whole multiples",), output=output)
    refused(capsys, *command, "--inputs", ahead, "--steps", 2, "--smooth", words=("--smooth",), output=output)
    # From a frame in the middle, the file itself knows what followed.
    run(capsys, *command, "--frame", 2, "--steps", 2)


def test_frames_without_their_inputs_are_refused(
    results: Path, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "other.safetensors"
    with xr.open_dataset(observed, decode_times=False) as whole:
        whole.load().drop_vars("level").to_netcdf(tmp_path / "without.nc")
        gappy = whole.load().copy(deep=True)
    gappy["push"][0, 3] = np.nan
    gappy.to_netcdf(tmp_path / "gappy.nc")
    command = ["generate", results, "-o", output, "--frames"]
    words = ("without.nc: found no variable level", "push, level, height")
    refused(capsys, *command, tmp_path / "without.nc", words=words, output=output)
    refused(capsys, *command, tmp_path / "gappy.nc", words=("push", "no number at frame 3"), output=output)


def test_a_number_is_known_over_a_horizon_only_where_it_says_so(tmp_path: Path) -> None:
    layout = InputLayout(("rain",), ahead=(0,))
    for name, frames in (("single", [0.0]), ("several", [0.0, 1.0])):
        data = xr.Dataset({"rain": ((), 2.0), "h": ("time", frames)}, {"time": frames})
        data.to_netcdf(tmp_path / f"{name}.nc")
    found = inputs_ahead([KnownInputs.read(tmp_path / "several.nc", layout)], [1], layout, 3, (1, 1))
    assert found.ravel().tolist() == [2.0] * 4
    with pytest.raises(InputError, match=r"rain: found 1 frames .* expected 4"):
        inputs_ahead([KnownInputs.read(tmp_path / "single.nc", layout)], [0], layout, 3, (1, 1))


def test_the_calendar_follows_from_times_that_are_dates(tmp_path: Path) -> None:
    layout = InputLayout(("rain", "hour_sin", "hour_cos"), ahead=(0,), calendar=(1, 2))
    hours = pd.date_range("2021-03-01T18:00", periods=4, freq="3h")
    rain = np.arange(4.0)
    xr.Dataset({"rain": ("time", rain)}, {"time": hours}).to_netcdf(tmp_path / "rain.nc")
    found = inputs_ahead([KnownInputs.read(tmp_path / "rain.nc", layout)], [1], layout, 2, (1, 1))
    assert found.shape == (1, 3, 3, 1, 1)
    turns = np.arctan2(found[0, :, 1, 0, 0], found[0, :, 2, 0, 0]) / (2 * np.pi) % 1
    np.testing.assert_allclose(turns[:2], [21 / 24, 0.0], atol=1e-6)
    np.testing.assert_array_equal(found[0, :, 0, 0, 0], rain[1:])
