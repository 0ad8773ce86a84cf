from __future__ import annotations

import numpy as np
import pytest
import torch
from refusals import refused

from weightcast.environments.scaling import ParameterScaling

VISIBLE = np.array([[60.0, 10.0, 3.0], [240.0, 14.0, 3.0], [120.0, 18.0, 3.0]])  # Reynolds number, radius, constant
NAMES = ("reynolds", "radius", "fixed")


@pytest.fixture(params=[(), ("reynolds",), ("reynolds", "fixed")])
def scaling(request: pytest.FixtureRequest) -> ParameterScaling:
    return ParameterScaling.of(NAMES, VISIBLE, request.param)


def test_the_visible_range_becomes_minus_one_to_one(scaling: ParameterScaling) -> None:
    scaled = scaling.apply(VISIBLE)
    assert scaled[:, :2].min(0).values.tolist() == [-1.0, -1.0]
    assert scaled[:, :2].max(0).values.tolist() == [1.0, 1.0]
    assert scaled[:, 2].tolist() == [0.0, 0.0, 0.0]


def test_equal_ratios_of_a_logarithmic_parameter_are_equal_steps() -> None:
    scaling = ParameterScaling.of(NAMES, VISIBLE, ["reynolds"])
    doubled = np.array([[60.0, 10.0, 3.0], [120.0, 14.0, 3.0], [240.0, 18.0, 3.0], [480.0, 22.0, 3.0]])
    np.testing.assert_allclose(scaling.apply(doubled)[:, 0], [-1.0, 0.0, 1.0, 2.0], atol=1e-6)
    np.testing.assert_allclose(scaling.apply(doubled)[:, 1], [-1.0, 0.0, 1.0, 2.0], atol=1e-6)
    even = ParameterScaling.of(NAMES, VISIBLE)
    np.testing.assert_allclose(even.apply(doubled)[:, 0], [-1.0, -1 / 3, 1.0, 11 / 3], atol=1e-6)


def test_inverting_gives_the_users_units_back(scaling: ParameterScaling) -> None:
    values = np.array([[75.0, 11.0, 3.0], [500.0, 20.0, 3.0]])
    np.testing.assert_allclose(scaling.invert(scaling.apply(values)).numpy(), values, rtol=1e-6)


def test_metadata_hold_all_of_it_and_older_metadata_mean_no_logarithm(scaling: ParameterScaling) -> None:
    assert ParameterScaling.from_metadata(scaling.metadata()) == scaling
    older = {key: value for key, value in scaling.metadata().items() if key != "logarithmic"}
    assert torch.equal(
        ParameterScaling.from_metadata(older).apply(VISIBLE), ParameterScaling.of(NAMES, VISIBLE).apply(VISIBLE)
    )


def test_what_is_asked_for_must_have_a_logarithm_where_one_is_taken() -> None:
    scaling = ParameterScaling.of(NAMES, VISIBLE, ["reynolds"])
    assert scaling.check({"reynolds": 480.0, "radius": 12.0, "fixed": 3.0}, "environment") == [
        "environment: reynolds=480 lies outside the visible range 60..240"
    ]
    with refused("environment", "'reynolds'", "found 0", "above 0", "logarithm"):
        scaling.check({"reynolds": 0.0, "radius": 12.0, "fixed": 3.0}, "environment")
    with refused("environment", "'reynolds'", "missing"):
        scaling.check({"radius": 12.0, "fixed": 3.0}, "environment")


def test_no_parameters_are_no_coordinates() -> None:
    scaling = ParameterScaling.of((), np.zeros((3, 0)))
    assert scaling.apply(np.zeros((2, 0))).shape == (2, 0)
    assert scaling.invert(torch.zeros(0)).tolist() == []
    assert ParameterScaling.from_metadata(scaling.metadata()) == scaling
    with refused("environment", "'beta'", "unknown", "expected none"):
        scaling.check({"beta": 1.0}, "environment")
