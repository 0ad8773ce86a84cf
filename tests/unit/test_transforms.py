"""Channels that predictors see through a transform: inversion, what is linear there alone, scores in own units."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.special import ndtr

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.environments.baselines.autoregression import AutoregressionFits
from weightcast.environments.baselines.next_frame import Records, roll_out
from weightcast.environments.config.baselines import AutoregressionSettings
from weightcast.environments.config.condition import FramesSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.ensemble import LEVELS, disturbed, error_at, summarise
from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.jobs.data import CutRecords, ImportTrajectories
from weightcast.environments.model import PhysicalPredictor
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.observation import ObservationLayout, draw_observations
from weightcast.environments.observe import observe
from weightcast.environments.smoothing import smoothed_starts
from weightcast.environments.transform import Transform, never_negative, transformed, untransformed
from weightcast.trajectories.checks import check_not_negative

LOG, SQRT = Transform("log", 0.5), Transform("sqrt")
BOTH = pytest.mark.parametrize("transform", [LOG, SQRT, Transform("log", 1.0)])


def point(values: object) -> Tensor:
    """Numbers [..., channel] as frames of states [..., channel, 1, 1], float64."""
    return torch.as_tensor(values, dtype=torch.float64)[..., None, None]


@BOTH
def test_a_transform_is_inverted_zeros_included(transform: Transform) -> None:
    values = torch.tensor([0.0, 1e-30, 1e-3, 0.7, 1.0, 12.0, 1e6, 1e30])
    assert transform.apply(values)[0] == 0.0 and transform.invert(torch.zeros(())) == 0.0
    torch.testing.assert_close(transform.invert(transform.apply(values)), values, rtol=2e-5, atol=0.0)
    exact = values.double()
    torch.testing.assert_close(transform.invert(transform.apply(exact)), exact, rtol=1e-13, atol=0.0)
    assert bool((transform.apply(exact).diff() > 0).all())


@BOTH
def test_an_inverse_is_never_negative_nor_no_number(transform: Transform) -> None:
    made = transform.invert(torch.tensor([-torch.inf, -1e30, -3.0, -1e-9, 1e4, 1e30, torch.inf]))
    assert not bool(made.isnan().any()) and float(made.min()) == 0.0
    assert bool(transform.invert(torch.tensor(torch.nan)).isnan())  # a gap stays one
    assert float(transform.apply(torch.tensor(-2.0))) == 0.0


def test_the_offset_of_a_logarithm_is_one_count_or_half_of_the_least() -> None:
    assert Transform.of("log", torch.tensor([0.0, 3.0, 250.0])) == Transform("log", 1.0)
    assert Transform.of("log", torch.tensor([0.0, 0.5, torch.nan, 7.25])) == Transform("log", 0.25)
    assert Transform.of("log", torch.zeros(4)) == Transform("log", 1.0)
    assert Transform.of("sqrt", torch.tensor([0.3])) == SQRT
    with pytest.raises(InputError, match=r"found -0\.25, expected none below 0 with the transform sqrt"):
        Transform.of("sqrt", torch.tensor([1.0, -0.25]))


def test_frames_go_through_the_transforms_of_their_channels() -> None:
    frames = torch.rand(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    assert transformed(frames, ()) is frames and untransformed(frames, (None, None)) is frames
    through = transformed(frames, (None, LOG))  # those behind the last are as they are
    torch.testing.assert_close(through[:, :, 1], LOG.apply(frames[:, :, 1]))
    assert torch.equal(through[:, :, [0, 2, 3]], frames[:, :, [0, 2, 3]])
    torch.testing.assert_close(untransformed(through, (None, LOG)), frames)
    assert torch.equal(transformed(frames[:, :, :1], (None, LOG)), frames[:, :, :1])  # fewer channels than transforms
    assert torch.equal(never_negative(-frames, (None, "log"))[:, :, 1], torch.zeros(2, 3, 5, 5))


def test_a_normalisation_with_transforms() -> None:
    random = torch.Generator().manual_seed(1)
    counts = torch.poisson(20 * torch.rand(50, 9, 1, 1, 1, generator=random), generator=random)
    frames = torch.cat([counts, torch.randn(50, 9, 2, 1, 1, generator=random)], dim=2)  # the last is an input
    made = Normalisation.of(frames, inputs=1, transforms=("log", None))
    plain = Normalisation.of(frames, inputs=1)
    assert made.transforms == (Transform("log", 1.0), None, None)
    assert (made.mean[1:], made.scale[1:]) == (plain.mean[1:], plain.scale[1:])
    assert (made.physical_mean, made.physical_scale) == (plain.mean, plain.scale)
    seen = made.apply(frames)
    torch.testing.assert_close(seen[:, :, 0].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:, :, 0].std(), torch.tensor(1.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.invert(seen), frames, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(made.invert(seen[:, :, :2]), frames[:, :, :2], atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(made.apply_to_inputs(frames[:, :, 2:]), plain.apply(frames)[:, :, 2:])
    assert Normalisation.from_metadata(made.metadata()) == made
    assert made.transforms_of(["cases", "wind"]) == {"cases": "log"}
    with pytest.raises(InputError, match="training frames: channel 1: found -"):
        Normalisation.of(frames, transforms=(None, "sqrt"))


def test_without_transforms_all_is_as_it_was() -> None:
    frames = torch.randn(4, 3, 2, 5, 5, generator=torch.Generator().manual_seed(2))
    made = Normalisation.of(frames, transforms=())
    assert made.metadata().keys() == {"mean", "scale"} and made == Normalisation.from_metadata(made.metadata())
    assert torch.equal(made.transformed(frames), frames)
    mean, scale = (torch.tensor(one)[:, None, None] for one in (made.mean, made.scale))
    assert torch.equal(made.apply(frames), (frames - mean) / scale)
    assert torch.equal(made.invert(frames), frames * scale + mean)


def settings(**changes: Any) -> dict[str, Any]:
    plain = {"source": "netcdf", "channels": ["u", "v"], "grid": [1, 1], "frames": 4, "trained_frames": 3}
    return plain | {"trajectories": {"train": 1, "validation": 1, "test": 1}} | changes


def test_digests_of_settings_without_transforms_do_not_know_of_them() -> None:
    assert "transforms" not in DataSettings(**settings()).model_dump(mode="json")
    assert DataSettings(**settings()).channel_transforms == ()
    data = DataSettings(**settings(transforms={"v": "log"}))
    assert data.model_dump(mode="json")["transforms"] == {"v": "log"} and data.channel_transforms == (None, "log")
    common: dict[str, Any] = {"environments": (), "channels": ["u"], "frames": 4}
    imported = {"grid": (1, 1), "trajectories": 3, "frame_step": 1.0}
    cut = {"records": {}, "calendar": [], "trajectories": (1, 1, 1)}
    for stage, own in ((ImportTrajectories, imported), (CutRecords, cut)):
        without, with_one = stage(**common, **own), stage(**common, **own, transforms={"u": "log"})
        assert "transforms" not in without.model_dump(mode="json")
        assert without.digest != with_one.digest


class Growth(nn.Module):
    """A step of one length in the units that predictors see: growth by a factor, through a logarithm."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(step, dtype=torch.float64))

    def forward(self, frames: Tensor) -> Tensor:
        return frames + self.step


RATES = (2.0, 3.0, 0.5)


def growing(rate: float, start: float = 63.0, steps: int = 6) -> Tensor:
    """x + 1 grows by a factor: frames [frame, channel, y, x] of whole numbers, but for what decays."""
    return point(((start + 1) * rate ** torch.arange(steps + 1, dtype=torch.float64) - 1)[:, None])


def test_a_network_that_sees_logarithms_follows_growth_exactly() -> None:
    training = torch.stack([growing(rate) for rate in RATES])
    normalisation = Normalisation.of(training, transforms=("log",))
    assert normalisation.transforms == (Transform("log", 1.0),)  # all are whole, 2^6 (1 / 2)^6 - 1 = 0 among them
    for rate, frames in zip(RATES, training, strict=True):
        model = PhysicalPredictor(Growth(math.log(rate) / normalisation.scale[0]), normalisation, {})
        forecast = model.rollout(frames[:1], steps=6)[0]
        torch.testing.assert_close(forecast, frames[1:], rtol=1e-12, atol=1e-10)


def test_a_regression_that_sees_logarithms_follows_growth_exactly() -> None:
    """Each place's own step is a constant there, whatever the level; in own units no constant will do."""
    training = torch.stack([torch.stack([growing(rate, start) for start in (63.0, 255.0)]) for rate in RATES])
    transforms = Normalisation.of(training, transforms=("log",)).transforms
    errors = []
    for maps in (transforms, ()):
        records = Records.of(transformed(training, maps), 1)
        fits = AutoregressionFits(records, records, AutoregressionSettings(penalties=[100.0]))  # a constant is free
        made = torch.from_numpy(roll_out(fits.own(records), records, 6))[..., None, None]
        errors.append(float(((untransformed(made, maps) + 1) / (training[:, :, 1:] + 1) - 1).abs().max()))
    assert errors[0] < 1e-6 and errors[1] > 0.1


@BOTH
def test_quantiles_go_through_a_transform_as_values_do(transform: Transform) -> None:
    """Of ensembles with errors, those of the transformed members; without errors, members themselves."""
    random = torch.Generator().manual_seed(3)
    members = (1.5 * torch.randn(7, 2, 3, 2, 1, 1, generator=random, dtype=torch.float64)).exp()
    probabilities, noise = torch.rand(7, generator=random), torch.tensor([[0.3, 0.2], [0.5, 0.1], [0.7, 0.4]])
    maps = (transform, None)
    mean, quantiles = summarise(members, probabilities, noise, transforms=maps)
    _, expected = summarise(transformed(members, maps), probabilities, noise)
    torch.testing.assert_close(quantiles, untransformed(expected, maps))
    plain_mean, plain = summarise(members, probabilities, noise)
    torch.testing.assert_close(mean, plain_mean)
    torch.testing.assert_close(quantiles[..., 1, :, :], plain[..., 1, :, :])
    assert not torch.allclose(quantiles[..., 0, :, :], plain[..., 0, :, :], rtol=0.01)
    assert float(quantiles.min()) < float("inf") and float(quantiles[..., 0, :, :].min()) >= 0.0
    without = summarise(members, probabilities, None, transforms=maps)[1]
    torch.testing.assert_close(without, summarise(members, probabilities, None)[1])


def test_quantiles_hold_what_they_say_and_lie_at_zero_where_much_would_be_below() -> None:
    """One member at 1 with a wide error of its logarithm: exact quantiles of a lognormal, less its offset, cut at 0."""
    members, noise = torch.ones(1, 1, 1, 1, 1, 1, dtype=torch.float64), torch.tensor([[2.0]])
    _, quantiles = summarise(members, torch.ones(1), noise, transforms=(LOG,))
    deviations = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64))
    expected = (1.5 * torch.exp(2.0 * deviations) - 0.5).clamp(min=0.0)
    torch.testing.assert_close(quantiles.flatten(), expected, atol=1e-9, rtol=1e-9)
    assert float(quantiles.flatten()[0]) == 0.0


def test_a_disturbed_start_is_positive_and_as_spread_as_predictors_see_it() -> None:
    normalisation = Normalisation((1.0, 0.0), (0.5, 2.0), (LOG, None), ((1.0, 0.0), (1.0, 2.0)))
    initial = point([[0.01, 5.0], [3.0, -1.0]])
    made = disturbed(initial, 4000, 0.4, normalisation, seed=0)
    assert float(made[:, :, 0].min()) >= 0.0
    seen = normalisation.apply(made)
    assert float(seen[:, 1, 0].std()) == pytest.approx(0.4, rel=0.05)
    assert float(made[:, :, 1].std(0).mean()) == pytest.approx(0.4 * 2.0, rel=0.05)
    assert torch.equal(disturbed(initial, 3, 0.0, normalisation, 0), initial.expand(3, *initial.shape))


def test_starts_are_smoothed_as_predictors_see_them() -> None:
    """Of growth known exactly, noise on logarithms averages out there: 8 frames leave a noise smaller by root 8."""
    normalisation = Normalisation((0.0,), (1.0,), (Transform("log", 1e-6),), ((0.0,), (1.0,)))
    random, count, noise = torch.Generator().manual_seed(4), 8, 0.3
    level = math.log(0.5) + math.log(1.2) * torch.arange(count, dtype=torch.float64)
    seen = level + noise * torch.randn(3000, count, generator=random, dtype=torch.float64)
    frames = point((seen - 0.0)[..., None]).exp()
    models = [PhysicalPredictor(Growth(math.log(1.2)), normalisation, {})] * 2
    lags = [float(count - 1 - place) for place in range(count)]
    error = torch.full((count, 1), 0.3, dtype=torch.float64)
    made = smoothed_starts(models, frames, lags, 0.0, error, seed=0)
    torch.testing.assert_close(made[0], frames[:, -1], rtol=1e-5, atol=0)  # without noise, as it is
    made = smoothed_starts(models * 50, frames[:500], lags, noise, torch.zeros(count, 1), seed=0).mean(0)
    off = made[:, 0, 0, 0].log() - level[-1]
    assert float(off.std()) == pytest.approx(noise / math.sqrt(count), rel=0.1)
    assert float(off.mean()) == pytest.approx(0.0, abs=0.03)


def test_an_error_is_that_of_the_transformed_channel() -> None:
    normalisation = Normalisation((0.0,), (0.5,), (LOG,), ((7.0,), (100.0,)))
    torch.testing.assert_close(error_at(torch.tensor([[0.2]]), [1.0], normalisation), torch.tensor([[0.1]]))


def of_lognormal(mean: float, deviation: float, value: Tensor) -> Tensor:
    """CRPS of a lognormal distribution (Baran and Lerch, Quarterly Journal of the Royal Meteorological Society 141
    (2015) 2289)."""
    away = (value.log() - mean) / deviation
    last = ndtr(away - deviation) + ndtr(torch.tensor(deviation / math.sqrt(2.0))) - 1.0
    return value * (2.0 * ndtr(away) - 1.0) - 2.0 * math.exp(mean + 0.5 * deviation**2) * last


@pytest.mark.parametrize("members", [1, 16])
def test_scores_are_of_the_skewed_distribution_in_own_units(members: int) -> None:
    """Equal members are one lognormal: its CRPS, its coverage, and its spread."""
    deviation, level, offset = 0.5, 3.0, 1e-3
    transform, random = Transform("log", offset), torch.Generator().manual_seed(5)
    truth = (level + deviation * torch.randn(20_000, 1, 1, 1, 1, generator=random, dtype=torch.float64)).exp()
    forecasts = torch.full((members, *truth.shape), math.exp(level), dtype=torch.float64)
    other = torch.cat([truth, truth], 2), torch.cat([forecasts, forecasts], 3)  # a channel without a transform beside
    scale = float(truth.std())
    shares, noise = torch.ones(members), torch.tensor([[deviation]])
    found = {name: value for name, _, value in ensemble_metrics(forecasts, shares, truth, [1], noise, (transform,))}
    assert found["crps"] * scale == pytest.approx(float(of_lognormal(level, deviation, truth).mean()), rel=0.01)
    assert found["coverage_90"] == pytest.approx(0.9, abs=0.01)
    assert found["coverage_50"] == pytest.approx(0.5, abs=0.015)
    spread = math.exp(level + deviation**2 / 2) * math.sqrt(math.expm1(deviation**2))
    assert found["spread_skill"] * found["rmse_mean"] * scale == pytest.approx(spread, rel=0.03)
    beside = torch.tensor([[deviation, scale]])
    both = {name: value for name, _, value in ensemble_metrics(other[1], shares, other[0], [1], beside, (transform,))}
    alone = {name: value for name, _, value in ensemble_metrics(forecasts, shares, truth, [1], scale)}
    for name in ("crps", "coverage_90"):
        assert both[name] == pytest.approx(0.5 * (found[name] + alone[name]), rel=1e-6)


def test_a_zero_is_within_an_interval_that_reaches_zero() -> None:
    truth = torch.zeros(10, 1, 1, 1, 1)
    truth[5:] = 30.0
    forecasts, noise = torch.full((4, 10, 1, 1, 1, 1), 0.2), torch.tensor([[1.0]])
    found = {name: value for name, _, value in ensemble_metrics(forecasts, torch.ones(4), truth, [1], noise, (LOG,))}
    assert found["coverage_90"] == 0.5  # P(below 0) is 0.37; 30 is far off
    broken = torch.full_like(forecasts, torch.nan)
    lost = {name: value for name, _, value in ensemble_metrics(broken, torch.ones(4), truth, [1], noise, (LOG,))}
    assert lost["crps"] == math.inf and lost["coverage_90"] == 0.0


def test_noise_of_what_is_observed_is_in_own_units_and_stops_at_zero() -> None:
    random = torch.Generator().manual_seed(6)
    frames = torch.rand(2, 1, 400, 2, 1, 1, generator=random)
    case, ids = ObservedCase(frames=400, noise=0.8), ["a", "b"]
    plain = observe(frames, case, ids, seed=0)
    made = observe(frames, case, ids, seed=0, transforms=("sqrt", None))
    assert float(plain[:, :, :, 0].min()) < 0.0 and float(made[:, :, :, 0].min()) == 0.0
    assert torch.equal(made[:, :, :, 0], plain[:, :, :, 0].clamp(min=0.0))
    assert torch.equal(made[:, :, :, 1], plain[:, :, :, 1])


def test_noise_of_drawn_observations_stops_at_zero() -> None:
    layout, settings = ObservationLayout(4, 2, (1, 1)), FramesSettings(frames=4, noise=[0.9], masked=0.0)
    pool, rows = torch.rand(2, 3, 9, 2, 1, 1, generator=torch.Generator().manual_seed(7)), torch.arange(200) % 2
    for transforms, least in (((), -0.1), ((LOG, None), 0.0)):
        drawn = draw_observations(layout, pool, rows, torch.ones(2), settings, Draws("cpu", 0), transforms=transforms)
        _, frames = layout.unpack(drawn)
        first = frames[:, :, :, 0]
        found = float(first[torch.isfinite(first)].min())
        assert found == 0.0 if least == 0.0 else found < least


def test_negative_data_are_told_with_file_environment_channel_and_value() -> None:
    values = np.zeros((2, 3, 2, 1, 1), np.float32)
    values[1, 2, 1] = -2.5
    values[0, 0, 0] = np.nan
    check_not_negative(Path("a.nc"), "north", values, ("u", "v"), {"u": "log"})
    with pytest.raises(InputError, match=r"a\.nc: environment north, channel v: found -2\.5, the least of 1 below 0"):
        check_not_negative(Path("a.nc"), "north", values, ("u", "v"), {"v": "sqrt"})


MAPS: list[tuple[str, Callable[[Tensor], Tensor]]] = [("sqrt", torch.sqrt), ("log", torch.log1p)]


@pytest.mark.parametrize(("name", "expected"), MAPS, ids=[name for name, _ in MAPS])
def test_a_transform_is_the_function_of_its_name(name: str, expected: Callable[[Tensor], Tensor]) -> None:
    counts = torch.arange(50, dtype=torch.float64)
    transform = Transform.of("log" if name == "log" else "sqrt", counts)
    torch.testing.assert_close(transform.apply(counts), expected(counts))


def test_units_that_a_mean_of_zero_does_not_tell_are_kept() -> None:
    """Of equations, whose variables are scaled without a shift."""
    made = Normalisation((0.0,), (5.0,), (), ((290.0,), (5.0,)))
    assert made == Normalisation.from_metadata(made.metadata())
    assert (made.physical_mean, made.physical_scale) == ((290.0,), (5.0,))
    assert torch.equal(made.apply(torch.full((1, 1, 1), 290.0)), torch.full((1, 1, 1), 58.0))
