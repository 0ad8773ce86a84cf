"""Regression of a zoo's latents on what is known of their environments: a baseline, and what a diffusion may start
from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from math import comb

import torch
from torch import Tensor, nn

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.core.stored_tensor import Rows, column_blocks

RIDGE = 1e-3
"""Penalty, relative to the mean square of a monomial that is one throughout: regression is then well-defined with any
number of coordinates. It is not chosen by the error in latents, which wants larger ones: with ten visible environments
of the default study left out, 0.1 is nearer to their latents (0.29 against 0.37, degree 2) and forecasts worse (0.32
against 0.22 between the others, 0.92 against 0.43 at the edge), for what decides how a network behaves is little."""

COPIES = 12
"""Numbers that regression takes for each of all members: in double precision, with five times their means at most."""
MOST_MONOMIALS = 100_000
"""Of a regression."""


class LatentRegression(nn.Module):
    """Ridge regression on the monomials of a condition's coordinates, up to a degree.

    With a penalty it is well-defined for any number of coordinates, also for more monomials than environments.

    Args:
        coordinates: how many a condition makes of an environment.
        degree: the highest that may be chosen.
        shape: of the latents of a network: (nodes, latent).
        ridge: penalty, relative to the mean square of a monomial that is one throughout.
    """

    coefficients: Tensor

    def __init__(self, coordinates: int, degree: int, shape: tuple[int, ...], ridge: float = RIDGE) -> None:
        super().__init__()
        self.ridge = ridge
        if comb(coordinates + max(degree, 0), coordinates) > MOST_MONOMIALS:
            found = f"degree {degree} in {coordinates} coordinates"
            raise InputError(
                f"diffusion.regression.degrees: found {found}, expected at most {MOST_MONOMIALS} monomials"
            )
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
    def fit(self, prepared: Tensor, latents: Rows, degrees: Sequence[int], folds: int, run: Run | None = None) -> str:
        """Choose the degree by cross-validation over environments, then regress on all of them.

        Args:
            prepared: coordinates of each member's environment [member, coordinate].
            latents: of the members [member, node, latent]; regression is on their mean in each environment.
            degrees: candidates, at most the highest.
            folds: of the cross-validation; at most one an environment.
            run: whose memory says how many numbers of all members are looked at at once.

        Returns:
            What was chosen, for the log.

        Raises:
            InputError: members are of fewer than two environments, of which one could be left out.
        """
        run = run or Run()
        seen, of = torch.unique(prepared.double(), dim=0, return_inverse=True)
        if len(seen) < 2:
            raise InputError(
                f"regression of latents: found experts of {len(seen)} visible environment that did not diverge, "
                "expected of 2 or more: its degree is chosen on environments that are left out"
            )
        counts = torch.bincount(of, minlength=len(seen))[:, None]
        order = Draws(seen.device, "latent-regression", "folds").permutation(len(seen))
        parts = order.tensor_split(max(2, min(folds, len(seen))))

        def means() -> Iterator[Tensor]:
            """Means of environments, in double precision [environment, number]: some numbers after the others."""
            for block in column_blocks(latents, run.together(COPIES * len(latents))):
                whole = seen.new_zeros(len(seen), block.shape[1])
                yield whole.index_add_(0, of, block.to(seen)) / counts

        def error(degree: int, wanted: Tensor) -> float:
            features, missed = self.monomials(seen, degree), []
            for out in parts:
                kept = order[~torch.isin(order, out)]
                missed.append(features[out] @ _ridge_regression(features[kept], wanted[kept], self.ridge) - wanted[out])
            return float(torch.cat(missed).square().mean())

        numbers, errors = self.coefficients[0].numel(), dict.fromkeys(sorted(degrees), 0.0)
        for wanted in means():
            for degree in errors:
                errors[degree] += wanted.shape[1] / numbers * error(degree, wanted)
        degree = min(errors, key=lambda one: errors[one])
        features, flat, first = self.monomials(seen, degree), self.coefficients.zero_().flatten(1), 0
        for wanted in means():
            last = first + wanted.shape[1]
            flat[: features.shape[1], first:last] = _ridge_regression(features, wanted, self.ridge).to(flat)
            first = last
        return f"degree {degree}"


def _ridge_regression(features: Tensor, wanted: Tensor, ridge: float) -> Tensor:
    """Coefficients [monomial, number]; the constant, which comes first, is not penalised."""
    penalty = torch.full_like(features[0], ridge * len(features))
    penalty[0] = 0.0
    return torch.linalg.solve(features.T @ features + penalty.diag(), features.T @ wanted)
