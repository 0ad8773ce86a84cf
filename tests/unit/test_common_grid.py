"""Fields of other resolution than the study's: brought to its grid exactly where that can be, refused otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from command_line import refused as refused_command
from command_line import run
from numpy.typing import NDArray
from refusals import refused

from weightcast.core.config.regrid_settings import RegridSettings
from weightcast.core.environment_table import read_environments
from weightcast.core.run import Run
from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.observed_frames import read_observed_frames
from weightcast.environments.config.load import load_study, parse_study
from weightcast.environments.jobs import ImportTrajectories, Plan
from weightcast.environments.stages.import_trajectories import UserFiles, import_trajectories
from weightcast.trajectories import Trajectories, read_imported
from weightcast.trajectories.common_grid import on_common_grid

FILE = Path("other.nc")
LENGTH = 3.0


def waves(y: NDArray[np.float64], x: NDArray[np.float64], highest: int = 2) -> NDArray[np.float32]:
    """Two trajectories of three frames of one channel, periodic of LENGTH, of waves up to a highest."""
    angle_y, angle_x = 2 * np.pi * y[:, None] / LENGTH, 2 * np.pi * x / LENGTH
    frames = [
        1.0 + np.sin(highest * angle_x + number) * np.cos(angle_y) + 0.5 * np.cos(highest * angle_y - number)
        for number in range(6)
    ]
    return np.stack(frames).reshape(2, 3, 1, len(y), len(x)).astype(np.float32)


def of(values: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> Trajectories:
    return Trajectories(values, ("u",), np.arange(3.0), y, x, "other", {})


def even(points: int, offset: float = 0.0) -> NDArray[np.float64]:
    """Points of a period, the first at so many steps."""
    return LENGTH * (np.arange(points) + offset) / points


def settings(y: NDArray[np.float64], x: NDArray[np.float64], periodic: bool = True) -> RegridSettings:
    return RegridSettings(y=(float(y[0]), float(y[1] - y[0])), x=(float(x[0]), float(x[1] - x[0])), periodic=periodic)


@pytest.mark.parametrize("offset", [0.0, 0.5])
@pytest.mark.parametrize(("rows", "columns"), [(6, 5), (12, 20), (6, 20), (9, 8)])
def test_waves_that_both_grids_hold_are_exact_finer_and_coarser(rows: int, columns: int, offset: float) -> None:
    """Points that begin at 0, and centres of cells that do."""
    own, wanted = (even(rows, offset), even(columns, offset)), (even(9, offset), even(8, offset))
    found = on_common_grid(FILE, of(waves(*own), *own), (9, 8), settings(*wanted))
    for name, expected in zip(("y", "x"), wanted, strict=True):
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-12)
    np.testing.assert_allclose(found.values, waves(*wanted), atol=1e-6)


def test_waves_that_a_coarser_grid_does_not_hold_leave_no_alias() -> None:
    fine, coarse = even(32), even(8)
    found = on_common_grid(FILE, of(waves(fine, fine, 7), fine, fine), (8, 8), settings(coarse, coarse))
    np.testing.assert_allclose(found.values, 1.0, atol=1e-6)
    aliased = waves(coarse, coarse, 7)
    assert np.abs(aliased - 1.0).max() > 0.5


def test_cubic_fields_of_a_bounded_region_are_exact_on_a_finer_grid_and_means_on_a_coarser_one() -> None:
    def cubic(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float32]:
        field = 1.0 + y[:, None] ** 3 - 2 * y[:, None] * x**2 + x**3
        return np.broadcast_to(field, (2, 3, 1, len(y), len(x))).astype(np.float32)

    nodes = [np.linspace(1.0, 2.0, count) for count in (7, 13)]
    coarse, fine = nodes
    found = on_common_grid(FILE, of(cubic(coarse, coarse), coarse, coarse), (13, 13), settings(fine, fine, False))
    np.testing.assert_allclose(found.values, cubic(fine, fine), rtol=1e-6)
    back = on_common_grid(FILE, of(cubic(fine, fine), fine, fine), (7, 7), settings(coarse, coarse, False))
    np.testing.assert_allclose(back.x, coarse)
    step, inner = coarse[1] - coarse[0], slice(1, -1)
    # The mean of t ** 3 over a cell of width h around t is t ** 3 + t * h ** 2 / 4, of t ** 2 h ** 2 / 12 more.
    y, x = coarse[inner, None], coarse[inner]
    expected = 1.0 + y**3 + y * step**2 / 4 - 2 * y * (x**2 + step**2 / 12) + x**3 + x * step**2 / 4
    np.testing.assert_allclose(back.values[0, 0, 0, inner, inner], expected, rtol=1e-6)
    cells = [LENGTH * (np.arange(count) + 0.5) / count for count in (6, 12)]
    centred = on_common_grid(
        FILE, of(cubic(cells[1], cells[1]), cells[1], cells[1]), (6, 6), settings(cells[0], cells[0], False)
    )
    np.testing.assert_allclose(centred.x, cells[0])


def test_a_file_on_the_studys_grid_is_left_as_it_is_and_a_missing_frame_missing() -> None:
    own, wanted = even(6), even(9)
    same = of(waves(wanted, wanted), wanted, wanted)
    assert on_common_grid(FILE, same, (9, 9), settings(wanted, wanted)) is same
    other = of(waves(own, own), own, own)
    other.values[1, 2, 0, 3, 4] = np.nan
    found = on_common_grid(FILE, other, (9, 9), settings(wanted, wanted))
    assert np.isnan(found.values[1, 2]).all() and np.isfinite(found.values[1, :2]).all()


def test_other_extents_uneven_and_too_few_points_are_refused() -> None:
    wanted = even(9)
    for periodic in (True, False):
        asked = settings(wanted, wanted, periodic)
        twice = 2 * even(6)
        with refused("other.nc", "y: found 6 points 1 apart", "extent of 9 points", "data.regrid"):
            on_common_grid(FILE, of(waves(twice, twice), twice, twice), (9, 9), asked)
    uneven = even(6) ** 2
    with refused("other.nc", "y: found points that are not evenly far apart"):
        on_common_grid(FILE, of(waves(uneven, wanted), uneven, wanted), (9, 9), settings(wanted, wanted))
    few = even(3)
    with refused("other.nc", "x: found 3 points", "4 or more"):
        on_common_grid(FILE, of(waves(wanted, few), wanted, few), (9, 9), settings(wanted, wanted))


# --- a folder of files on two grids ---

GRIDS = {"a": 8, "b": 12, "c": 8, "d": 8, "e": 12}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of five environments, two of them finer, with ten trajectories of twelve frames each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    rows = ["id,role,beta"]
    for number, (id, points) in enumerate(GRIDS.items()):
        write(tmp_path / "mine" / f"{id}.nc", points)
        rows.append(f"{id},{'interpolation' if id == 'd' else 'visible'},{number}.5")
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def write(file: Path, points: int, trajectories: int = 10) -> None:
    place = even(points)
    shift = np.arange(trajectories)[:, None] + 0.1 * np.arange(12)
    angle = 2 * np.pi * place / LENGTH
    fields = np.sin(angle[:, None] + shift[..., None, None]) + 0.5 * np.cos(2 * angle - shift[..., None, None])
    dims = ("trajectory", "time", "y", "x")
    xr.Dataset({"u": (dims, fields.astype(np.float32))}, coords={"y": place, "x": place}).to_netcdf(file)


INIT = [
    "init",
    "--kind",
    "environments",
    "--data",
    "mine",
    "--table",
    "table.csv",
    "--name",
    "two-grids",
    "-o",
    "my.yaml",
]


def test_init_brings_files_to_the_grid_that_most_are_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused_command(capsys, *INIT, words=("b.nc", "grid: found 12 x 12 points (y, x), expected 8 x 8"))
    shown, _ = run(capsys, *INIT, "--regrid")
    assert "fields of b, e are on 12 x 12 points, and brought to 8 x 8 (data.regrid)" in shown
    study = load_study("my.yaml")
    assert study.data.grid == (8, 8) and study.data.regrid is not None and study.data.regrid.periodic
    assert study.data.regrid.x == pytest.approx((0.0, LENGTH / 8))
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown and errors == ""

    plan = Plan(study, read_environments(folder / "table.csv"))
    (shard,) = [name for name, ids in plan.trajectory_shards.items() if "b" in ids]
    told = ImportTrajectories.of(plan, shard)
    run_here = Run(outputs={"output": folder / "out" / "visible.csv"})
    import_trajectories(run_here, told, [UserFiles(folder / "mine" / f"{id}.nc") for id in told.ids], [])
    (written,) = (folder / "out").rglob("*.nc")
    imported = xr.load_dataset(written)["u"]
    own = read_imported(folder / "mine" / "a.nc").values[:, :, 0]
    for id in told.ids:  # the same fields on both grids
        np.testing.assert_allclose(imported.sel(environment=id), own, atol=1e-6)
    np.testing.assert_array_equal(imported.sel(environment="a"), own)


def test_marks_of_missing_values_are_known_while_grids_are_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = xr.load_dataset(folder / "mine" / "b.nc")
    frames["u"][9, 11] = -999.0
    frames.to_netcdf(folder / "mine" / "marked.nc")
    (folder / "mine" / "marked.nc").replace(folder / "mine" / "b.nc")
    refused_command(capsys, *INIT, "--regrid", words=("b.nc", "-999"))
    run(capsys, *INIT, "--regrid", "--missing", "-999")
    assert load_study("my.yaml").data.missing == [-999.0]


def test_init_of_one_grid_has_nothing_to_bring_and_other_data_no_points(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for id in ("b", "e"):
        write(folder / "mine" / f"{id}.nc", 8)
    run(capsys, *INIT, "--regrid")
    assert load_study("my.yaml").data.regrid is None
    (folder / "arrays").mkdir()
    np.save(folder / "arrays" / "a.npy", np.zeros((4, 12, 1, 8, 8), np.float32))
    arrays = ["arrays" if word == "mine" else word for word in INIT]
    refused_command(capsys, *arrays, "--regrid", "--force", words=("--regrid: found npy files", "NetCDF"))


def test_observed_frames_of_another_grid(tmp_path: Path) -> None:
    write(tmp_path / "fine.nc", 12, trajectories=1)
    write(tmp_path / "own.nc", 8, trajectories=1)
    reading = FileReading(regrid=settings(even(8), even(8)))
    assert FileReading.from_metadata({"table": reading.metadata()}).regrid == reading.regrid
    own = read_observed_frames(tmp_path / "own.nc", ["u"], (8, 8), reading=reading)
    found = read_observed_frames(tmp_path / "fine.nc", ["u"], (8, 8), reading=reading)
    np.testing.assert_allclose(found.values, own.values, atol=1e-6)
    np.testing.assert_allclose(found.coordinates["x"].to_numpy(), even(8))
    with refused("fine.nc", "grid: found 12 x 12", "expected 8 x 8"):
        read_observed_frames(tmp_path / "fine.nc", ["u"], (8, 8))
    frames = xr.load_dataset(tmp_path / "fine.nc")
    frames["u"][0, 1, 2, 3] = np.nan
    frames.to_netcdf(tmp_path / "masked.nc")
    with refused("masked.nc", "missing values on another grid", "8 x 8"):
        read_observed_frames(tmp_path / "masked.nc", ["u"], (8, 8), masked=True, reading=reading)
    frames.isel(time=[0]).drop_vars("x").to_netcdf(tmp_path / "bare.nc")
    with refused("bare.nc", "x: found no coordinates"):
        read_observed_frames(tmp_path / "bare.nc", ["u"], (8, 8), reading=reading)


def test_a_study_of_other_data_has_nothing_to_regrid(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *INIT, "--regrid")
    plain = yaml.safe_load((folder / "my.yaml").read_text())
    for change, words in (
        ({"land": {"u": 0.0}}, "data.land"),
        ({"source": "npy", "settings": {"frame_step": 1.0}}, "'npy'"),
    ):
        changed = plain | {"data": plain["data"] | change}
        with refused("data.regrid: found it with", words):
            parse_study(changed)
