"""Codes inferred from samples, where the posterior is known: normal samples around a normal code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from families_kit import normal_family, two_normal_maps
from scipy.stats import norm

from weightcast.core.errors import InputError
from weightcast.environments.code_priors import WIDE_SHARE, MixturePrior
from weightcast.families.bands import Band, ensemble_samples, mixed, mixture_log_prob
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.paths import MapKind
from weightcast.families.inference import ShownSamples, infer_codes, log_likelihood, visible_log_likelihood
from weightcast.families.inflation import Inflation, outside
from weightcast.families.path_map import PathMap
from weightcast.families.prior_choice import best_prior
from weightcast.families.public import PathFamily
from weightcast.families.stacked_maps import StackedMaps
from weightcast.families.trained_family import TrainedFamily

SCALE = 0.7
VISIBLE = [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0]
SETTINGS = InferenceSettings(starts=2, steps=120, proposals=512, draws=256)


@pytest.fixture(scope="module")
def family():
    return normal_family(SCALE, VISIBLE)


def samples(count: int, mean: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, SCALE, size=(count, 1))


def exact_posterior(family, values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the code, by the rule for normal distributions."""
    prior_mean, prior_variance = float(family.prior.mean), float(family.prior.factor) ** 2
    precision = 1 / prior_variance + len(values) / SCALE**2
    mean = (prior_mean / prior_variance + values.sum() / SCALE**2) / precision
    return float(mean), precision**-0.5


def test_mode_and_draws_are_those_of_the_exact_posterior(family):
    shown = [([1.0, 2.0], [samples(4, 1.3, 0), samples(7, 1.3, 1)]), ([3.0], [samples(3, -0.4, 2)])]
    found = infer_codes(family, ShownSamples.of(shown), SETTINGS, 0, ["a", "b"])

    for place, (_, values) in enumerate(shown):
        mean, deviation = exact_posterior(family, np.concatenate(values))
        draws = found.draws[0, place, :, 0]
        assert float(found.mode[0, place, 0]) == pytest.approx(mean, abs=2e-3)
        # Of 512 proposals, worth some 400: 0.15 deviations and 10 % are three standard errors.
        assert float(draws.mean()) == pytest.approx(mean, abs=0.15 * deviation)
        assert float(draws.std()) == pytest.approx(deviation, rel=0.1)
        assert 250 < float(found.effective[0, place]) <= 512


def test_padding_counts_for_nothing(family):
    alone = ShownSamples.of([([3.0], [samples(3, -0.4, 2)])])
    beside = ShownSamples.of([([3.0], [samples(3, -0.4, 2)]), ([1.0, 2.0], [samples(9, 0, 3), samples(2, 0, 4)])])
    codes = torch.linspace(-1, 1, 5)[:, None]

    together = log_likelihood(family, codes.expand(1, 2, -1, -1), beside)[0]
    torch.testing.assert_close(log_likelihood(family, codes[None, None], alone)[0, 0], together[0])
    draws = [
        infer_codes(family, shown, SETTINGS, 0, keys).draws[0, 0] for shown, keys in ((alone, ["a"]), (beside, "ab"))
    ]
    torch.testing.assert_close(draws[0], draws[1], atol=1e-4, rtol=1e-4)


def test_the_likelihood_is_the_normal_one(family):
    values = samples(6, 0.2, 5)
    found = log_likelihood(family, torch.tensor([[[[0.4]]]]), ShownSamples.of([([5.0], [values])]))

    expected = -0.5 * ((values - 0.4) / SCALE) ** 2 - np.log(SCALE) - 0.5 * np.log(2 * np.pi)
    assert float(found[0, 0, 0]) == pytest.approx(expected.sum(), abs=1e-3)


def test_the_nearest_visible_environment_is_the_likeliest(family):
    shown = ShownSamples.of([([1.0], [samples(50, 1.9, 6)]), ([1.0], [samples(50, -0.4, 7)])])
    assert visible_log_likelihood(family, shown).argmax(1).tolist() == [5, 2]


def test_the_mixture_of_an_ensemble_is_its_mean_density(family):
    codes = torch.tensor([[-1.0], [0.0], [2.0]])
    values = torch.linspace(-3, 3, 7, dtype=torch.double)[:, None]
    found = mixture_log_prob(family, 4.0, codes[None], values).exp()

    normal = torch.distributions.Normal(codes[:, 0].double(), SCALE)
    torch.testing.assert_close(found.double(), normal.log_prob(values).exp().mean(1), atol=1e-5, rtol=1e-4)


def test_mixed_samples_are_as_evenly_of_all_members_as_can_be():
    members = np.arange(3.0)[:, None, None, None] * np.ones((3, 2, 4, 1))  # draw, time, sample, dimension
    drawn = mixed(members, 7)

    assert drawn.shape == (2, 7, 1)
    assert sorted(np.bincount(drawn[0, :, 0].astype(int)).tolist()) == [2, 2, 3]


def test_a_band_holds_nine_tenths():
    values = np.linspace(0, 1, 1001)[:, None]
    band = Band.of(values)

    assert band.low[0] == pytest.approx(0.05) and band.median[0] == pytest.approx(0.5)
    assert band.holds(np.array([0.94])).all() and not band.holds(np.array([0.96])).any()


def test_codes_are_moved_apart_for_bands_alone(family):
    """Twice as far apart, bands on means are twice as wide; samples and likelihoods are as before."""
    moved = Inflation(2.0, 2.0).moved_apart(torch.tensor([[0.0], [1.0], [5.0]]), family.codes)
    assert moved.flatten().tolist() == [-2.0, 0.0, 8.0]
    shown = {1.0: samples(12, 1.3, 0)}
    plain = PathFamily(family, SETTINGS).infer(shown)
    wide = PathFamily(dataclasses.replace(family, inflation=Inflation(2.0, 2.0)), SETTINGS).infer(shown)
    near, far = (law.mean_band([2.0], 4000) for law in (plain, wide))
    assert (far.high - far.low).item() == pytest.approx(2 * (near.high - near.low).item(), rel=0.1)
    np.testing.assert_array_equal(plain.sample([2.0], 50), wide.sample([2.0], 50))


def test_codes_outside_are_moved_farther_apart():
    inflation = Inflation(inside=1.0, edge=3.0, near=0.5, far=1.5)
    assert inflation.factor(torch.tensor([0.0, 0.5, 1.0, 1.5, 9.0])).tolist() == [1, 1, 2, 3, 3]
    assert Inflation(1.0, 2.0, 1.0, 1.0).factor(torch.tensor(7.0)).item() == 1.5
    visible = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0])
    codes = torch.tensor([[[2.0, 0.0], [4.0, 0.0]], [[0.0, 9.0], [0.0, 11.0]]])
    torch.testing.assert_close(outside(codes, visible), torch.tensor([3.0, 2.0]), rtol=0.05, atol=0.0)
    assert Inflation.described(inflation.describe()) == inflation
    for wrong in ({"inside": 0.0}, {"far": float("nan")}):
        with pytest.raises(InputError, match="inflation: "):
            Inflation.described(inflation.describe() | wrong)


def test_environments_without_samples_are_refused():
    with pytest.raises(InputError, match="expected one or more"):
        ShownSamples.of([([], [])])
    with pytest.raises(InputError, match="expected one or more"):
        ShownSamples.of([([1.0], [np.zeros((0, 1))])])


def test_under_a_prior_of_two_clusters_draws_are_those_of_the_exact_posterior() -> None:
    """One sample of a normal law between two clusters of codes: the exact posterior has a part in each."""
    scale, places, deviation, value = 1.5, (-2.0, 2.0), 0.3, 0.6
    draws = np.random.default_rng(0)
    visible = [float(place + deviation * draws.standard_normal()) for place in places for _ in range(12)]
    family = normal_family(scale, visible)
    wide = family.prior
    means = torch.tensor(places)[:, None]
    mixture = MixturePrior.around(wide, means, torch.full((2, 1, 1), deviation**2), torch.tensor([0.5, 0.5]))
    family = dataclasses.replace(family, mixture=mixture.tensors())
    settings = InferenceSettings(starts=6, steps=150, proposals=40000, draws=10000)
    found = infer_codes(family, ShownSamples.of([([1.0], [np.array([[value]])])]), settings, 0, ["a"])
    grid = np.linspace(-12, 12, 24001)
    density = (
        WIDE_SHARE * norm.pdf(grid, float(wide.mean), float(wide.factor))
        + (1 - WIDE_SHARE) * sum(0.5 * norm.pdf(grid, place, deviation) for place in places)
    ) * norm.pdf(value, grid, scale)
    density /= density.sum()
    above = found.draws[0, 0, :, 0].numpy() > 0
    assert above.mean() == pytest.approx(density[grid > 0].sum(), abs=0.02)
    assert found.draws.mean().item() == pytest.approx(grid @ density, abs=0.08)
    assert found.mode.item() == pytest.approx(grid[density.argmax()], abs=0.02)


def test_a_mixture_is_kept_with_the_family(tmp_path: Path) -> None:
    family = normal_family(1.0, [-2.0, -1.9, 1.9, 2.0])
    mixture = MixturePrior.around(
        family.prior, torch.tensor([[-2.0], [2.0]]), torch.full((2, 1, 1), 0.01), torch.tensor([0.25, 0.75])
    )
    dataclasses.replace(family, mixture=mixture.tensors()).save(tmp_path / "family.safetensors")
    read = TrainedFamily.load(tmp_path / "family.safetensors").prior
    codes = torch.tensor([[-2.0], [0.0], [2.1]])
    assert torch.equal(read.log_density(codes), mixture.log_density(codes))


def test_another_prior_than_the_first_must_be_better_beyond_chance() -> None:
    first = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    assert best_prior({"gaussian": first, "mixture": first - 0.1}) == "mixture"
    lucky = first - np.array([0.9, -0.3, -0.3])
    assert best_prior({"gaussian": first, "mixture": lucky}) == "gaussian"
    assert best_prior({"diffusion": first, "gaussian": first + 0.1}) == "diffusion"


@pytest.fixture(scope="module")
def two_maps():
    """Two maps that disagree: the law is normal around the code, and around half of it."""
    return two_normal_maps(SCALE, VISIBLE, (1.0, 0.5))


def test_of_two_maps_each_has_its_exact_posterior(two_maps) -> None:
    """Under the second map x ~ N(z / 2, scale^2): as if its samples were 2 x, and twice as noisy."""
    values = samples(9, 1.3, 0)
    found = infer_codes(two_maps, ShownSamples.of([([1.0], [values])]), SETTINGS, 0, ["a"])

    assert found.draws.shape == (2, 1, SETTINGS.draws // 2, 1)
    prior = (float(two_maps.prior.mean), float(two_maps.prior.factor) ** 2)
    for place, factor in enumerate((1.0, 0.5)):
        precision = 1 / prior[1] + len(values) * factor**2 / SCALE**2
        mean = (prior[0] / prior[1] + factor * values.sum() / SCALE**2) / precision
        draws = found.draws[place, 0, :, 0]
        assert float(found.mode[place, 0, 0]) == pytest.approx(mean, abs=2e-3)
        # 128 even draws of 512 proposals: 0.2 deviations and 20 % are more than three standard errors.
        assert float(draws.mean()) == pytest.approx(mean, abs=0.2 * precision**-0.5)
        assert float(draws.std()) == pytest.approx(precision**-0.5, rel=0.2)


def test_the_most_probable_code_is_that_of_the_map_that_explains_the_samples_nearest_to_the_prior(two_maps) -> None:
    """Around 1.3: the code 1.3 of one map is likelier than 2.6 of the other, which makes the same law."""
    shown = ShownSamples.of([([1.0], [samples(50, 1.3, 0)])])
    for family, expected in ((two_maps, 0), (two_normal_maps(SCALE, VISIBLE, (0.5, 1.0)), 1)):
        found = infer_codes(family, shown, SETTINGS, 0, ["a"])
        assert found.best.tolist() == [expected]
        ((member, code),) = found.most_probable(family)
        assert member is family.members[expected] and float(code) == pytest.approx(1.3, abs=0.3)


def test_an_ensemble_of_two_maps_is_drawn_from_both(two_maps) -> None:
    """The same code of both maps: half of the samples are around it, half around half of it."""
    codes = torch.full((2, 1, 1), 6.0)
    drawn = mixed(ensemble_samples(two_maps, [1.0, 2.0], codes, 2000, 0), 4000)
    assert np.sum(np.abs(drawn[0, :, 0] - 6) < 1.5) == pytest.approx(2000 * 0.968 + 2000 * 0.016, abs=80)
    values = torch.linspace(0, 8, 9, dtype=torch.double)[:, None]
    expected = 0.5 * (norm.pdf(values[:, 0], 6, SCALE) + norm.pdf(values[:, 0], 3, SCALE))
    found = mixture_log_prob(two_maps, 1.0, codes, values).exp()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5, rtol=1e-4)


def test_two_maps_are_kept_with_the_family(two_maps, tmp_path: Path) -> None:
    two_maps.save(tmp_path / "family.safetensors")
    read = TrainedFamily.load(tmp_path / "family.safetensors")
    times, codes = torch.tensor([[2.0], [2.0]], dtype=torch.double), torch.tensor([[[1.5]], [[1.5]]])
    assert len(read.members) == 2 and not read.alone.further
    assert torch.equal(read.weights_of_all(times, codes), two_maps.weights_of_all(times, codes))
    torch.testing.assert_close(read.weights_of_all(times, codes)[0], read.weights(times[0], codes[0]))


@pytest.mark.parametrize("kind", ["deep", "flow"])
def test_several_maps_are_asked_as_each_by_itself(kind: MapKind) -> None:
    maps = []
    for seed in range(3):
        torch.manual_seed(seed)
        maps.append(PathMap(weights=7, condition=2, kind=kind, rank=3, width=5))
        maps[-1].begin(torch.randn(7), 0.5)
    times, codes = torch.rand(3, 4), torch.rand(3, 4, 2)
    together = StackedMaps(maps)
    for place, alone in enumerate(maps):
        torch.testing.assert_close(together(times, codes)[place], alone(times[place], codes[place]))
    assert all(
        torch.equal(one.state_dict()[name], value)
        for one, alone in zip(together.apart(), maps, strict=True)
        for name, value in alone.state_dict().items()
    )
