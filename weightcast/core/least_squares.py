"""Many small nonlinear least-squares problems at once: Levenberg-Marquardt with a few unknowns each.

Jacobians are taken in forward mode, one pass for an unknown, so that what lies between the unknowns and the residuals
may be as large as a network's rollout. Marquardt, SIAM J. Appl. Math. 11 (1963); the damping is scaled by the diagonal
as there, and halved or doubled and more as in Nielsen, IMM-REP-1999-05.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

FIRST_DAMPING = 1e-2
EASIER, HARDER = 0.2, 4.0
"""What the damping is multiplied with after a step that helped, and after one that did not."""
LEAST_DAMPING, MOST_DAMPING = 1e-8, 1e8
SETTLED = 1e-8
"""Share of its cost that a problem may still lose, by its linearisation, to be settled."""
TOGETHER = 300_000
"""Residuals whose derivatives are computed at once: with more of them a cache is left, and time lost."""


@dataclass(frozen=True)
class Solution:
    """Where the problems ended.

    Attributes:
        unknowns: [problem, unknown].
        cost: sum of squared residuals [problem]; infinite where they are not finite.
        normal: the Jacobian's transpose times the Jacobian, there [problem, unknown, unknown]; in double precision, in
            which its least eigenvalue survives beside its greatest.
    """

    unknowns: Tensor
    cost: Tensor
    normal: Tensor


def levenberg_marquardt(residuals: Callable[[Tensor, Tensor], Tensor], start: Tensor, iterations: int) -> Solution:
    """Minimise each problem's sum of squared residuals. Problems that are settled are left out of further steps.

    Args:
        residuals: unknowns [problem, unknown] of some problems, and which ones these are, long [problem] -> residuals
            [problem, residual]; a problem's depend on its own unknowns alone. Written in operations that have a
            forward-mode derivative.
        start: of all problems [problem, unknown], floating point, on any device.
        iterations: trial steps of a problem, at most.
    """
    unknowns, damping = start.clone(), start.new_full((len(start),), FIRST_DAMPING)
    # Of the ways to compute attention, one alone has a forward-mode derivative.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        active = torch.arange(len(start), device=start.device)
        size = residuals(unknowns[:1], active[:1]).numel()
        values, jacobian = _linearised(residuals, unknowns, active, size)
        cost = _cost(values)
        for _ in range(iterations):
            normal = jacobian[active].mT @ jacobian[active]  # [active problem, unknown, unknown]
            gradient = (jacobian[active].mT @ values[active][..., None])[..., 0]
            still = _gain(normal, gradient) > SETTLED * cost[active]
            active, normal, gradient = active[still], normal[still], gradient[still]
            if not len(active):
                break
            trial = unknowns[active] - _step(normal, gradient, damping[active])
            trial_values, trial_jacobian = _linearised(residuals, trial, active, size)
            trial_cost = _cost(trial_values)
            better = trial_cost < cost[active]  # false where the trial is not finite
            moved = active[better]
            unknowns[moved], values[moved] = trial[better], trial_values[better]
            jacobian[moved], cost[moved] = trial_jacobian[better], trial_cost[better]
            factor = torch.where(better, EASIER, HARDER).to(damping)
            damping[active] = (damping[active] * factor).clamp(LEAST_DAMPING, MOST_DAMPING)
        exact = torch.nan_to_num(jacobian).double()
        return Solution(unknowns, cost, exact.mT @ exact)


def _linearised(
    residuals: Callable[[Tensor, Tensor], Tensor], unknowns: Tensor, which: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """Residuals of these problems [problem, residual], so many of each, and their Jacobian [problem, residual,
    unknown]."""
    count = unknowns.shape[1]
    directions = torch.eye(count, dtype=unknowns.dtype, device=unknowns.device)[:, None].expand(-1, len(unknowns), -1)

    def along(direction: Tensor) -> tuple[Tensor, Tensor]:
        values, column, *_ = jvp(lambda trial: residuals(trial, which), (unknowns,), (direction,))
        return values, column

    # What does not depend on the direction, the rollout itself, is computed once for several of them.
    together = max(1, min(count, TOGETHER // max(1, size * len(unknowns))))
    values, columns = vmap(along, out_dims=(0, 2), chunk_size=together)(directions.contiguous())
    return values[0], columns


def _cost(values: Tensor) -> Tensor:
    return torch.nan_to_num(values.square().sum(1), nan=torch.inf, posinf=torch.inf)


def _gain(normal: Tensor, gradient: Tensor) -> Tensor:
    """What each problem's cost may lose at most, by its linearisation [problem]."""
    step = _step(normal, gradient, gradient.new_full((len(gradient),), LEAST_DAMPING))
    return (step * gradient).sum(1)


def _step(normal: Tensor, gradient: Tensor, damping: Tensor) -> Tensor:
    """The damped step [problem, unknown]; zero where the problem's derivatives are not finite."""
    usable = torch.isfinite(normal).all(2).all(1) & torch.isfinite(gradient).all(1)
    normal = torch.where(usable[:, None, None], normal, torch.zeros_like(normal))
    gradient = torch.where(usable[:, None], gradient, torch.zeros_like(gradient))
    diagonal = normal.diagonal(dim1=1, dim2=2)
    floor = 1e-6 * diagonal.mean(1, keepdim=True) + torch.finfo(normal.dtype).tiny ** 0.5
    damped = normal + torch.diag_embed(damping[:, None] * (diagonal + floor) + floor * 1e-3)
    return torch.linalg.solve_ex(damped, gradient[..., None]).result[..., 0]
