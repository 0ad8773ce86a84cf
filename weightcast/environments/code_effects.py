"""What each direction of a code does to forecasts: a direction that does nothing is neither settled nor left open.

Codes may have numbers more than environments differ in. Of what such a number is, frames say nothing, and nothing
depends on it; it must not be told as something that is not known.
"""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.environments.code_posteriors import CodePosterior
from weightcast.environments.open_directions import MATTERS

STEP = 0.25
"""Of the differences that are taken, in standard deviations of the prior."""


@torch.no_grad()
def code_effects(posterior: CodePosterior) -> Tensor | None:
    """How much forecasts from the observed frames change with the code: mean products of the changes by a standard
    deviation of the prior along each pair of axes, at the most probable code, normalised units squared.

    Args:
        posterior: of some environments.

    Returns:
        [environment, dimension, dimension], in whitened codes and double precision; None where frames say nothing.
    """
    likelihood = posterior.likelihood
    if likelihood is None:
        return None
    windows, whitened = likelihood.windows, posterior.prior.whitened(posterior.best)
    of = torch.arange(len(whitened), device=whitened.device)

    def forecast(codes: Tensor) -> Tensor:
        errors = windows.residuals(likelihood.weights_of(posterior.prior.codes(codes)), of, likelihood.predictor)
        return torch.nan_to_num(errors.double(), nan=0.0, posinf=0.0, neginf=0.0)

    axes = STEP * torch.eye(whitened.shape[1], dtype=whitened.dtype, device=whitened.device)
    changes = torch.stack([(forecast(whitened + axis) - forecast(whitened - axis)) / (2 * STEP) for axis in axes], 1)
    return changes @ changes.mT / windows.counts.clamp(min=1)[:, None, None].double()


def mattering(effects: Tensor) -> Tensor:
    """Orthonormal directions that forecasts depend on [dimension, direction], the one that does most first.

    Args:
        effects: [dimension, dimension], as :func:`code_effects` gives them.
    """
    values, vectors = torch.linalg.eigh(effects)
    sizes = values.clamp(min=0.0).sqrt()
    kept = sizes >= MATTERS * sizes[-1]
    return vectors[:, kept].flip(1)
