"""Counts between two snapshots, thinned: against deaths and arrivals, whose laws are known at every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from refusals import refused
from scipy.stats import binom, chisquare, poisson
from tiny_time_study import CONFIG

from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import AnchorSettings, BridgeSettings
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.jump_laws import interval_paces

MOLECULES, DEATH = 30, 0.8
TIMES = np.array([0.0, 0.5, 1.0, 1.5, 2.5])
DRAWS = 40_000


def quantiles(law, count: int = 1000) -> np.ndarray:
    """[count, 1] with the frequencies of the law itself, as nearly as so many samples can have them."""
    return law.ppf((np.arange(count) + 0.5) / count)[:, None]


def deaths(time: float):
    """The exact law of a pure death process that begins with thirty molecules."""
    return binom(MOLECULES, np.exp(-DEATH * time))


def drawn(times, samples, jumps: str, per_interval: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Times [anchor] and draws [anchor, draw]."""
    made = Bridge(np.asarray(times), samples, True, BridgeSettings(per_interval=per_interval, jumps=jumps), 0)
    return made.times, made.draw(DRAWS, seed=1)[..., 0].numpy()


def between(times: np.ndarray, snapshots) -> list[int]:
    return [place for place, time in enumerate(times) if not np.isclose(time, snapshots).any()]


def test_deaths_have_their_own_law_between_snapshots() -> None:
    """Means to half a percent of the start, variances to 5 %: that of 40,000 draws has a standard error of 0.7 %, the
    snapshots' quantiles lack up to 2 %. The distance in total variation is half the sum of absolute differences."""
    times, found = drawn(TIMES, [quantiles(deaths(time)) for time in TIMES], "thinned")
    for place in between(times, TIMES):
        exact, values = deaths(times[place]), found[place]
        assert values.mean() == pytest.approx(exact.mean(), abs=0.15)
        assert values.var() == pytest.approx(exact.var(), rel=0.05)
        frequencies = np.bincount(values.astype(int), minlength=MOLECULES + 1) / DRAWS
        assert 0.5 * np.abs(frequencies - exact.pmf(np.arange(MOLECULES + 1))).sum() < 0.03


def test_steps_that_are_free_are_too_wide_between_laws_that_have_a_spread() -> None:
    """By a sixth halfway between the second and the third snapshot: what the setting is for."""
    times, found = drawn(TIMES, [quantiles(deaths(time)) for time in TIMES], "free")
    halfway = [place for place, time in enumerate(times) if 0.65 < time < 0.85]
    ratios = [found[place].var() / deaths(times[place]).var() for place in halfway]
    assert min(ratios) > 1.12


def test_arrivals_between_two_poisson_laws_are_a_poisson_process() -> None:
    """From 6 to 12 in the mean: halfway free steps have 10.2 for 9, thinned ones 9 to 5 %."""
    samples = [quantiles(poisson(rate)) for rate in (6.0, 12.0)]
    for jumps, low, high in (("free", 9.9, 10.6), ("thinned", 8.55, 9.45)):
        _, found = drawn([0.0, 1.0], samples, jumps, 2)
        assert low < found[1].var() < high
        assert found[1].mean() == pytest.approx(9.0, abs=0.1)


def test_from_a_point_every_step_comes_at_a_time_of_its_own() -> None:
    """As with free steps: Poisson(3) halfway to Poisson(6). Chi-square test of 40,000 draws."""
    _, found = drawn([0.0, 1.0], [np.zeros((1000, 1)), quantiles(poisson(6.0))], "thinned", 2)
    most = int(poisson.ppf(0.9995, 3.0))
    counted = np.bincount(found[1].astype(int).clip(max=most), minlength=most + 1)
    expected = np.append(poisson.pmf(np.arange(most), 3.0), poisson.sf(most - 1, 3.0)) * DRAWS
    assert chisquare(counted, expected).pvalue > 1e-3


def test_counts_stay_whole_and_between_the_ends_of_their_pairs() -> None:
    random = np.random.default_rng(5)
    samples = [random.poisson(rate, (80, 3)).astype(float) for rate in (2, 9, 0.2)]
    made = Bridge(np.arange(3.0), samples, True, BridgeSettings(jumps="thinned"), 0)
    values = made.draw(2000, seed=5)
    assert torch.equal(values, values.round()) and values.min() == 0
    assert values.max() <= max(part.max() for part in samples)
    assert torch.equal(values, made.draw(2000, seed=5))
    same = np.full((30, 2), 7.0)
    still = Bridge(np.arange(2.0), [same, same], True, BridgeSettings(jumps="thinned"), 0).draw(50, 0)
    assert torch.equal(still, torch.full((6, 50, 2), 7.0).double())


def test_paces_are_those_of_exponential_means() -> None:
    """Means of points, so that nothing is uncertain: 30 exp(-0.8 t) at uneven times, and e^(0.5 t), which grows."""
    samples = [np.array([[30 * np.exp(-0.8 * time), np.exp(0.5 * time), 3.0]] * 2) for time in TIMES]
    for length, pace in zip(np.diff(TIMES), interval_paces(TIMES, samples), strict=True):
        np.testing.assert_allclose(pace, [0.8 * length, -0.5 * length, 0.0], atol=1e-9)


def test_means_that_turn_or_hardly_move_say_no_pace() -> None:
    random = np.random.default_rng(0)
    turning = [np.full((4, 1), value) for value in (1.0, 5.0, 2.0)]
    noise = [random.normal(size=(100, 1)) for _ in range(3)]
    for samples in (turning, noise):
        assert all((pace == 0).all() for pace in interval_paces(np.arange(3.0), samples))


def test_jobs_of_free_steps_have_the_digests_that_they_had() -> None:
    """The key is left out of what jobs are told while it is as by default."""
    training = {"steps": 1, "learning_rate": 0.1}
    assert "jumps" not in BridgeSettings().model_dump()
    assert "jumps" not in AnchorSettings.model_validate({"training": training}).model_dump(mode="json")["bridge"]
    assert BridgeSettings(jumps="thinned").model_dump()["jumps"] == "thinned"


@pytest.mark.parametrize(
    ("data", "bridge", "words"),
    [
        ({"state": "real", "states": None, "source": "ornstein-uhlenbeck", "dimensions": ["x", "y"]}, {}, "a real"),
        ({}, {"growth": True}, "growth: true"),
    ],
)
def test_where_there_are_no_steps_to_thin_it_is_refused(data, bridge, words) -> None:
    anchors = CONFIG["anchors"] | {"bridge": {"jumps": "thinned"} | bridge}
    with refused("anchors.bridge.jumps: found thinned for", words):
        parse_time_study(CONFIG | {"anchors": anchors, "data": CONFIG["data"] | data})
