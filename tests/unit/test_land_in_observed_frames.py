"""Frames of another place where fields have land: seen with the study's number there, and never compared with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from command_line import run
from tiny_context import NORMALISATION, made_by, tiny_context, write_context_study
from tiny_study import CHANNELS, GRID, tiny_config, tiny_generator

from weightcast.core.artifacts import load_artifact
from weightcast.core.errors import InputError
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.gappy_frames import GappyFrames, read_gappy_frames
from weightcast.environments.commands.generate import _observed
from weightcast.environments.commands.known_inputs import KnownInputs, inputs_ahead, inputs_beside
from weightcast.environments.context import Context
from weightcast.environments.infer_environment import infer_environments
from weightcast.environments.missing_values import without_land
from weightcast.trajectories import write_trajectories

NUMBER = 3.5
LAND = np.zeros(GRID, bool)
LAND[0, 2:] = True
READING = FileReading(land={"u": NUMBER})


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return tiny_context(tmp_path)


@pytest.fixture
def observed(tmp_path: Path, context: Context) -> Path:
    """2 trajectories of 9 frames, of which u is land at some points."""
    write_trajectories(tmp_path / "whole.nc", made_by(context, 0.5))
    frames = xr.load_dataset(tmp_path / "whole.nc", decode_times=False)
    frames["u"] = frames["u"].where(~xr.DataArray(LAND, dims=("y", "x")))
    frames.to_netcdf(tmp_path / "observed.nc")
    return tmp_path / "observed.nc"


def read(file: Path, history: int = 1) -> GappyFrames:
    return read_gappy_frames(file, CHANNELS, GRID, {}, NORMALISATION, history=history, reading=READING)


@pytest.mark.parametrize("history", [1, 2])
def test_land_is_no_gap_and_holds_the_number(history: int, observed: Path) -> None:
    found = read(observed, history)
    assert "masked" not in found.words and found.case["observed"] == 1.0
    assert found.land is not None
    np.testing.assert_array_equal(found.land.numpy(), np.stack([LAND, np.zeros_like(LAND)]))
    for age in range(history):
        assert (found.values[:, :, 2 * age, LAND] == NUMBER).all()
    assert torch.isfinite(found.values).all()
    compared = without_land(found.values, found.land)
    assert compared[:, :, 0, LAND].isnan().all()
    assert int(compared.isnan().sum()) == LAND.sum() * compared[:, :, 0, 0, 0].numel()  # older frames are left whole


def test_gaps_are_counted_among_what_is_no_land(observed: Path) -> None:
    frames = xr.load_dataset(observed, decode_times=False)
    frames["v"][:, 1:4] = np.nan
    frames["u"][:, 1:4] = np.nan
    frames.to_netcdf(observed)
    found = read(observed)
    assert found.case["observed"] == pytest.approx(6 / 9)
    assert "33% of the values masked" in found.words
    assert (found.values[:, :, 0, LAND] == NUMBER).all() and found.values[:, 1:4, 1].isnan().all()


def test_points_between_those_of_a_coarse_file_are_no_land(observed: Path) -> None:
    frames = xr.load_dataset(observed, decode_times=False).isel(y=slice(None, None, 2), x=slice(None, None, 2))
    frames.to_netcdf(observed)
    found = read(observed)
    there = np.zeros(GRID, bool)
    there[::2, ::2] = True
    assert found.land is not None and found.case["every_pixel"] == 2 and found.case["observed"] == 1.0
    np.testing.assert_array_equal(found.land[0].numpy(), LAND & there)


def test_searches_start_from_the_number_and_compare_nothing_with_it(context: Context, observed: Path) -> None:
    found = read(observed)
    posterior = context.infer(found.values[None], found.land)
    assert posterior.likelihood is not None
    windows = posterior.likelihood.windows
    assert torch.allclose(windows.start[:, :, 0, LAND], torch.tensor((NUMBER - 3.0) / 2.0))
    assert not windows.observed[:, :, :, 0, LAND].any()
    assert windows.observed[:, :, :, 0, ~LAND].all() and windows.observed[:, :, :, 1].all()
    counted = context.infer(found.values[None])
    assert float(posterior.noise) < float(counted.noise)  # nothing keeps these predictors at the number


def test_a_context_says_nothing_of_land(
    context: Context, observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_context_study(tmp_path)
    output = tmp_path / "model.safetensors"
    without, _ = run(capsys, "generate", results, "--frames", observed, "-n", 2, "-o", output)
    assert "% of the values masked" in without  # a study that declares no land sees a gap
    config = results / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("  source: netcdf\n", f"  source: netcdf\n  land: {{u: {NUMBER}}}\n"), "utf-8")
    shown, _ = run(capsys, "generate", results, "--frames", observed, "-n", 2, "-o", output)
    assert "2 x 9 frames (trajectory, time)\n" in shown
    assert load_artifact(output).metadata["case"]["observed"] == 1.0


def test_a_search_for_parameters_leaves_land_out(context: Context) -> None:
    """Whatever stands there in the frames that forecasts of one step are compared with."""
    frames = NORMALISATION.apply(torch.from_numpy(made_by(context, 0.5, frames=2).values))[None]
    land = torch.from_numpy(np.stack([LAND, np.zeros_like(LAND)]))
    other = frames.clone()
    other[:, :, 1, 0, LAND] += 0.5
    search = partial(infer_environments, context.base.weight_map, context.base.predictor)
    found = search(other, context.codes, land=land)
    torch.testing.assert_close(found, search(frames, context.codes, land=land), rtol=0, atol=0)
    assert float(found) == pytest.approx(0.5, abs=1e-3)
    assert abs(float(search(other, context.codes)) - 0.5) > 0.01


def inputs_file(path: Path, gap: bool = False) -> Path:
    values = np.random.default_rng(0).normal(size=(1, 5, *GRID)).astype(np.float32)
    values[..., LAND] = np.nan
    if gap:
        values[0, 2, -1, -1] = np.nan
    wind = (("trajectory", "time", "y", "x"), values)
    xr.Dataset({"wind": wind, "wet": (("y", "x"), ~LAND)}, {"time": np.arange(5.0)}).to_netcdf(path)
    return path


def test_inputs_have_the_number_on_land_as_trainings_have(tmp_path: Path) -> None:
    layout, reading = InputLayout(("wind", "wet"), ahead=(0,), constant=(1,)), FileReading(land={"wind": NUMBER})
    file = inputs_file(tmp_path / "a.nc")
    known = KnownInputs.read(file, layout, reading)
    for found in (inputs_ahead([known], [1], layout, 3, GRID), inputs_beside(file, layout, (1, 5, *GRID), reading)):
        assert (found[:, :, 0, LAND] == NUMBER).all()
        np.testing.assert_array_equal(found[0, 0, 1], ~LAND)  # a mask of yes and no
    np.testing.assert_array_equal(
        inputs_ahead([known], [1], layout, 3, GRID)[..., 0, 1:, :], known.columns["wind"][:, 1:5, 1:]
    )
    with pytest.raises(InputError, match=r"a\.nc: wind: found no number at frame 0"):
        inputs_beside(file, layout, (1, 5, *GRID))
    with pytest.raises(InputError, match=r"b\.nc: wind: found no number at frame 2"):
        inputs_beside(inputs_file(tmp_path / "b.nc", gap=True), layout, (1, 5, *GRID), reading)


def test_an_arm_told_frames_is_told_the_number(observed: Path, tmp_path: Path) -> None:
    generator = tiny_generator(tiny_config(tmp_path))
    described = {"channels": list(CHANNELS), "grid": list(GRID), "table": READING.metadata()}
    known, land = _observed(generator, observed, described)
    assert known.frames is not None and (known.frames[:, :, 0, LAND] == NUMBER).all()
    assert torch.isfinite(known.frames).all() and land is not None and land[0].numpy()[LAND].all()
