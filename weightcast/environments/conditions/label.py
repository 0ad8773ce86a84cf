"""The condition ``label``: a few numbers that say how an environment's expert differs from the others'.

EnvAd-Diff (arXiv 2505.13919, first version): the first principal components of the distances between what the visible
environments' experts predict (:mod:`weightcast.environments.labels`). No parameter is needed for them. Of an
environment without an expert a regression tells them from a few observed frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.errors import InputError
from weightcast.environments.conditions.condition import Condition, Known
from weightcast.environments.config.condition import ConditionSettings, FramesSettings
from weightcast.environments.frame_features import FrameFeatures
from weightcast.environments.kernel_regression import KernelRegression

CANDIDATES = 65
"""Labels over the visible range, of one component, that a search starts from."""


class LabelCondition(Condition):
    """Labels, as they are: nothing is learned here with what is conditioned.

    Args:
        features: of observed frames.
        regression: features -> labels.
        inputs: which features the regression takes: ``statistics`` or ``spectra``.
    """

    def __init__(self, features: FrameFeatures, regression: KernelRegression, inputs: str) -> None:
        super().__init__()
        self.features, self.regression, self.inputs = features, regression, inputs
        self.coordinates = self.width = regression.coefficients.shape[1]

    @classmethod
    def of(
        cls, visible: Sequence[Known], logarithmic: Sequence[str] = (), settings: ConditionSettings | None = None
    ) -> LabelCondition:
        raise InputError("condition label: found none that was made of experts, expected the job label_environments")

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> LabelCondition:
        features = FrameFeatures.from_description(description["features"], FramesSettings(**description["settings"]))
        regression, inputs = KernelRegression.from_description(description["regression"]), description["inputs"]
        expected = features.explicit if inputs == "statistics" else features.layout.slots * features.implicit
        if (found := regression.support.shape[1]) != expected:
            raise InputError(f"condition.regression.features: found {found}, expected {expected}, those of {inputs}")
        return cls(features, regression, inputs)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "label",
            "settings": self.features.settings.model_dump(mode="json"),
            "features": self.features.describe(),
            "regression": self.regression.describe(),
            "inputs": self.inputs,
        }

    @torch.no_grad()
    def prepare(self, known: Sequence[Known]) -> Tensor:
        device = self.regression.support.device
        rows = []
        for one in known:
            if one.label is not None:
                rows.append(one.label.float().cpu())
            else:
                observed = self.features.prepare([one]).to(device)
                rows.append(self.regression(label_inputs(self.features, observed)[self.inputs])[0].cpu())
        return torch.stack(rows)

    def forward(self, prepared: Tensor) -> Tensor:
        return prepared

    def towards(self, other: Condition) -> nn.Module:
        raise InputError("condition label: found a base that is conditioned, expected a pooled one")

    def candidates(self) -> Tensor:
        axis = torch.linspace(-1.0, 1.0, round(CANDIDATES ** (1.0 / self.coordinates)))
        return torch.cartesian_prod(*[axis] * self.coordinates).reshape(-1, self.coordinates)

    def named(self, prepared: Tensor) -> dict[str, float]:
        return {f"label_{number}": float(value) for number, value in enumerate(prepared, 1)}

    def check(self, known: Known, source: str) -> list[str]:
        self.features.check(known, source)
        outside = self.prepare([known])[0].abs() > 1.0
        if not bool(outside.any()):
            return []
        return [f"{source}: its label lies outside of those of the visible environments: a forecast may be worse there"]


CONDITION = LabelCondition


def label_inputs(features: FrameFeatures, observed: Tensor) -> dict[str, Tensor]:
    """What a label may be told from: ``statistics`` [batch, number], and ``spectra``, the low modes of every frame.

    Args:
        features: of observed frames.
        observed: coordinates of observations [batch, trajectory * coordinate]; of the spectra the first trajectory's.
    """
    vector, sequence, lengths = features(observed)
    there = torch.arange(sequence.shape[2], device=sequence.device) < lengths[:, :1]
    inputs = {"spectra": (sequence[:, 0] * there[..., None]).flatten(1)}
    return ({"statistics": vector} if features.explicit else {}) | inputs
