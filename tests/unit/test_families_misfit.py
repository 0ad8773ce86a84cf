"""Samples that no path explains are told from those that one does."""

from __future__ import annotations

import numpy as np
import pytest
from families_kit import normal_family

from weightcast.families.config.inference import InferenceSettings
from weightcast.families.misfit import misfits, usual_misfit
from weightcast.families.public import PathFamily
from weightcast.families.snapshots import EnvironmentSnapshots

CODES = [-2.0, -1.0, 0.0, 1.0, 2.0]
RANDOM = np.random.default_rng(0)


def snapshots(code: float, scale: float = 0.5) -> EnvironmentSnapshots:
    """Samples of the normal law around a code at three times."""
    samples = tuple(code + scale * RANDOM.standard_normal((300, 1)) for _ in range(3))
    return EnvironmentSnapshots(np.array([0.0, 5.0, 10.0]), np.array([True] * 3), samples, samples, False)


@pytest.mark.parametrize(
    ("samples", "fits"),
    [
        (0.7 + 0.5 * RANDOM.standard_normal((40, 1)), True),
        (0.7 + 0.5 * RANDOM.standard_normal((2, 1)), True),
        (np.where(np.arange(40)[:, None] % 2 == 0, -2.0, 2.0), False),  # two heaps, of which no visible law knows
        (np.full((40, 1), 0.7), False),  # one point, forty times
    ],
)
def test_samples_fit_if_their_law_could_have_given_them(samples: np.ndarray, fits: bool) -> None:
    family = normal_family(0.5, CODES)
    visible = {id: snapshots(code) for id, code in zip(family.ids, CODES, strict=True)}
    shown = {5.0: samples, 10.0: samples[::-1].copy()}
    law = PathFamily(family, InferenceSettings(starts=3, steps=60, proposals=64, draws=8)).infer(shown)

    usual = usual_misfit(family, visible, list(shown))
    assert 0 <= usual.below < 0.3 and 0 <= usual.above < 0.3
    assert [one.fits for one in misfits(law, shown, usual)] == [fits, fits]


def test_what_visible_environments_miss_is_allowed() -> None:
    """Laws that are all too narrow for their own samples are no sign that other samples are of another kind."""
    family = normal_family(0.5, CODES)
    visible = {id: snapshots(code, 1.5) for id, code in zip(family.ids, CODES, strict=True)}
    shown = {5.0: 0.7 + 1.3 * RANDOM.standard_normal((40, 1))}
    law = PathFamily(family, InferenceSettings(starts=3, steps=60, proposals=64, draws=8)).infer(shown)

    (found,) = misfits(law, shown, usual_misfit(family, visible, [5.0]))
    assert found.fits
