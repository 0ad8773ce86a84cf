"""How much of each visible environment a new one is: weights of a barycentric interpolation, which sum to 1.

Of known parameters they are those of Delaunay's triangulation: among all weights that interpolate linear functions
exactly, they draw on the nearest environments, of which there are one more than parameters at most (V. T. Rajan,
Discrete Comput. Geom. 12 (1994) 189). Of shown samples they are those that make the samples likeliest, under the
density whose weights are as much of the visible paths.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from torch import Tensor

from weightcast.families.inference import ShownSamples, visible_log_likelihood
from weightcast.families.trained_family import TrainedFamily

Array = NDArray[np.float64]
OFF = 1e3
"""What it costs to miss a parameter, in the squared distance to the farthest environment: more than any choice of
environments can save."""
RATE = 0.2
"""Of a search for the weights' logarithms."""


def parameter_weights(visible: Array, parameters: Array) -> Array:
    """Weights by parameters.

    Outside of what the visible environments span, the parameters are missed by as little as can be, in the sum of
    absolute differences.

    Args:
        visible: scaled [environment, parameter].
        parameters: of the new environment, scaled as well [parameter].

    Returns:
        [environment], at least 0, with a sum of 1.
    """
    count, dimensions = visible.shape
    squares = np.square(visible - parameters).sum(1)
    cost = np.concatenate([squares, np.full(2 * dimensions, OFF * squares.max(initial=1e-12))])
    equal = np.zeros((dimensions + 1, count + 2 * dimensions))
    equal[:dimensions, :count] = visible.T
    equal[:dimensions, count : count + dimensions] = np.eye(dimensions)  # by how much they are missed, either way
    equal[:dimensions, count + dimensions :] = -np.eye(dimensions)
    equal[dimensions, :count] = 1.0
    found = linprog(cost, A_eq=equal, b_eq=np.append(parameters, 1.0), bounds=(0, None), method="highs-ds")
    if found.x is None:
        raise RuntimeError(f"weights by parameters: {found.message}")
    weights = found.x[:count].clip(0)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def likelihood_weights(family: TrainedFamily, shown: ShownSamples, nearest: int, steps: int) -> Tensor:
    """Weights by the likelihood of the shown samples.

    Only the likeliest visible environments have any. Searches begin where all of these have the same, and near the
    likeliest one.

    Args:
        family: trained, told codes.
        shown: of the new environments, on the family's device.
        nearest: visible environments that may have a weight.
        steps: of a search, by Adam with a rate that falls to nothing.

    Returns:
        [environment, visible], at least 0, with sums of 1.
    """
    environments, visible = len(shown.times), len(family.codes)
    with torch.no_grad():
        chosen = visible_log_likelihood(family, shown).topk(min(nearest, visible), dim=1).indices  # the likeliest first
        of_chosen = interpolated_parts(family, shown.times, chosen)
    first = torch.zeros(chosen.shape[1], device=chosen.device)
    first[0] = math.log(20)  # of four it has 87 %
    logits = torch.stack([torch.zeros_like(first), first]).expand(environments, -1, -1).clone().requires_grad_()

    def found_log_likelihood() -> Tensor:
        """[environment, search]"""
        weights = torch.einsum("esn,ntew->estw", logits.softmax(-1), of_chosen)
        values = shown.values[:, None].expand(-1, 2, -1, -1, -1)
        found = family.density.log_prob(weights.flatten(0, 2), values.flatten(0, 2))
        return found.unflatten(0, weights.shape[:3]).where(shown.there[:, None], 0.0).sum((-2, -1))

    optimiser = torch.optim.Adam([logits], lr=RATE)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.zero_grad()
        (-found_log_likelihood().sum()).backward()
        optimiser.step()
    with torch.no_grad():
        best = found_log_likelihood().argmax(1)
        own = logits.softmax(-1)[torch.arange(environments, device=best.device), best]
        return torch.zeros(environments, visible, device=own.device).scatter(1, chosen, own)


def interpolated_parts(family: TrainedFamily, times: Tensor, chosen: Tensor) -> Tensor:
    """Weights of the paths of some visible environments.

    Args:
        family: trained, told codes.
        times: [environment, time], in the data's unit.
        chosen: positions of visible environments for each [environment, number].

    Returns:
        [number, time, environment, weight].
    """
    shape = (chosen.shape[1], times.shape[1], len(times))
    each = times.T.expand(shape).reshape(-1)
    codes = family.codes[chosen.T[:, None].expand(shape)].flatten(0, 2)
    return family.weights(each, codes).unflatten(0, shape)
