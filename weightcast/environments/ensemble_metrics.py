"""Scores of weighted ensembles of forecasts against the truth (defined in docs/metrics.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from weightcast.environments.ensemble_quantiles import TOLERANCE, normalised, tails
from weightcast.environments.error_units import error_units
from weightcast.environments.missing_values import any_missing
from weightcast.environments.transform import Transform, Transforms

LIMIT = 10.0
"""True standard deviations from the truth's range beyond which it does not matter how wrong a member is."""
INTERVALS = {"coverage_50": 0.5, "coverage_90": 0.9}
_NEGLIGIBLE = 7.0
"""Standard deviations beyond which a Gaussian's mean distance from a point is the point's distance, to 1e-13."""
_POINTS, _FEWEST = 256, 4
"""That stand for an ensemble's predictive noise where it is a Gaussian of a transformed quantity: of all members
together, and of each at least."""
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
"""Whose multiples are spread evenly over [0, 1), whatever their number."""


def ensemble_metrics(
    forecasts: Tensor,
    weights: Tensor,
    truth: Tensor,
    horizons: Sequence[int],
    noise: Tensor | float | None = None,
    transforms: Transforms = (),
    intervals_alone: bool = False,
) -> Iterator[tuple[str, int, float]]:
    """Score an ensemble's forecasts of one environment.

    The predictive distribution at a point is the weighted mixture of the members' values there, each a point mass or,
    with predictive noise, a Gaussian. What is scored is that mixture: the standard form of the CRPS, not the one that
    is fair to small samples, since weights are probabilities and not counts.

    Values are limited to ``LIMIT`` true standard deviations beyond the truth's range, channel by channel, and a value
    that is no number counts as the limit that is farther from the truth: as wrong as a member can be, and no more. The
    CRPS of limited values is a proper score still (threshold-weighted: Allen, Ginsbourger and Ziegel, 2023).

    Args:
        forecasts: [member, trajectory, step, channel, y, x], in physical units; step 0 is the first frame forecast.
        weights: [member], at least 0, with a sum above 0; only their ratios count.
        truth: [trajectory, step, channel, y, x]; NaN where a value is missing, which is then left out: a step's scores
            are means over what is there, and steps count alike, but for those of which nothing is.
        horizons: in frames, each at most the number of steps.
        noise: standard deviation of the predictive noise in physical units, above 0: one number, [channel] or
            [step, channel]; None for none. Of a channel that has a transform, of the transformed quantity.
        transforms: of the channels: noise is then a Gaussian there, and scores are of what it is in physical units, by
            points that stand for it.
        intervals_alone: only coverages are asked for; the rest, which takes most of the time, is left out.

    Yields:
        (metric, horizon, value). Over the frames 1..horizon of all trajectories, channels and points, each channel in
        units of its own true standard deviation (over all trajectories and steps given):

        - ``crps``: mean continuous ranked probability score, E|X - y| - E|X - X'| / 2; of a single member without
          noise the mean absolute error.
        - ``rmse_mean``: root mean square error of the weighted mean.
        - ``spread_skill``: root mean square spread over ``rmse_mean``. The spread's square is the members' weighted
          variance times (1 + s) / (1 - s), with s the sum of the squared weights, plus the noise's: the ratio is 1 in
          expectation where the truth is one more member. A single member has no spread.
        - ``coverage_50``, ``coverage_90``: share of the truths within the central intervals, ends included, of
          :func:`~weightcast.environments.ensemble_quantiles.weighted_quantiles`. An interval one of whose tails
          members without a finite value fill holds nothing.

        Of ``intervals_alone`` the last two.

        Where no member has a finite value, ``crps`` and ``rmse_mean`` are infinite, ``spread_skill`` is 0, and nothing
        is covered.
    """
    kept = weights.to(forecasts.device) > 0
    members = forecasts if bool(kept.all()) else forecasts[kept]
    exact = normalised(weights.to(forecasts.device)[kept])
    shares = exact.to(forecasts.dtype)
    truth = truth.to(forecasts)  # in one precision and on one device
    channels = truth.movedim(2, 0).flatten(1)
    spread = error_units(channels)[:, None, None]
    observed = torch.isfinite(truth) if any_missing(truth) else None
    least, most = channels.amin(1), channels.amax(1)
    if observed is not None:  # a missing truth is one within the range, which is not counted
        least, most = channels.nan_to_num(nan=math.inf).amin(1), channels.nan_to_num(nan=-math.inf).amax(1)
        truth = torch.where(observed, truth, least[:, None, None])
    low, high = least[:, None, None] - LIMIT * spread, most[:, None, None] + LIMIT * spread
    concentration = float(exact.square().sum())
    factor = (1 + concentration) / (1 - concentration) if concentration < 1 else 0.0
    further = () if intervals_alone else ("crps", "error", "variance")
    sums = {name: [0.0] for name in (*further, *INTERVALS)}
    counts = [0]  # of the steps of which something is known
    skewed = [] if noise is None else [number for number, one in enumerate(transforms) if one]
    for step in range(max(horizons)):
        true, values = truth[:, step], members[:, :, step]
        scale = None if noise is None else _noise_at(noise, step, true) / spread
        broken = _total(shares, (~torch.isfinite(values)).to(shares.dtype))
        lost = broken > 1 - TOLERANCE  # no member is left
        limited = _limited(values, true, low, high)
        errors = (limited - true) / spread
        below, above = tails(errors, exact, torch.zeros_like(true), scale)
        found = _coverage(below, above, broken)
        if not intervals_alone:
            mean = _total(shares, errors)
            variance = _variance(errors, shares) * factor
            found |= {
                "crps": torch.where(lost, math.inf, _crps(errors, shares, scale)),
                "error": torch.where(lost, math.inf, mean.square()),
                "variance": variance if scale is None else variance + scale.square(),
            }
        for number in skewed:
            transform, here = transforms[number], slice(number, number + 1)
            assert transform is not None and noise is not None
            own_noise = (_noise_at(noise, step, true) * torch.ones_like(spread))[here]
            if not intervals_alone:
                points, of_points = _points(transform, limited[:, :, here], own_noise, shares)
                points = (_limited(points, true[:, here], low[here], high[here]) - true[:, here]) / spread[here]
                of_members = _variance(errors[:, :, here], shares)
                more = (_variance(points, of_points) - of_members).clamp(min=0.0)
                found["crps"][:, here] = torch.where(lost[:, here], math.inf, _crps(points, of_points, None))
                found["variance"][:, here] = of_members * factor + more
            seen, known = transform.apply(limited[:, :, here]), transform.apply(true[:, here])
            below, above = tails(seen, exact, known, own_noise)
            above = torch.where(true[:, here] <= 0, 1.0, above)  # nothing lies below 0: all that would, lies at it
            for name, covered in _coverage(below, above, broken[:, here]).items():
                found[name][:, here] = covered
        there = None if observed is None else observed[:, step]
        counted = there is None or bool(there.any())
        counts.append(counts[-1] + counted)
        for name, value in found.items():
            of_step = float((value if there is None else value[there]).mean(dtype=torch.float64)) if counted else 0.0
            sums[name].append(sums[name][-1] + of_step)
    for horizon in horizons:
        if not counts[horizon]:
            continue
        means = {name: total[horizon] / counts[horizon] for name, total in sums.items()}
        if not intervals_alone:
            error, deviation = math.sqrt(means["error"]), math.sqrt(means["variance"])
            yield "crps", horizon, means["crps"]
            yield "rmse_mean", horizon, error
            yield "spread_skill", horizon, deviation / error if error else (math.inf if deviation else 1.0)
        for name in INTERVALS:
            yield name, horizon, means[name]


def _points(transform: Transform, members: Tensor, deviation: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """What stands for Gaussians around transformed members: points in physical units, and their weights [point].

    Points of a member are at evenly spaced probabilities, and those of different members interlaced, so that members
    which forecast the same have many points together.

    Args:
        transform: of the channel.
        members: in physical units [member, trajectory, channel, y, x].
        deviation: of the Gaussians [channel, 1, 1].
        shares: of the members [member].
    """
    each = max(_FEWEST, math.ceil(_POINTS / len(members)))
    offset = (0.5 + _GOLDEN * torch.arange(len(members), dtype=torch.float64)) % 1.0
    levels = (torch.arange(each, dtype=torch.float64) + offset[:, None].clamp(min=1e-6)) / each  # [member, point]
    steps = torch.special.ndtri(levels).to(members)[..., None, None, None, None]
    points = transform.invert(transform.apply(members)[:, None] + deviation * steps)
    return points.flatten(0, 1), (shares / each).repeat_interleave(each)


def _coverage(below: Tensor, above: Tensor, broken: Tensor) -> dict[str, Tensor]:
    """Whether truths lie within the central intervals, by the probabilities at or below and at or above them, and of
    members without a finite value."""
    tails_of = {name: (1 - probability) / 2 - TOLERANCE for name, probability in INTERVALS.items()}
    return {name: (below >= tail) & (above >= tail) & (broken < tail) for name, tail in tails_of.items()}


def _variance(values: Tensor, shares: Tensor) -> Tensor:
    """Weighted variance over members [member, ...]."""
    return _total(shares, (values - _total(shares, values)).square())


def _total(shares: Tensor, values: Tensor) -> Tensor:
    """Weighted sum over members [member, ...]."""
    return torch.einsum("m,m...->...", shares, values)


def _noise_at(noise: Tensor | float, step: int, like: Tensor) -> Tensor:
    """Standard deviation at a step: a number, or [channel, 1, 1]."""
    scale = torch.as_tensor(noise, dtype=like.dtype, device=like.device)
    scale = scale[step] if scale.ndim == 2 else scale
    return scale.reshape(-1, 1, 1)


def _limited(values: Tensor, true: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Values [member, ...] within limits [channel, 1, 1]; what is no number lies at the one farther from the truth."""
    farther = torch.where(true - low > high - true, low.expand_as(true), high.expand_as(true))
    return torch.where(values.isnan(), farther, values).clamp(low, high)


def _crps(errors: Tensor, shares: Tensor, scale: Tensor | None) -> Tensor:
    """CRPS [...] of mixtures whose members are off by errors [member, ...]; ``scale`` is the noise's, if any."""
    # The distance of two members is at most one pass over the sorted ones: sum over pairs of w w' |x - x'| / 2 =
    # sum over i of w_i x_i (weights up to i + weights before i - 1).
    ordered, order = errors.movedim(0, -1).contiguous().sort(-1)
    weight = shares[order]
    up_to = weight.cumsum(-1)
    score = (weight * (ordered.abs() - ordered * (2 * up_to - weight - 1))).sum(-1)
    if scale is None:
        return score
    # A(x, s) of Grimit et al. (2006), the mean distance of a Gaussian N(x, s) from 0, is |x| + s tail(|x| / s): what
    # is added to the distances between points. It vanishes for members that are farther apart than some noise.
    pair = math.sqrt(2.0) * scale
    score = score + (weight * scale[..., None] * _tail(ordered.abs() / scale[..., None])).sum(-1)
    score = score - 0.5 * pair * _tail(torch.zeros_like(pair)) * weight.square().sum(-1)
    for lag in range(1, ordered.shape[-1]):
        apart = (ordered[..., lag:] - ordered[..., :-lag]) / pair[..., None]
        if float(apart.min()) > _NEGLIGIBLE:
            break
        product = weight[..., lag:] * weight[..., :-lag]
        score = score - pair * (product * _tail(apart)).sum(-1)
    return score


def _tail(distance: Tensor) -> Tensor:
    """How much farther a standard Gaussian is from a point on average than its mean is: 2 (pdf(t) - t P(X > t))."""
    density = torch.exp(-0.5 * distance.square()) * math.sqrt(2.0 / math.pi)
    return density - distance * torch.erfc(distance / math.sqrt(2.0))
