"""Surrogate labels, on a zoo whose experts are known functions of a known parameter."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment
from weightcast.core.run import Run
from weightcast.environments.conditions import Known
from weightcast.environments.config.condition import ConditionSettings, FramesSettings, LabelSettings
from weightcast.environments.frame_features import FrameFeatures, pooled_frames
from weightcast.environments.jobs import CorrelateLabels
from weightcast.environments.kernel_regression import KERNELS, KernelRegression, cross_validated
from weightcast.environments.labels import (
    Labels,
    functional_distances,
    label_condition,
    left_out_folds,
    principal_labels,
)
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.correlate_labels import correlate_labels

RATES = torch.tensor([0.05, 0.3, 0.1, 0.4, 0.2, 0.15, 0.35, 0.25])


class Scaled(nn.Module):
    """x -> w x: the exact one-step map of a decay."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1, bias=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.layer(frames)


def decaying(rate: float, seed: int, trajectories: int = 3, frames: int = 12) -> torch.Tensor:
    first = torch.randn(trajectories, 1, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return first * torch.exp(-rate * torch.arange(frames))[:, None, None, None]


def distances() -> torch.Tensor:
    states = torch.randn(len(RATES), 20, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return functional_distances(torch.exp(-RATES)[:, None], states, StackedPredictor(Scaled()))


def test_distances_are_those_of_the_experts_predictions() -> None:
    found, factors = distances(), torch.exp(-RATES)
    states = torch.randn(len(RATES), 20, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    size = states.square().flatten(2).mean(2).sqrt().mean(1)
    torch.testing.assert_close(found, size[:, None] * (factors[:, None] - factors).abs())
    assert found.diagonal().eq(0).all()


def test_the_first_component_is_monotone_in_the_parameter() -> None:
    labels, shares = principal_labels(distances(), 2)
    assert labels.shape == (8, 2) and float(shares[0]) > 0.8
    ordered = labels[RATES.argsort(), 0]
    steps = ordered.diff()
    assert bool((steps > 0).all() or (steps < 0).all())
    assert labels.abs().amax(0).tolist() == pytest.approx([1.0, 1.0])
    assert len(principal_labels(distances()[:2, :2], 3)[1]) == 1


def test_labels_do_not_hang_on_the_order_of_environments() -> None:
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    labels, _ = principal_labels(distances(), 2)
    turned, _ = principal_labels(distances()[order][:, order], 2)
    torch.testing.assert_close(turned, labels[order], atol=1e-4, rtol=0)


def trained_labels() -> tuple[Labels, torch.Tensor]:
    known = [Known(frames=decaying(float(rate), seed)) for seed, rate in enumerate(RATES)]
    settings = ConditionSettings(
        frames=FramesSettings(noise=[0.0, 0.01], modes=2), label=LabelSettings(observations=8, folds=4)
    )
    features = FrameFeatures.of(known, settings.frames)
    labels, shares = principal_labels(distances(), 1)
    condition, choice = label_condition(pooled_frames(known), features, labels, settings, Draws("cpu", 0))
    metadata = {"base": "erm", "shares": shares.tolist(), "regression": choice, "seconds": 1.0}
    return Labels([f"e{row}" for row in range(8)], labels, distances(), condition, metadata), labels


def test_the_label_of_an_unseen_environment_is_told_from_a_few_frames(tmp_path: Path) -> None:
    made, labels = trained_labels()
    between = [Known(frames=decaying(rate, 50)[:1, :5]) for rate in (0.075, 0.175, 0.275, 0.375)]
    told = made.condition.prepare(between)[:, 0]
    at = {round(float(rate), 3): float(label) for rate, label in zip(RATES, labels[:, 0], strict=True)}
    for found, (low, high) in zip(told.tolist(), ((0.05, 0.1), (0.15, 0.2), (0.25, 0.3), (0.35, 0.4)), strict=True):
        assert found == pytest.approx(0.5 * (at[low] + at[high]), abs=0.2)
    # What a visible environment's experts say goes before what its frames say.
    exact = made.condition.prepare([Known(frames=between[0].frames, label=made.of("e3"))])
    assert torch.equal(exact[0], labels[3])

    made.save(tmp_path / "labels.safetensors")
    again = Labels.load(tmp_path / "labels.safetensors")
    assert torch.equal(again.condition.prepare(between), made.condition.prepare(between))
    assert again.environments == made.environments and torch.equal(again.labels, labels)


def test_labels_are_correlated_with_parameters_where_there_are_any() -> None:
    made, _ = trained_labels()
    rows = [Environment(f"e{row}", {"rate": float(rate)}, "visible") for row, rate in enumerate(RATES)]
    table = correlate_labels(Run(), CorrelateLabels(environments=tuple(rows)), [made]).frame
    assert table["parameter"].tolist() == ["rate"]
    assert abs(float(table["spearman"][0])) == pytest.approx(1.0)
    assert float(table["explained"][0]) > 0.9
    nameless = tuple(Environment(row.id, {}, row.role) for row in rows)
    table = correlate_labels(Run(), CorrelateLabels(environments=nameless), [made]).frame
    assert table["parameter"].tolist() == [""] and pd.isna(table["spearman"][0])


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_regression_interpolates_where_nothing_holds_it_back(kernel: str) -> None:
    inputs = torch.linspace(-1.0, 1.0, 9)[:, None]
    wanted = torch.cat([2.0 * inputs - 1.0, inputs.square() if kernel != "linear" else inputs], dim=1)
    regression = KernelRegression.fitted(inputs, wanted, kernel, length=0.5, ridge=1e-8)
    torch.testing.assert_close(regression(inputs), wanted, atol=1e-3, rtol=0)
    again = KernelRegression.from_description(regression.describe())
    again.load_state_dict(regression.state_dict())
    assert torch.equal(again(inputs), regression(inputs))


def test_cross_validation_prefers_what_goes_on_beyond_the_ends() -> None:
    wanted = torch.linspace(-1.0, 1.0, 12)[:, None]
    noise = torch.randn(12, 1, generator=torch.Generator().manual_seed(0))
    folds = left_out_folds(wanted, 4)
    assert sorted(environment for fold in folds[:4] for environment in fold) == list(range(12))
    assert folds[4] == [0, 1, 2] and folds[5] == [9, 10, 11]
    choice = cross_validated({"noise": noise, "line": 3.0 * wanted}, wanted, torch.arange(12), folds)
    assert choice.inputs == "line" and choice.kernel in ("linear", "both")
    assert choice.error[0] < 0.05
