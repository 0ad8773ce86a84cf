"""Kernel ridge regression that is kept as tensors, and the cross-validation that chooses its kernel."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

KERNELS = ("linear", "rbf", "both")
LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Candidates of the length of a radial kernel, relative to the median distance between the points."""
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class KernelRegression(nn.Module):
    """A fitted regression: support points and their coefficients.

    Args:
        points: support points.
        features: numbers of a point.
        outputs: numbers that are predicted.
        kernel: ``linear``, ``rbf`` or ``both``, their sum, which goes on linearly where the support ends.
        length: of the radial kernel.
    """

    support: Tensor
    coefficients: Tensor
    mean: Tensor

    def __init__(self, points: int, features: int, outputs: int, kernel: str, length: float) -> None:
        super().__init__()
        self.kernel, self.length = kernel, length
        self.register_buffer("support", torch.zeros(points, features))
        self.register_buffer("coefficients", torch.zeros(points, outputs))
        self.register_buffer("mean", torch.zeros(outputs))

    @classmethod
    def fitted(cls, inputs: Tensor, wanted: Tensor, kernel: str, length: float, ridge: float) -> KernelRegression:
        """Fit to inputs [point, feature] and what is wanted there [point, output]."""
        regression = cls(len(inputs), inputs.shape[1], wanted.shape[1], kernel, length)
        gram = kernel_values(inputs.double(), inputs.double(), kernel, length)
        mean = wanted.double().mean(0)
        coefficients = torch.linalg.solve(
            gram + ridge * torch.eye(len(gram), dtype=torch.double), wanted.double() - mean
        )
        for name, value in (("support", inputs), ("coefficients", coefficients), ("mean", mean)):
            getattr(regression, name).copy_(value)
        return regression

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> KernelRegression:
        """The inverse of :meth:`describe`; its tensors are still to be loaded."""
        return cls(**description)

    def describe(self) -> dict[str, Any]:
        """JSON values that the regression is built again from."""
        points, features = self.support.shape
        shapes = {"points": points, "features": features, "outputs": self.coefficients.shape[1]}
        return shapes | {"kernel": self.kernel, "length": self.length}

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [batch, feature] -> predictions [batch, output]."""
        return self.mean + kernel_values(inputs, self.support, self.kernel, self.length) @ self.coefficients


def kernel_values(first: Tensor, second: Tensor, kernel: str, length: float) -> Tensor:
    """Kernel between points [n, feature] and [m, feature]: [n, m]."""
    value = first.new_zeros(len(first), len(second))
    if kernel in ("linear", "both"):
        value = value + first @ second.T / first.shape[1]
    if kernel in ("rbf", "both"):
        value = value + torch.exp(-0.5 * (torch.cdist(first, second) / length).square())
    return value


@dataclass(frozen=True)
class Choice:
    """What cross-validation chose.

    Attributes:
        inputs: name of the inputs.
        kernel: of ``KERNELS``.
        length: of the radial kernel.
        ridge: of the regression.
        error: cross-validated root mean square error of each output [output].
    """

    inputs: str
    kernel: str
    length: float
    ridge: float
    error: list[float]


def cross_validated(
    candidates: Mapping[str, Tensor], wanted: Tensor, groups: Tensor, folds: Sequence[Sequence[int]]
) -> Choice:
    """The inputs, kernel and ridge that predict groups best that were left out.

    Args:
        candidates: inputs [point, feature] by name.
        wanted: [point, output].
        groups: long [point]; points of a group are left out together.
        folds: groups that are left out together.
    """
    best, lowest = None, float("inf")
    for name, inputs in candidates.items():
        inputs = inputs.double()
        distance = torch.pdist(inputs[:: max(1, len(inputs) // 512)]).median()
        for kernel, relative in itertools.product(KERNELS, LENGTHS):
            if kernel == "linear" and relative != LENGTHS[0]:
                continue
            length = max(relative * float(distance), 1e-6)
            gram = kernel_values(inputs, inputs, kernel, length)
            squares = torch.zeros(len(RIDGES), wanted.shape[1], dtype=torch.double)
            count = 0
            for fold in folds:
                out = torch.isin(groups, torch.tensor(fold))
                mean = wanted[~out].double().mean(0)
                values, vectors = torch.linalg.eigh(gram[~out][:, ~out])
                projected = vectors.T @ (wanted[~out].double() - mean)
                across = gram[out][:, ~out] @ vectors
                for index, ridge in enumerate(RIDGES):
                    predicted = mean + across @ (projected / (values.clamp(min=0) + ridge)[:, None])
                    squares[index] += (predicted - wanted[out]).square().sum(0)
                count += int(out.sum())
            for index, ridge in enumerate(RIDGES):
                error = float(squares[index].sum())
                if error < lowest:
                    lowest = error
                    best = Choice(name, kernel, length, ridge, (squares[index] / count).sqrt().tolist())
    assert best is not None
    return best
