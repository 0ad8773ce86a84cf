"""Regression of a zoo's latents on what is known of their environments: a baseline, and what a diffusion may start
from.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import torch
from torch import Tensor, nn

from weightcast.core.draws import Draws

RIDGES = (1e-6, 1e-3, 1e-2, 1e-1)
"""Penalties among which cross-validation chooses, relative to the mean square of a monomial that is one throughout."""


class LatentRegression(nn.Module):
    """Ridge regression on the monomials of a condition's coordinates, up to a degree.

    With a penalty it is well-defined for any number of coordinates, also for more monomials than environments.

    Args:
        coordinates: how many a condition makes of an environment.
        degree: the highest that may be chosen.
        shape: of the latents of a network: (nodes, latent).
    """

    coefficients: Tensor

    def __init__(self, coordinates: int, degree: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.places = [
            list(chosen)
            for order in range(degree + 1)
            for chosen in combinations_with_replacement(range(coordinates), order)
        ]  # which coordinates are multiplied; the constant first, then by degree
        self.register_buffer("coefficients", torch.zeros(len(self.places), *shape))

    def forward(self, prepared: Tensor) -> Tensor:
        """Coordinates [batch, coordinate] -> latents [batch, node, latent]."""
        return torch.einsum("bm,m...->b...", self.monomials(prepared), self.coefficients)

    def monomials(self, prepared: Tensor, degree: int | None = None) -> Tensor:
        """Coordinates [batch, coordinate] -> monomials [batch, monomial], up to a degree; to the highest if None."""
        places = [chosen for chosen in self.places if degree is None or len(chosen) <= degree]
        return torch.stack([prepared[:, chosen].prod(1) for chosen in places], dim=1)

    @torch.no_grad()
    def fit(self, prepared: Tensor, latents: Tensor, degrees: Sequence[int], folds: int) -> str:
        """Choose degree and penalty by cross-validation over environments, then regress on all of them.

        Args:
            prepared: coordinates of each member's environment [member, coordinate].
            latents: of the members [member, node, latent]; regression is on their mean in each environment.
            degrees: candidates, at most the highest.
            folds: of the cross-validation; at most one an environment.

        Returns:
            What was chosen, for the log.
        """
        seen, of = torch.unique(prepared.double(), dim=0, return_inverse=True)
        wanted = seen.new_zeros(len(seen), latents[0].numel()).index_add_(0, of, latents.flatten(1).double())
        wanted = wanted / torch.bincount(of, minlength=len(seen))[:, None]
        order = Draws(seen.device, "latent-regression", "folds").permutation(len(seen))
        parts = order.tensor_split(max(2, min(folds, len(seen))))

        def error(degree: int, ridge: float) -> float:
            features, missed = self.monomials(seen, degree), []
            for out in parts:
                kept = order[~torch.isin(order, out)]
                missed.append(features[out] @ _ridge_regression(features[kept], wanted[kept], ridge) - wanted[out])
            return float(torch.cat(missed).square().mean())

        choices = [(degree, ridge) for degree in sorted(degrees) for ridge in RIDGES]
        degree, ridge = min(choices, key=lambda choice: error(*choice))
        found = _ridge_regression(self.monomials(seen, degree), wanted, ridge)
        self.coefficients.zero_()
        self.coefficients[: len(found)] = found.reshape(len(found), *latents.shape[1:]).to(self.coefficients)
        return f"degree {degree}, penalty {ridge:g}"


def _ridge_regression(features: Tensor, wanted: Tensor, ridge: float) -> Tensor:
    """Coefficients [monomial, number]; the constant, which comes first, is not penalised."""
    penalty = torch.full_like(features[0], ridge * len(features))
    penalty[0] = 0.0
    return torch.linalg.solve(features.T @ features + penalty.diag(), features.T @ wanted)
