"""Points at which a field never has a value: kept beside trajectories, and left out of units, searches and scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from driven_study import driven_chain
from test_gappy_study import all_finite, told_of_frames_and_compared
from tiny_chain import Chain, tiny_plan
from tiny_study import GRID, ROWS

from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.environments.base import BaseNetwork
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrainingFrames, TrajectoryFolder
from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.evaluated_frames import compared, read_driven
from weightcast.environments.evaluation import TestSet
from weightcast.environments.forecast_metrics import forecast_metrics
from weightcast.environments.jobs import EvaluateWithoutNetwork
from weightcast.environments.map_errors import trained_residuals
from weightcast.environments.novelty import Scene
from weightcast.environments.witnesses import TENSOR
from weightcast.trajectories import Trajectories, read_trajectories, write_trajectories
from weightcast.trajectories.consecutive import cut_into_windows
from weightcast.trajectories.grouped import (
    NotAlikeError,
    TrajectoryGroup,
    TrajectoryGroups,
    contents_digest,
    write_group,
)
from weightcast.trajectories.land import with_land
from weightcast.trajectories.netcdf import read_land

NUMBER = 5.0
LAND = np.zeros(GRID, bool)
LAND[:2, 5:] = True
EVERYWHERE = {"land": {"u": NUMBER}}


def a_sea(id: str = "a", land: np.ndarray = LAND) -> Trajectories:
    """2 trajectories of 9 frames of u, which has land, and v, which has none."""
    values = np.random.default_rng(ord(id[0])).normal(10.0, 1.0, (2, 9, 2, *GRID)).astype(np.float32)
    values[:, :, 0, land] = np.nan
    coordinates = (np.arange(float(size)) for size in (9, *GRID))
    return with_land(Path(id), Trajectories(values, ("u", "v"), *coordinates, id, {}), {"u": NUMBER}, gaps=False)


def with_coasts(chain: Chain) -> Chain:
    """The same chain, whose environments are land at some points, each at others, where its number stands."""
    for number, (id, *_) in enumerate(ROWS):
        path = chain.folder / f"trajectories/{id}.nc"
        found = read_trajectories(path)
        land = np.zeros(found.values.shape[2:], bool)
        land[0] = np.roll(LAND, number, axis=0)
        values = found.values.copy()
        values[:, :, land] = NUMBER
        write_trajectories(path, replace(found, values=values, land=land))
    return chain


def test_where_land_is_stands_in_the_file(tmp_path: Path) -> None:
    sea = a_sea()
    write_trajectories(tmp_path / "a.nc", sea)
    found = read_land(tmp_path / "a.nc", ["v", "u"])
    assert found is not None
    np.testing.assert_array_equal(found, [np.zeros_like(LAND), LAND])
    assert read_land(tmp_path / "a.nc", ["v"]) is None
    with xr.open_dataset(tmp_path / "a.nc") as dataset:
        assert sorted(dataset.data_vars) == ["land_u", "u", "v"]
    assert read_trajectories(tmp_path / "a.nc").channels == ("u", "v")  # no channel
    with pytest.raises(InputError, match="channel land_u: found the name of where u is land"):
        write_trajectories(tmp_path / "b.nc", replace(sea, channels=("u", "land_u")))
    with pytest.raises(ValueError, match="land has shape"):
        replace(sea, land=LAND)
    whole = cut_into_windows(tmp_path / "a.nc", sea, 4)
    np.testing.assert_array_equal(whole.land, sea.land)


def test_where_land_is_stands_in_files_of_several(tmp_path: Path) -> None:
    seas = {"a": a_sea("a"), "b": a_sea("b", np.roll(LAND, 1, axis=0))}
    path = tmp_path / "together" / "visible-000.nc"
    write_group(path, list(seas), seas.__getitem__)
    group = TrajectoryGroup(path)
    assert group.channels == ("u", "v")
    for id, sea in seas.items():
        found = group.trajectories(id)
        np.testing.assert_array_equal(found.land, sea.land)
        assert contents_digest(found) == contents_digest(sea)
        assert (
            contents_digest(replace(sea, land=None))
            != contents_digest(sea)
            != contents_digest(replace(sea, land=np.roll(sea.land, 1, axis=1)))
        )
        np.testing.assert_array_equal(TrajectoryGroups("together").land(path, id, ["u"]), sea.land[:1])
    dry = {"a": seas["a"], "b": replace(seas["b"], land=None)}
    with pytest.raises(NotAlikeError, match="environment b is not like a"):
        write_group(tmp_path / "other.nc", list(dry), dry.__getitem__)


def test_land_as_predictors_take_frames(tmp_path: Path) -> None:
    """Of the state, of older frames, and of what is shown of inputs; and where there is none nothing is asked."""
    chain = with_coasts(driven_chain(tmp_path))
    folder, data = TrajectoryFolder(tmp_path / "trajectories"), chain.plan.study.data
    assert folder.land(["low"], data) is None
    data = data.model_copy(update=EVERYWHERE | {"history": 2})
    found = folder.land(["low", "middle"], data, inputs=True)
    assert found is not None and found.shape == (2, 1, 1, 2 * 2 + data.layout.shown, *GRID)
    np.testing.assert_array_equal(found[0, 0, 0, [0, 2]], [LAND, LAND])
    np.testing.assert_array_equal(found[1, 0, 0, 0], np.roll(LAND, 1, axis=0))
    assert not found[:, :, :, [1, 3]].any() and not found[:, :, :, 4:].any()
    path = tmp_path / "trajectories/low.nc"
    land = np.zeros((5, *GRID), bool)
    land[2] = LAND  # of the push, which is shown as it is before and after a step
    write_trajectories(path, replace(read_trajectories(path), land=land))
    found = folder.land(["low"], data, inputs=True)
    assert found is not None and [bool(one.any()) for one in found[0, 0, 0]] == [False] * 4 + [True, True, False, False]


def test_units_and_scores_are_those_of_the_sea(tmp_path: Path) -> None:
    chain = with_coasts(Chain(tiny_plan(tmp_path, lambda config: config["data"].update(EVERYWHERE)), tmp_path))
    folder, data = TrajectoryFolder(tmp_path / "trajectories"), chain.plan.study.data
    ids = ["low", "middle", "high"]
    training = TrainingFrames.read(Run(), folder, ids, data)
    assert bool(training.frames.isfinite().all())  # what is trained on is whole
    land = torch.from_numpy(np.stack([np.roll(LAND, number, axis=0) for number in range(3)]))
    seen = folder.read(ids, data, "train", data.trained_frames)
    own = torch.cat([seen[row, :, :, 0][..., ~one].flatten() for row, one in enumerate(land)]).double()
    assert training.normalisation.mean[0] == pytest.approx(float(own.mean()))
    assert training.normalisation.scale[0] == pytest.approx(float(own.std()))

    settings = EvaluateWithoutNetwork.of(chain.plan)
    test = TestSet.read(settings, folder, torch.device("cpu"))
    place = list(test.split).index("middle")
    truth, there = test.frames[place], torch.from_numpy(~np.roll(LAND, 1, axis=0))
    assert bool(truth[:, 0].isfinite().all())  # forecasts begin with whole frames
    np.testing.assert_array_equal(truth[:, 1:, 0].isfinite(), there.expand(truth[:, 1:, 0].shape))
    assert bool(truth[:, :, 1].isfinite().all())

    rows = chain.call("evaluate_without_network", {"trajectories": tmp_path / "trajectories"}).frame
    one = rows[(rows.method == "persistence") & (rows.environment == "middle") & (rows.horizon == 4)]
    seen, begun = truth[:, 1:, :, there].double(), truth[:, :1, :, there].double()
    units = seen.movedim(2, 0).flatten(1).std(1)
    v, v_begun = truth[:, 1:, 1].double(), truth[:, :1, 1].double()
    sums = ((seen[:, :4, 0] - begun[:, :, 0]) / units[0]).square().sum()
    sums = sums + ((v[:, :4] - v_begun) / v.std()).square().sum()
    count = seen[:, :4, 0].numel() + v[:, :4].numel()
    assert float(one[one.metric == "rmse"].value.iloc[0]) == pytest.approx(float((sums / count).sqrt()), rel=1e-5)
    # As published codes average: with the first frame, which has no error, of the sea alone, too.
    error = torch.cat([(seen[:, :4, 0] - begun[:, :, 0]).flatten(), (v[:, :4] - v_begun).flatten()])
    mean = float(error.square().sum()) / (error.numel() * 5 / 4)
    assert float(one[one.metric == "mse"].value.iloc[0]) == pytest.approx(mean, rel=1e-5)


def test_what_is_forecast_on_land_changes_no_score() -> None:
    true = torch.from_numpy(a_sea().values)
    land = torch.from_numpy(a_sea().land)[None, None, None]
    truth = compared(true[None], land)[0][:, 1:]
    forecast = true[:, 1:] + 0.1 * torch.randn(true[:, 1:].shape, generator=torch.Generator().manual_seed(0))
    astray = torch.where(land[0], torch.full_like(forecast, 1e6), forecast)
    broken = torch.where(land[0], torch.full_like(forecast, torch.nan), forecast)
    wanted = list(forecast_metrics(forecast, truth, [1, 8]))
    assert wanted == list(forecast_metrics(astray, truth, [1, 8])) == list(forecast_metrics(broken, truth, [1, 8]))
    assert {name for name, *_ in wanted} == {"rmse", "rmse_physical", "nmse"}  # no frame is whole: no similarity

    members = torch.stack([forecast, forecast + 0.3])
    lost = torch.stack([astray, broken])
    lost[:, :, :, :, ~LAND] = members[:, :, :, :, ~LAND]
    lost[:, :, :, 1] = members[:, :, :, 1]
    scores = [list(ensemble_metrics(each, torch.ones(2), truth, [8], noise=0.1)) for each in (members, lost)]
    assert scores[0] == scores[1] and {"crps", "spread_skill", "coverage_90"} <= {name for name, *_ in scores[0]}
    exact = torch.where(land[0], true[:, 1:], forecast)  # land is easy to forecast
    easy = {name: value for name, _, value in forecast_metrics(exact, true[:, 1:], [8])}
    assert easy["rmse_physical"] < next(value for name, _, value in wanted if name == "rmse_physical")


def test_residuals_of_searches_are_of_the_sea(tmp_path: Path) -> None:
    chain = with_coasts(Chain(tiny_plan(tmp_path, lambda config: config["data"].update(EVERYWHERE)), tmp_path))
    context = Context.load(
        chain.run("train_context", "base/context.safetensors", {"trajectories": tmp_path / "trajectories"})
    )
    assert bool(context.base.further[TENSOR].isfinite().all())  # frames are kept as predictors see them
    folder, data, ids = TrajectoryFolder(tmp_path / "trajectories"), chain.plan.study.data, ["low", "middle", "high"]
    land = folder.land(ids, data)
    assert land is not None
    frames = folder.read(ids, data, "train", 4)
    other = frames.clone()
    other[:, :, 1:] = torch.where(land, 77.0, frames[:, :, 1:])  # behind the frames that rollouts begin with
    base = context.base
    left = []
    for each in (frames, other):
        seen = base.normalisation.apply(each[:, :1])
        refine = RefineSettings(windows=1)
        left.append(trained_residuals(base.weight_map, context.codes, base.predictor, seen, refine, land=land)[-1])
    assert left[0] == left[1]
    first, second = (context.infer(each[:, :1], land) for each in (frames[:, :, :3], other[:, :, :3]))
    assert not torch.equal(context.infer(other[:, :1, :3]).modes, second.modes)
    alone = context.infer(frames[1:2, :1, :3], land[1:2])
    torch.testing.assert_close(alone.noise, first.noise[1:2], rtol=1e-3, atol=0)


def test_a_scene_begins_at_whole_frames(tmp_path: Path) -> None:
    chain = with_coasts(Chain(tiny_plan(tmp_path, lambda config: config["data"].update(EVERYWHERE)), tmp_path))
    rows = [chain.plan.table["low"]]
    driven, land = read_driven(TrajectoryFolder(tmp_path / "trajectories"), rows, chain.plan.study.data, 5, "cpu")
    assert land is not None and bool(driven.isfinite().all())
    told = SimpleNamespace(apply=lambda frames: frames)
    scene = Scene.of("low", driven[0], 4, told, land=land[0])  # type: ignore[arg-type]
    assert len(scene.starts) == 4 and bool(scene.starts.isfinite().all())
    np.testing.assert_array_equal(scene.test[:, 1:, 0].isnan(), np.broadcast_to(LAND, (1, 4, *GRID)))
    assert bool(scene.test[:, 0].isfinite().all() and scene.test[:, :, 1].isfinite().all())


def test_a_study_with_land_goes_the_whole_way(tmp_path: Path) -> None:
    chain = with_coasts(driven_chain(tmp_path, data=EVERYWHERE))
    chain.train()
    tables = chain.finish()
    shown = tables.pop("show_rollouts")
    all_finite(tables)
    assert not any("ssim" in set(table.metric) for table in tables.values() if "metric" in table)
    truth = shown["u"].sel({"method": "truth"})
    assert bool(truth.isnull().any()) and not bool(shown["v"].isnull().any())
    told_of_frames_and_compared(chain, tables)
    base = BaseNetwork.load(tmp_path / "results/base/erm.safetensors")
    assert abs(base.normalisation.mean[0]) < 0.9 * NUMBER
