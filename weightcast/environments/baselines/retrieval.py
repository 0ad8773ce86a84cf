"""Retrieval: which of the visible environments' experts explain a few frames of an unknown environment, the best one
alone or all of them weighted.

Nothing is learned beyond the zoo. How sharply the residual decides (temper), and what the weighted forecasts are off by
beyond their spread, is settled on visible environments whose own experts are left out: there, as in an unseen
environment, no expert is the right one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.stored_tensor import Rows
from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.missing_values import any_missing, observed_mean, reachable, usual_over_steps
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.windows import STACKED_NUMBERS, Windows

TEMPERS = (1.0, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)
"""Weights of the likelihood among which visible environments choose."""
LEAST_NOISE = 1e-3
"""Residual below which experts are alike, in standard deviations of the data."""


@dataclass(frozen=True)
class Weighting:
    """How an ensemble of experts is weighted.

    Attributes:
        temper: weight of the likelihood.
        model_error: standard deviation of the forecast error that is not in the ensemble, normalised units
            [step][channel].
    """

    temper: float
    model_error: list[list[float]]


@torch.no_grad()
def expert_misfits(experts: Rows, predictor: StackedPredictor, windows: Windows, together: int | None = None) -> Tensor:
    """What each expert's rollouts leave of each environment's frames.

    Args:
        experts: weights [expert, weight].
        predictor: whose weights they are.
        windows: observed.
        together: experts that are in memory at once; all of them if None.

    Returns:
        Sums of squared residuals [environment, expert]; infinite where a rollout is not finite.
    """
    environments = torch.arange(len(windows.start), device=windows.start.device)
    size = max(1, int(STACKED_NUMBERS / max(1, windows.target[0].numel() * 8 + experts.shape[1])))
    found = []
    for rows in torch.arange(len(experts)).split(together or len(experts)):
        block = experts[rows].to(environments.device)
        pairs = torch.cartesian_prod(environments, torch.arange(len(block), device=environments.device))
        sums = [windows.residuals(block[of[:, 1]], of[:, 0], predictor).square().sum(1) for of in pairs.split(size)]
        found.append(torch.cat(sums).unflatten(0, (len(environments), -1)))
    return torch.nan_to_num(torch.cat(found, 1), nan=torch.inf, posinf=torch.inf)


def expert_shares(misfits: Tensor, counts: Tensor, temper: float) -> Tensor:
    """Probabilities of experts: the likelihood of the frames, with the noise that the best expert leaves.

    Args:
        misfits: sums of squared residuals [environment, expert]; infinite ones get nothing.
        counts: numbers that were compared [environment]; all experts are alike where there are none.
        temper: weight of the likelihood.

    Returns:
        [environment, expert], with sum 1.
    """
    least = misfits.amin(1, keepdim=True)
    noise = torch.maximum(least, LEAST_NOISE**2 * counts[:, None]) / counts.clamp(min=1.0)[:, None]  # its variance
    logits = -0.5 * temper * misfits / noise
    blind = (counts[:, None] == 0) | torch.isinf(least)
    return torch.where(blind, torch.zeros_like(logits), logits).softmax(1)


def weightiest(shares: Tensor, members: int) -> tuple[Tensor, Tensor]:
    """The experts that an ensemble keeps.

    Args:
        shares: [environment, expert], experts in the order of their environments.
        members: at most so many.

    Returns:
        Positions of experts and their shares, with sum 1, both [environment, member]: those of the greatest shares, or
        evenly spread ones where all are alike.
    """
    count = min(members, shares.shape[1])
    even = torch.linspace(0, shares.shape[1] - 1, count, device=shares.device).round().long().expand(len(shares), -1)
    alike = (shares == shares[:, :1]).all(1, keepdim=True)
    chosen = torch.where(alike, even, shares.topk(count, dim=1).indices)
    kept = shares.gather(1, chosen)
    return chosen, kept / kept.sum(1, keepdim=True)


@torch.no_grad()
def choose_weighting(
    experts: Rows,
    environments: Sequence[str],
    predictor: StackedPredictor,
    windows: Windows | None,
    wanted: Sequence[str],
    judged: Tensor,
    members: int,
    together: int | None = None,
) -> Weighting:
    """The temper with the least CRPS on visible environments, each without its own experts.

    Args:
        experts: weights [expert, weight].
        environments: of each expert.
        predictor: whose weights they are.
        windows: what is observed of the visible environments that choose; None where no frames follow each other.
        wanted: ids of these.
        judged: frames that forecasts are compared with, normalised [environment, trajectory, frame, channel, y, x].
        members: of an ensemble.
        together: experts that are in memory at once; all of them if None.
    """
    none = judged.new_zeros(len(wanted), len(experts))
    misfits = none if windows is None else expert_misfits(experts, predictor, windows, together)
    counts = none[:, 0] if windows is None else windows.counts
    missing = any_missing(judged)
    others = [[row for row, one in enumerate(environments) if one != id] for id in wanted]
    tempers = TEMPERS if windows is not None else TEMPERS[:1]  # equal shares whatever the temper
    scores, excesses = [0.0] * len(tempers), [[] for _ in tempers]  # type: list[float], list[list[Tensor]]
    for row, (own, frames) in enumerate(zip(others, judged, strict=True)):
        if not own:
            continue
        rows = torch.tensor(own, device=judged.device)
        picked = [
            weightiest(expert_shares(misfits[row : row + 1, rows], counts[row : row + 1], temper), members)
            for temper in tempers
        ]
        needed = torch.cat([chosen[0] for chosen, _ in picked]).unique()
        driven = frames[None].expand(len(needed), *frames.shape)
        rolled = predictor.forecast(experts[rows[needed].cpu()].to(rows.device), driven)
        truth = predictor.newest(frames)[:, 1:]
        if missing:
            truth = reachable(frames, predictor.layout, predictor.history)
        for number, (chosen, shares) in enumerate(picked):
            forecasts = rolled[torch.searchsorted(needed, chosen[0])]
            scores[number] += _log_crps(forecasts, shares[0], truth)
            excesses[number].append(_excess(forecasts, shares[0], truth))
    best = min(range(len(tempers)), key=scores.__getitem__)
    if not excesses[best]:  # a single visible environment: nothing was left out
        return Weighting(tempers[best], [[0.0] * predictor.newest(judged).shape[3]])
    excess = torch.stack(excesses[best])
    usual = usual_over_steps(excess) if missing else excess.median(0).values
    return Weighting(tempers[best], usual.clamp(min=0.0).sqrt().tolist())


def _log_crps(forecasts: Tensor, shares: Tensor, truth: Tensor) -> float:
    """Logarithm of the CRPS over the whole horizon: a factor counts alike in every environment."""
    values = ensemble_metrics(forecasts, shares, truth, [truth.shape[1]])
    score = next(value for name, _, value in values if name == "crps")
    return math.log(min(score, 10.0) + 1e-9)


def _excess(forecasts: Tensor, shares: Tensor, truth: Tensor) -> Tensor:
    """Squared error of the weighted mean less the weighted variance [step, channel]; NaN where no truth is known."""
    mean = torch.einsum("m,m...->...", shares, forecasts)
    spread = torch.einsum("m,m...->...", shares, (forecasts - mean).square())
    excess = torch.nan_to_num((mean - truth).square() - spread, nan=0.0, posinf=0.0, neginf=0.0)
    return observed_mean(excess.masked_fill(truth.isnan(), torch.nan), (0, 3, 4))
