"""Second-order training of a weight map whose weights are linear in its codes, for small predictors and little data.

Levenberg-Marquardt on the whole rollouts, with a penalty on weights and codes (ridge). A first-order training of such a
network still creeps when a second-order one has long found the bottom: on the published Lotka-Volterra files 40,000
steps of Adam reach an error that a hundred iterations here undercut, in a quarter of the time. The normal equations are
solved among weights or among residuals, whichever are fewer (Foresee and Hagan, Proc. ICNN 1997, have the idea with
evidence in the place of held-out trajectories; tried: evidence takes neighbouring frames for independent witnesses, and
overfits).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jacrev, vmap

FIRST_DAMPING = 0.1
PROBE = 0.1
"""Share of a step at which its curvature is measured."""
MOST_CURVED = 0.75
"""Twice the length of the curvature's correction over that of the step, beyond which neither is trusted."""
MOST_DAMPING = 1e8
LEAST_DAMPING = 1e-10
TOGETHER = 64
"""Trajectories that are differentiated at once."""


@dataclass(frozen=True)
class LinearContext:
    """Weights as a mean and a direction for each number of a code: ``mean + codes @ directions``.

    Attributes:
        mean: [weight].
        directions: [dimension, entry].
        codes: [environment, dimension].
        entries: which weights depend on codes, long [entry].
    """

    mean: Tensor
    directions: Tensor
    codes: Tensor
    entries: Tensor

    def weights(self) -> Tensor:
        """[environment, weight]."""
        return self.mean.expand(len(self.codes), -1).index_add(1, self.entries, self.codes @ self.directions)

    def moved(self, mean: Tensor, directions: Tensor, codes: Tensor) -> LinearContext:
        """Another one, by increments."""
        return LinearContext(self.mean + mean, self.directions + directions, self.codes + codes, self.entries)

    @property
    def size(self) -> Tensor:
        """Sum of squares that the penalty counts."""
        return self.mean.square().sum() + self.directions.square().sum() + self.codes.square().sum()


@dataclass
class Polish:
    """A training under way.

    Attributes:
        context: where it is.
        residual: weights [weight], frames [trajectory, frame, ...] -> errors of rollouts of one environment [residual].
        frames: normalised [environment, trajectory, frame, ...]; in the precision of the context.
        penalty: on weights and codes.
        damping: of the next step.
    """

    context: LinearContext
    residual: Callable[[Tensor, Tensor], Tensor]
    frames: Tensor
    penalty: float
    damping: float = FIRST_DAMPING

    def __post_init__(self) -> None:
        self._errors = vmap(self.residual)
        self._of_trajectory = vmap(jacrev(self.residual), chunk_size=TOGETHER)

    def _jacobian(self, weights: Tensor, frames: Tensor) -> Tensor:
        """[environment, residual, weight]; trajectory by trajectory, since one's errors depend on no other."""
        environments, trajectories = frames.shape[:2]
        each = weights.repeat_interleave(trajectories, dim=0)
        jacobian = self._of_trajectory(each, frames.flatten(0, 1)[:, None])
        return jacobian.unflatten(0, (environments, trajectories)).flatten(1, 2)

    @torch.no_grad()
    def objective(self, context: LinearContext) -> float:
        """Sum of squared errors and the penalty."""
        errors = self._errors(context.weights(), self.frames).square().sum() + self.penalty * context.size
        return float(torch.nan_to_num(errors, nan=torch.inf))

    @torch.no_grad()
    def iterate(self) -> bool:
        """One iteration; False where no step helps any more."""
        context = self.context
        weights = context.weights()
        errors = self._errors(weights, self.frames)  # [environment, residual]
        jacobian = self._jacobian(weights, self.frames)  # [environment, residual, weight]
        system = _Normal(context, errors, jacobian, self.penalty)
        lowest = self.objective(context)
        while self.damping < MOST_DAMPING:
            step = system.step(self.damping)
            # Valleys bend: half of the step's second derivative follows them (Transtrum and Sethna, arXiv 1201.5885).
            probed = self._errors(context.moved(*(PROBE * part for part in step)).weights(), self.frames)
            curvature = (2.0 / PROBE) * ((probed - errors) / PROBE - system.along(step))
            bend = system.correction(curvature, self.damping)
            if 2.0 * _norm(bend) <= MOST_CURVED * _norm(step):
                trial = context.moved(*(part + more for part, more in zip(step, bend, strict=True)))
                found = self.objective(trial)
                if found < lowest:
                    self.context, self.damping = trial, max(self.damping / 5.0, LEAST_DAMPING)
                    return True
            self.damping *= 2.5
        return False


class _Normal:
    """The damped normal equations of one linearisation, over residuals or over unknowns, whichever are fewer."""

    def __init__(self, context: LinearContext, errors: Tensor, jacobian: Tensor, penalty: float) -> None:
        self.context, self.errors, self.jacobian, self.penalty = context, errors, jacobian, penalty
        self.partial = jacobian[..., context.entries]
        self.of_code = self.partial @ context.directions.mT  # [environment, residual, dimension]
        unknowns = context.mean.numel() + context.directions.numel() + context.codes.numel()
        self.dual = errors.numel() < unknowns
        self.matrix, self.right = self._over_residuals() if self.dual else self._over_unknowns()

    def step(self, damping: float) -> tuple[Tensor, Tensor, Tensor]:
        """Increments of mean, directions and codes."""
        damped = self._damped(damping)
        if not self.dual:
            return self._apart(-torch.linalg.solve_ex(damped, self.right).result)
        context, shrunk = self.context, self.penalty / (damping + self.penalty)
        solved = torch.linalg.solve_ex(damped, self.errors.flatten() - shrunk * self.right).result
        mean, directions, codes = self._gradient(solved.view_as(self.errors))
        return -mean - shrunk * context.mean, -directions - shrunk * context.directions, -codes - shrunk * context.codes

    def along(self, step: Sequence[Tensor]) -> Tensor:
        """How errors change along increments, to first order [environment, residual]."""
        mean, directions, codes = step
        moved = torch.einsum("erw,ew->er", self.partial, self.context.codes @ directions)
        return self.jacobian @ mean + moved + torch.einsum("erd,ed->er", self.of_code, codes)

    def correction(self, curvature: Tensor, damping: float) -> tuple[Tensor, Tensor, Tensor]:
        """Half of the increments' second derivative, from that of the errors [environment, residual]."""
        damped = self._damped(damping)
        context = self.context
        if not self.dual:
            mean, directions, codes = self._gradient(curvature)
            whole = torch.cat([mean, directions.flatten(), codes.flatten()])
            return self._apart(-0.5 * torch.linalg.solve_ex(damped, whole).result)
        solved = torch.linalg.solve_ex(damped, curvature.flatten()).result.view_as(curvature)
        mean, directions, codes = self._gradient(solved)
        return -0.5 * mean, -0.5 * directions.view_as(context.directions), -0.5 * codes

    def _damped(self, damping: float) -> Tensor:
        eye = torch.eye(len(self.matrix), dtype=self.matrix.dtype, device=self.matrix.device)
        return self.matrix + (damping + self.penalty) * eye

    def _gradient(self, errors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """J's transpose times errors [environment, residual]: for mean, directions and codes."""
        pulled = torch.einsum("er,erw->ew", errors, self.jacobian)
        directions = self.context.codes.mT @ pulled[:, self.context.entries]
        return pulled.sum(0), directions, torch.einsum("er,erd->ed", errors, self.of_code)

    def _over_residuals(self) -> tuple[Tensor, Tensor]:
        """J times its transpose [residual, residual], and J times the unknowns [residual]."""
        context, (environments, residuals) = self.context, self.errors.shape
        whole, partial = self.jacobian.flatten(0, 1), self.partial.flatten(0, 1)
        kernel = (whole @ whole.mT).view(environments, residuals, environments, residuals)
        alike = (context.codes @ context.codes.mT)[:, None, :, None]
        kernel = kernel + alike * (partial @ partial.mT).view_as(kernel)
        for environment in range(environments):  # a code moves its own environment alone
            kernel[environment, :, environment] += self.of_code[environment] @ self.of_code[environment].mT
        own = torch.einsum("erd,ed->er", self.of_code, context.codes)
        moved = self.jacobian @ context.mean + 2.0 * own  # once as directions move, once as codes do
        return kernel.view(environments * residuals, -1), moved.flatten()

    def _over_unknowns(self) -> tuple[Tensor, Tensor]:
        """The transpose of J times J [unknown, unknown], and the objective's half gradient [unknown]."""
        context = self.context
        sizes = (context.mean.numel(), context.directions.numel(), context.codes.numel())
        total, environments = sum(sizes), len(context.codes)
        matrix, gradient = self.errors.new_zeros(total, total), self.errors.new_zeros(total)
        for environment in range(environments):  # one at a time: a Jacobian over all unknowns is large
            code = context.codes[environment]
            directions = (code[:, None, None] * self.partial[environment]).permute(1, 0, 2).flatten(1)
            own = self.errors.new_zeros(self.errors.shape[1], environments, len(code))
            own[:, environment] = self.of_code[environment]
            rows = torch.cat([self.jacobian[environment], directions, own.flatten(1)], 1)
            matrix += rows.mT @ rows
            gradient += rows.mT @ self.errors[environment]
        unknowns = torch.cat([context.mean, context.directions.flatten(), context.codes.flatten()])
        return matrix, gradient + self.penalty * unknowns

    def _apart(self, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        context = self.context
        mean, directions, codes = step.split(
            [part.numel() for part in (context.mean, context.directions, context.codes)]
        )
        return mean, directions.view_as(context.directions), codes.view_as(context.codes)


def _norm(parts: Sequence[Tensor]) -> float:
    return float(sum(part.square().sum() for part in parts)) ** 0.5


def choose_penalty(
    start: LinearContext,
    residual: Callable[[Tensor, Tensor], Tensor],
    frames: Tensor,
    judge: Callable[[LinearContext], float],
    penalties: Sequence[float],
    iterations: int,
) -> tuple[float, list[float], LinearContext]:
    """The penalty whose training is judged best, the errors of all, and what the best led to.

    From the greatest to the least, each from where the one before ended.

    Args:
        start: before any.
        residual: as `Polish.residual`.
        frames: trained on.
        judge: error of what was trained, on what was not trained on.
        penalties: to choose among.
        iterations: for each.
    """
    ordered, errors, found, context = sorted(penalties, reverse=True), list[float](), list[LinearContext](), start
    for penalty in ordered:
        polish = Polish(context, residual, frames, penalty)
        for _ in range(iterations):
            if not polish.iterate():
                break
        context = polish.context
        found.append(context)
        errors.append(judge(context))
        print(f"polish: penalty {penalty:g}, error {errors[-1]:.4g}", flush=True)
    best = min(range(len(ordered)), key=errors.__getitem__)
    return ordered[best], errors, found[best]
