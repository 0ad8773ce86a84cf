"""The control path: projections of the anchors and the spline through them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from tiny_flows import anchors

from weightcast.core.run import Run
from weightcast.evolution.config.flow import ControlPathSettings
from weightcast.evolution.control_path import ControlPath, encode_anchors


@pytest.mark.parametrize("kind", ["pca", "mds", "isomap", "autoencoder"])
@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.filterwarnings("error")
def test_every_projection_gives_centred_codes_of_unit_variance(kind, dimensions):
    times = np.linspace(0, 1, 9)
    weights = anchors(times).weights - anchors(times).weights.mean(0)
    chosen = ControlPathSettings(kind=kind, dimensions=dimensions, steps=60, neighbours=4)
    codes = encode_anchors(Run(), weights, chosen, seed=0)
    assert codes.shape == (9, dimensions)
    torch.testing.assert_close(codes.mean(0), torch.zeros(dimensions), atol=1e-5, rtol=0)
    torch.testing.assert_close(codes.square().mean(0), torch.ones(dimensions), atol=1e-4, rtol=0)
    assert torch.equal(encode_anchors(Run(), weights, chosen, seed=0), codes)
    # neighbours in time stay neighbours: steps along the path are shorter than jumps across it
    steps = (codes[1:] - codes[:-1]).norm(dim=1).mean()
    assert steps < 0.8 * torch.cdist(codes, codes).mean() * 9 / 8


def test_anchors_on_a_line_have_codes_in_their_order():
    weights = torch.linspace(-1, 1, 6)[:, None] * torch.randn(40, generator=torch.Generator().manual_seed(0))
    for kind in ("pca", "mds", "isomap", "autoencoder"):
        codes = encode_anchors(Run(), weights, ControlPathSettings(kind=kind, dimensions=1, steps=100), seed=0)[:, 0]
        assert torch.equal(codes.diff().sign().abs(), torch.ones(5))
        assert abs(float(codes.diff().sign().sum())) == 5


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # scikit-learn's, of equal anchors
def test_no_more_codes_than_anchors_span():
    weights = anchors().weights
    assert encode_anchors(Run(), weights[:3], ControlPathSettings(dimensions=8), 0).shape == (3, 2)
    line = torch.outer(torch.arange(5.0), weights[0])
    assert encode_anchors(Run(), line, ControlPathSettings(dimensions=3), 0).shape == (5, 1)
    assert encode_anchors(Run(), weights[[0, 0, 0]], ControlPathSettings(dimensions=2), 0).tolist() == [[0.0]] * 3


def test_the_control_path_is_the_natural_cubic_spline_through_its_codes():
    times, codes = torch.tensor([0.0, 0.1, 0.5, 1.0]), torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    path = ControlPath(times, codes)
    spline = CubicSpline(times.double(), codes.double(), bc_type="natural")
    wanted = torch.linspace(0, 1, 31)
    assert path.position(wanted).double().numpy() == pytest.approx(spline(wanted), abs=1e-4)
    assert path.velocity(wanted).double().numpy() == pytest.approx(spline(wanted, 1), abs=1e-3)
