"""Codes from known parameters: a regression of the visible codes, and how far it may be off."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.environments.code_priors import CodePrior
from weightcast.families.trained_family import TrainedFamily

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Candidates of the ridge, of which leaving each visible environment out chooses."""
WIDENED = 1.25
"""What standard deviations of the regression's errors are multiplied with: they are those of visible environments."""


def prior_of_parameters(family: TrainedFamily, parameters: Tensor) -> list[CodePrior]:
    """What is known of the codes of environments whose parameters are known, before any sample is seen.

    Codes are regressed on a polynomial of second degree of the scaled parameters. The prior is normal around what the
    regression says, as wide as it is off for visible environments that it was fitted without.

    Args:
        family: trained, told codes.
        parameters: scaled [environment, parameter].

    Returns:
        for each environment its own.
    """
    inputs, wanted = _features(family.parameters.double()), family.codes.double()
    best, residuals = None, None
    for ridge in RIDGES:
        errors = _left_out_errors(inputs, wanted, ridge)
        if residuals is None or errors.square().sum() < residuals.square().sum():
            best, residuals = ridge, errors
    assert best is not None and residuals is not None
    mean = _features(parameters.double()) @ _solved(inputs, wanted, best)
    # As `CodePrior.of`, around the regression rather than the residuals' own mean.
    spread = CodePrior.of(torch.cat([residuals, -residuals]).float(), WIDENED)
    return [CodePrior(row.float(), spread.factor) for row in mean]


def _features(parameters: Tensor) -> Tensor:
    """[environment, parameter] -> 1, the parameters, and their products [environment, feature]."""
    count = parameters.shape[1]
    products = [
        parameters[:, first] * parameters[:, second] for first in range(count) for second in range(first, count)
    ]
    return torch.stack([torch.ones_like(parameters[:, 0]), *parameters.unbind(1), *products], dim=1)


def _solved(inputs: Tensor, wanted: Tensor, ridge: float) -> Tensor:
    """Coefficients [feature, output]; the constant is not held back."""
    held = ridge * torch.eye(inputs.shape[1], dtype=inputs.dtype, device=inputs.device)
    held[0, 0] = 0.0
    return torch.linalg.solve(inputs.mT @ inputs + held, inputs.mT @ wanted)


def _left_out_errors(inputs: Tensor, wanted: Tensor, ridge: float) -> Tensor:
    """What the regression is off by at each point that it is fitted without [environment, output]."""
    errors = []
    for place in range(len(inputs)):
        others = torch.arange(len(inputs)) != place
        errors.append(wanted[place] - inputs[place] @ _solved(inputs[others], wanted[others], ridge))
    return torch.stack(errors)
