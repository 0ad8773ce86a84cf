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

from weightcast.core.run import Run

FIRST_DAMPING = 0.1
PROBE = 0.1
"""Share of a step at which its curvature is measured."""
MOST_CURVED = 0.75
"""Twice the length of the curvature's correction over that of the step, beyond which neither is trusted."""
MOST_DAMPING = 1e8
LEAST_DAMPING = 1e-10

MOST_TOGETHER = 500
"""Numbers of all codes that are solved for together with the weights; more are eliminated before."""
MOST_PRODUCTS = 8_000_000
"""Numbers of products of weights with weights that are held at once, before they are summed over environments."""

Errors = Callable[[Tensor, Tensor], Tensor]
"""Weights [weight], frames [trajectory, frame, ...] of one environment -> errors of rollouts [residual], or their
derivative [residual, weight]."""


def iteration_operations(environments: int, residuals: int, weights: int, dimensions: int) -> float:
    """Multiplications of an iteration, but for a common factor: how it grows with what is trained.

    Args:
        environments: that are trained on.
        residuals: of all of them.
        weights: of a network, all of which depend on codes.
        dimensions: of a code.
    """
    codes, shared = environments * dimensions, weights * (1 + dimensions)
    if residuals < shared + codes:  # equations over residuals
        return residuals**2 * (weights + residuals / 3)
    pairs = (1 + dimensions) * (2 + dimensions) / 2
    products = (residuals + environments * pairs) * weights**2
    if codes <= MOST_TOGETHER:
        return products + (shared + codes) ** 3 / 3
    return products + codes * shared**2 + shared**3 / 3


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
        residual: of one environment.
        frames: normalised [environment, trajectory, frame, ...]; in the precision of the context.
        penalty: on weights and codes.
        damping: of the next step.
        jacobian: the residual's derivative by the weights, where there is a faster way than backwards through it.
    """

    context: LinearContext
    residual: Errors
    frames: Tensor
    penalty: float
    damping: float = FIRST_DAMPING
    jacobian: Errors | None = None

    def __post_init__(self) -> None:
        self._errors = vmap(self.residual)

    def _jacobian(self, weights: Tensor, frames: Tensor) -> Tensor:
        """[environment, residual, weight]."""
        derivative: Errors = self.jacobian or jacrev(self.residual)
        return torch.stack([derivative(*one) for one in zip(weights, frames, strict=True)])

    def train(self, run: Run, iterations: int) -> int:
        """So many iterations, or as many as help; how many did."""
        done, sizes = 0, (*self.frames.shape, *self.context.directions.shape)
        with run.iterations(iterations, "polish", sizes) as count:
            while done < count and self.iterate():
                done += 1
        return done

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


@dataclass(frozen=True)
class _Equations:
    """A symmetric matrix whose last unknowns, a few of each environment, meet those of no other environment.

    Attributes:
        shared: of the first unknowns among themselves [unknown, unknown].
        crossed: of an environment's own with these [environment, own, unknown]; None where there are no such.
        own: of an environment's own among themselves [environment, own, own].
    """

    shared: Tensor
    crossed: Tensor | None = None
    own: Tensor | None = None

    def solver(self, added: float) -> Callable[[Tensor], Tensor]:
        """What solves the equations with so much added to the diagonal, for a right side [unknown]; it gives no finite
        numbers where rounding left the matrix indefinite.

        Unknowns of environments are eliminated first where they are many (Schur's complement): a factor of all of them
        would cost the third power of their number, where this grows linearly.
        """
        crossed, own = self.crossed, self.own
        if crossed is None or own is None:
            return _solver_of(_raised(self.shared, added))
        if crossed[..., 0].numel() <= MOST_TOGETHER:
            rows = torch.cat([crossed.flatten(0, 1), torch.block_diag(*own)], 1)
            columns = torch.cat([self.shared, crossed.flatten(0, 1).mT], 1)
            return _solver_of(_raised(torch.cat([columns, rows]), added))
        factor, failed = torch.linalg.cholesky_ex(_raised(own, added))
        half = torch.linalg.solve_triangular(factor, crossed, upper=False).flatten(0, 1)
        of_shared = _solver_of(_raised(self.shared, added) - half.mT @ half)
        lost = torch.nan if bool(failed.any()) else 0.0

        def solve(right: Tensor) -> Tensor:
            first, last = right.split([len(self.shared), crossed[..., 0].numel()])
            alone = torch.cholesky_solve(last.view(len(own), -1, 1), factor)[..., 0]
            shared = of_shared(first - torch.einsum("edu,ed->u", crossed, alone))
            moved = torch.cholesky_solve((crossed @ shared)[..., None], factor)[..., 0]
            return torch.cat([shared, (alone - moved).flatten()]) + lost

        return solve


def _raised(matrix: Tensor, added: float) -> Tensor:
    """A matrix [..., unknown, unknown] with so much added to its diagonal."""
    return matrix + added * torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)


def _solver_of(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool(failed):
        factor = torch.full_like(factor, torch.nan)
    return lambda right: torch.cholesky_solve(right[:, None], factor)[:, 0]


class _Normal:
    """The damped normal equations of one linearisation, over residuals or over unknowns, whichever are fewer."""

    def __init__(self, context: LinearContext, errors: Tensor, jacobian: Tensor, penalty: float) -> None:
        self.context, self.errors, self.jacobian, self.penalty = context, errors, jacobian, penalty
        self.partial = jacobian[..., context.entries]
        self.of_code = self.partial @ context.directions.mT  # [environment, residual, dimension]
        unknowns = context.mean.numel() + context.directions.numel() + context.codes.numel()
        self.dual = errors.numel() < unknowns
        self.equations, self.right = self._over_residuals() if self.dual else self._over_unknowns()
        self._factored: tuple[float, Callable[[Tensor], Tensor]] | None = None

    def step(self, damping: float) -> tuple[Tensor, Tensor, Tensor]:
        """Increments of mean, directions and codes."""
        if not self.dual:
            return self._apart(-self._solved(damping, self.right))
        context, shrunk = self.context, self.penalty / (damping + self.penalty)
        solved = self._solved(damping, self.errors.flatten() - shrunk * self.right)
        mean, directions, codes = self._gradient(solved.view_as(self.errors))
        return -mean - shrunk * context.mean, -directions - shrunk * context.directions, -codes - shrunk * context.codes

    def along(self, step: Sequence[Tensor]) -> Tensor:
        """How errors change along increments, to first order [environment, residual]."""
        mean, directions, codes = step
        moved = torch.einsum("erw,ew->er", self.partial, self.context.codes @ directions)
        return self.jacobian @ mean + moved + torch.einsum("erd,ed->er", self.of_code, codes)

    def correction(self, curvature: Tensor, damping: float) -> tuple[Tensor, Tensor, Tensor]:
        """Half of the increments' second derivative, from that of the errors [environment, residual]."""
        context = self.context
        if not self.dual:
            mean, directions, codes = self._gradient(curvature)
            whole = torch.cat([mean, directions.flatten(), codes.flatten()])
            return self._apart(-0.5 * self._solved(damping, whole))
        solved = self._solved(damping, curvature.flatten()).view_as(curvature)
        mean, directions, codes = self._gradient(solved)
        return -0.5 * mean, -0.5 * directions.view_as(context.directions), -0.5 * codes

    def _solved(self, damping: float, right: Tensor) -> Tensor:
        """The damped equations' solution [unknown or residual]; not finite where rounding left them indefinite, which
        is no step."""
        if self._factored is None or self._factored[0] != damping:
            self._factored = damping, self.equations.solver(damping + self.penalty)
        return self._factored[1](right)

    def _gradient(self, errors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """J's transpose times errors [environment, residual]: for mean, directions and codes."""
        pulled = torch.einsum("er,erw->ew", errors, self.jacobian)
        directions = self.context.codes.mT @ pulled[:, self.context.entries]
        return pulled.sum(0), directions, torch.einsum("er,erd->ed", errors, self.of_code)

    def _over_residuals(self) -> tuple[_Equations, Tensor]:
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
        return _Equations(kernel.view(environments * residuals, -1)), moved.flatten()

    def _over_unknowns(self) -> tuple[_Equations, Tensor]:
        """The transpose of J times J [unknown, unknown], and the objective's half gradient [unknown].

        An environment's errors see a direction as its code times what they see of the mean, so that one product over
        its residuals, among weights alone, gives all blocks: each is a sum of these products, weighted by codes.
        """
        context = self.context
        count, dimensions, entries = context.mean.numel(), *context.directions.shape
        shared = count + dimensions * entries
        matrix = self.errors.new_zeros(shared, shared)
        places = [
            slice(0, count),
            *(slice(count + one * entries, count + (one + 1) * entries) for one in range(dimensions)),
        ]
        pairs = torch.tril_indices(dimensions + 1, dimensions + 1).tolist()
        for (row, column), summed in zip(zip(*pairs, strict=True), self._summed_products(pairs), strict=True):
            if row:
                summed = summed[context.entries]
            if column:
                summed = summed[:, context.entries]
            matrix[places[row], places[column]] = summed
        crossed = self.errors.new_empty(len(context.codes), dimensions, shared)
        own = self.errors.new_empty(len(context.codes), dimensions, dimensions)
        for environment, code in enumerate(context.codes):
            jacobian, of_code = self.jacobian[environment], self.of_code[environment]
            of_mean = of_code.mT @ jacobian  # [dimension, weight]
            crossed[environment, :, :count] = of_mean
            crossed[environment, :, count:] = torch.kron(code, of_mean[:, context.entries].contiguous())
            own[environment] = of_code.mT @ of_code
        mean, directions, codes = self._gradient(self.errors)
        gradient = torch.cat([mean, directions.flatten(), codes.flatten()])
        unknowns = torch.cat([context.mean, context.directions.flatten(), context.codes.flatten()])
        return _Equations(torch.tril(matrix) + torch.tril(matrix, -1).mT, crossed, own), (
            gradient + self.penalty * unknowns
        )

    def _summed_products(self, pairs: Sequence[Sequence[int]]) -> Tensor:
        """Of weights with weights over all residuals, weighted by two numbers of codes [pair, weight, weight].

        Args:
            pairs: of numbers, rows and columns; 0 stands for the mean, whose weight is 1, and 1 for the first number.
        """
        codes = torch.cat([torch.ones_like(self.context.codes[:, :1]), self.context.codes], 1)
        weighted = codes[:, pairs[0]] * codes[:, pairs[1]]  # [environment, pair]
        count = self.jacobian.shape[2]
        summed = self.errors.new_zeros(len(pairs[0]), count * count)
        together = max(1, MOST_PRODUCTS // count**2)
        for jacobian, of_each in zip(self.jacobian.split(together), weighted.split(together), strict=True):
            summed.addmm_(of_each.mT, (jacobian.mT @ jacobian).flatten(1))
        return summed.view(-1, count, count)

    def _apart(self, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        context = self.context
        mean, directions, codes = step.split(
            [part.numel() for part in (context.mean, context.directions, context.codes)]
        )
        return mean, directions.view_as(context.directions), codes.view_as(context.codes)


def _norm(parts: Sequence[Tensor]) -> float:
    return float(sum(part.square().sum() for part in parts)) ** 0.5


@dataclass(frozen=True)
class Tried:
    """What a penalty led to.

    Attributes:
        penalty: on weights and codes.
        error: as it was judged.
        context: where its training ended.
    """

    penalty: float
    error: float
    context: LinearContext


def try_penalties(
    run: Run,
    start: LinearContext,
    residual: Errors,
    frames: Tensor,
    judge: Callable[[LinearContext], float],
    penalties: Sequence[float],
    iterations: int,
    jacobian: Errors | None = None,
) -> list[Tried]:
    """Train with each penalty, from the greatest to the least and back, each from where the one before ended.

    The way back counts: on the way there the least penalties have the longest trainings behind them, and win by that.

    Args:
        run: that this is part of.
        start: before any.
        residual: as `Polish.residual`.
        frames: trained on.
        judge: error of what was trained, on what was not trained on.
        penalties: to choose among.
        iterations: for each.
        jacobian: as `Polish.jacobian`.
    """
    found, context = dict[float, Tried](), start
    ordered = sorted(penalties, reverse=True)
    for penalty in [*ordered, *reversed(ordered[:-1])]:
        polish = Polish(context, residual, frames, penalty, jacobian=jacobian)
        polish.train(run, iterations)
        context = polish.context
        found[penalty] = Tried(penalty, judge(context), context)
        print(f"polish: penalty {penalty:g}, error {found[penalty].error:.4g}", flush=True)
    return [found[penalty] for penalty in ordered]
