"""Physics-informed surrogate labels: how experts differ in what they predict, as a few numbers an environment.

D[i, j] is the mean distance between what the experts of environments i and j predict on states of environment i. The
first principal components of its rows are the label (EnvAd-Diff, arXiv 2505.13919, first version).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.stored_tensor import Rows
from weightcast.environments.conditions import build_condition
from weightcast.environments.conditions.label import LabelCondition, label_inputs
from weightcast.environments.config.condition import ConditionSettings
from weightcast.environments.frame_features import FrameFeatures
from weightcast.environments.kernel_regression import KernelRegression, cross_validated
from weightcast.environments.predictor import StackedPredictor


@dataclass(frozen=True)
class Labels:
    """Labels of visible environments, and what tells them from frames.

    Attributes:
        environments: ids of the visible environments.
        labels: from -1 to 1 [environment, component].
        distances: D [environment, environment], in normalised units.
        condition: which tells labels from frames.
        metadata: of the artifact: shares of variance, the regression's cross-validated errors, seconds.
    """

    environments: list[str]
    labels: Tensor
    distances: Tensor
    condition: LabelCondition
    metadata: Mapping[str, Any]

    def of(self, environment: str) -> Tensor:
        """The label [component] of a visible environment."""
        return self.labels[self.environments.index(environment)]

    @property
    def seconds(self) -> float:
        """That making the labels took."""
        return float(self.metadata["seconds"])

    def save(self, path: str | Path) -> None:
        """Write as a ``labels`` artifact."""
        condition = {f"condition.{name}": tensor for name, tensor in self.condition.state_dict().items()}
        tensors = {"labels": self.labels, "distances": self.distances} | condition
        described = {"environments": self.environments, "condition": self.condition.describe()}
        save_artifact(path, "labels", tensors, dict(self.metadata) | described)

    @classmethod
    def load(cls, path: str | Path) -> Labels:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the artifact is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, "labels")
        tensors, metadata, prefix = artifact.tensors, artifact.metadata, "condition."
        with understood(artifact):
            condition = load_built(
                lambda: build_condition(metadata["condition"]),
                {name[len(prefix) :]: each for name, each in tensors.items() if name.startswith(prefix)},
            )
            assert isinstance(condition, LabelCondition)
            environments, labels, distances = metadata["environments"], tensors["labels"], tensors["distances"]
            expected = len(environments)
            if labels.shape != (expected, condition.coordinates):
                found = f"found shape {list(labels.shape)}, expected {[expected, condition.coordinates]}"
                raise InputError(f"{path}: tensors: labels: {found}")
            if distances.shape != (expected, expected):
                found = f"found shape {list(distances.shape)}, expected {[expected, expected]}"
                raise InputError(f"{path}: tensors: distances: {found}")
            made = cls(environments, labels, distances, condition, metadata)
            _ = made.seconds  # which must be there
            return made


@torch.no_grad()
def functional_distances(
    weights: Rows, states: Tensor, predictor: StackedPredictor, together: int | None = None
) -> Tensor:
    """How far experts are from each other in what they predict.

    Args:
        weights: an expert of each environment [environment, weight].
        states: normalised states of each environment [environment, state, channel, y, x].
        predictor: whose weights they are.
        together: experts that are looked at at once; all of them if None.

    Returns:
        D [i, j]: the mean over environment i's states of the root mean square difference between the predictions of
        expert i and expert j.
    """
    rows, blocks = [], torch.arange(len(weights)).split(together or len(weights))
    for own, of_environment in enumerate(states):
        parts = [
            predictor(weights[block].to(states.device), of_environment.expand(len(block), *of_environment.shape))
            for block in blocks
        ]
        predicted = torch.cat(parts)
        rows.append((predicted - predicted[own]).square().flatten(2).mean(2).sqrt().mean(1))
    return torch.stack(rows)


def principal_labels(distances: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Labels from distances.

    Args:
        distances: D [environment, environment].
        components: how many principal components, at most one less than there are environments.

    Returns:
        Labels [environment, component], each component from -1 to 1 or with its largest value at one of these, and the
        components' shares of the variance [component].
    """
    centred = distances.double() - distances.double().mean(0)
    left, sizes, right = torch.linalg.svd(centred, full_matrices=False)
    count = min(components, len(distances) - 1)
    scores = left[:, :count] * sizes[:count]
    # The sign of a component means nothing; this makes it the same whatever a library's decomposition gives.
    largest = right[:count].gather(1, right[:count].abs().argmax(1, keepdim=True))[:, 0]
    scores = scores * torch.sign(largest)
    scaled = scores / scores.abs().amax(0).clamp(min=1e-12)
    return scaled.float(), (sizes.square() / sizes.square().sum())[:count].float()


def left_out_folds(labels: Tensor, folds: int) -> list[list[int]]:
    """Environments to leave out together: every so many-th by label, and, of each component, either end.

    A regression is asked for environments beyond the visible ones as well, which random folds would not test.
    """
    order = labels[:, 0].argsort().tolist()
    folds = min(folds, len(order))
    size = max(1, len(order) // folds)
    inside = [order[first::folds] for first in range(folds)]
    ends = [each.argsort().tolist() for each in labels.T]
    return inside + [part for end in ends for part in (end[:size], end[-size:])]


def label_condition(
    frames: Tensor, features: FrameFeatures, labels: Tensor, settings: ConditionSettings, draws: Draws
) -> tuple[LabelCondition, dict[str, Any]]:
    """A regression of labels on random short observations, chosen on visible environments that are left out.

    Args:
        frames: of the visible environments in physical units [environment, trajectory, frame, channel, y, x].
        features: of observations.
        labels: [environment, component].
        settings: how many observations, folds, how observations vary.
        draws: source of the observations.

    Returns:
        The condition, and what was chosen, with the cross-validated root mean square error of each component.
    """
    of = torch.arange(len(frames)).repeat_interleave(settings.label.observations)
    parts = []
    for rows in of.split(32):
        observed = features.draw(frames, rows, draws)
        parts.append(label_inputs(features, observed))
    candidates = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    choice = cross_validated(candidates, labels[of], of, left_out_folds(labels, settings.label.folds))
    regression = KernelRegression.fitted(
        candidates[choice.inputs], labels[of], choice.kernel, choice.length, choice.ridge
    )
    return LabelCondition(features, regression, choice.inputs), vars(choice)
