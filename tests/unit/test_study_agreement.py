"""Frames that predictors go on from must be in the study's units and on its grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from refusals import refused

from weightcast.environments.commands.alike import AlikeFiles
from weightcast.environments.commands.observed_frames import ObservedFrames, read_observed_frames
from weightcast.environments.commands.study_agreement import check_agreement, check_even_steps, described_grid
from weightcast.trajectories import Trajectories
from weightcast.trajectories.unit_names import same_unit

GRID = (4, 8)
SPACING = {"y": 0.5, "x": 0.25}
STUDY: dict[str, Any] = {"grid": list(GRID), "units": {"wind": "m/s", "x": "m"}, "spacing": SPACING}


def frames(
    folder: Path,
    unit: str = "m s-1",
    factor: float = 1.0,
    every: int = 1,
    times: tuple[float, ...] = (0, 1),
    **more: Any,
) -> tuple[ObservedFrames, Path]:
    file = folder / "seen.nc"
    sides = {name: np.arange(0, size, every) * SPACING[name] for name, size in zip("yx", GRID, strict=True)}
    values = np.random.default_rng(0).normal(size=(len(times), len(sides["y"]), len(sides["x"])))
    dataset = xr.Dataset(
        {"wind": (("time", "y", "x"), values, {"units": unit})},
        {"time": list(times), "y": sides["y"], "x": ("x", factor * sides["x"], more)},
    )
    dataset.to_netcdf(file)
    return read_observed_frames(file, ["wind"], GRID, coarse=True), file


def trajectories(**units: str) -> Trajectories:
    y, x = (SPACING[name] * np.arange(size) for name, size in zip("yx", GRID, strict=True))
    values = np.random.default_rng(0).normal(size=(2, 3, 1, *GRID)).astype(np.float32)
    return Trajectories(values, ("wind",), np.arange(3.0), y, x, "e", {}, units)


def test_the_same_units_and_points_pass(tmp_path: Path) -> None:
    assert described_grid(trajectories()) == {"spacing": SPACING}
    for told in ({}, {"every": 2}, {"units": "meters"}):
        check_agreement(*frames(tmp_path, **told), STUDY)
    check_agreement(*frames(tmp_path), {"grid": list(GRID)})  # a model from before they were kept


def test_other_units_and_points_are_refused(tmp_path: Path) -> None:
    with refused("seen.nc: wind: found the unit 'km/h', expected 'm/s' as in the study's data"):
        check_agreement(*frames(tmp_path, unit="km/h"), STUDY)
    with refused("seen.nc: x: found the unit 'km', expected 'm'"):
        check_agreement(*frames(tmp_path, units="km"), STUDY)
    with refused("seen.nc: x: found points 2.5 apart, expected 0.25 as in the study's data"):
        check_agreement(*frames(tmp_path, factor=10), STUDY)
    with refused("seen.nc: x: found points 5 apart, expected 0.5 as in the study's data"):
        check_agreement(*frames(tmp_path, factor=10, every=2), STUDY)


def test_coordinates_that_only_count_are_none(tmp_path: Path) -> None:
    check_agreement(*frames(tmp_path, factor=1 / SPACING["x"]), STUDY)  # 0, 1, 2, ...
    with refused("seen.nc: x: found points 1 apart, expected 0.25"):
        check_agreement(*frames(tmp_path, factor=1 / SPACING["x"], units="m"), STUDY)  # metres, it says
    y, x = (np.arange(float(size)) for size in GRID)
    counted = Trajectories(trajectories().values, ("wind",), np.arange(3.0), y, x, "e", {})
    assert described_grid(counted) == {}


def test_uneven_steps_of_what_an_arm_sees(tmp_path: Path) -> None:
    check_even_steps(*frames(tmp_path, times=(0, 2, 4)))
    with refused("seen.nc: time: found frames 1 to 2 apart, expected one step"):
        check_even_steps(*frames(tmp_path, times=(0, 1, 3)))


def test_files_of_environments_state_the_same_space(tmp_path: Path) -> None:
    alike = AlikeFiles()
    alike.see(tmp_path / "a.nc", trajectories(x="m", wind="m/s"))
    alike.see(tmp_path / "b.nc", trajectories(x="metres", wind="m s**-1"))
    with refused("c.nc: x: found the unit 'km', expected 'm' as in an earlier file"):
        alike.see(tmp_path / "c.nc", trajectories(x="km"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("m/s", "m s-1", True),
        ("m s^-1", "m*s**-1", True),
        ("W/m2", "W m-2", True),
        ("kg/(m2 s)", "kg m-2 s-1", True),
        ("degC", "degrees_C", True),
        ("µg/m3", "ug m-3", True),
        ("", "1", True),
        ("1/s", "s-1", True),
        ("m/s", "km/h", False),
        ("mW", "MW", False),
        ("m/s", "m/s2", False),
        ("K", "degC", False),
        ("some thing (of 3)", "other thing", False),
    ],
)
def test_spellings_of_units(one: str, other: str, same: bool) -> None:
    assert same_unit(one, other) is same and same_unit(other, one) is same
