"""Anchors: the weights of densities fitted at the snapshots, and between them where they are bridged.

How they are fitted, in four ways, is in :mod:`weightcast.evolution.stages.train_anchors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.artifacts import load_artifact, save_artifact, understood
from weightcast.core.errors import InputError
from weightcast.evolution.density import StackedDensity, described_density


@dataclass(frozen=True)
class Anchors:
    """Weights at a number of times.

    Attributes:
        times: [anchor], increasing, in the data's unit.
        weights: [anchor, parameter].
        density: whose weights they are.
        metadata: of the artifact: kind, architecture, seed, settings, seconds, metrics, digests.
    """

    times: NDArray[np.float64]
    weights: Tensor
    density: StackedDensity
    metadata: dict[str, Any]

    @property
    def scaled_times(self) -> Tensor:
        """Times [anchor] scaled such that the anchors run from 0 to 1."""
        return torch.from_numpy((self.times - self.times[0]) / (self.times[-1] - self.times[0])).float()

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        tensors = {"weights": self.weights, "times": torch.from_numpy(self.times)}
        save_artifact(path, "anchors", tensors, self.metadata | {"architecture": self.density.architecture})

    @classmethod
    def load(cls, path: str | Path) -> Anchors:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, "anchors")
        with understood(artifact):
            times, weights = artifact.tensors["times"].numpy(), artifact.tensors["weights"]
            density = described_density(artifact.metadata["architecture"], weights.shape[-1])
            if times.ndim != 1 or weights.ndim != 2 or len(times) != len(weights) or not (np.diff(times) > 0).all():
                raise InputError(f"{path}: tensors: times: expected a time for each anchor, increasing")
            return cls(times, weights, density, artifact.metadata)
