"""What observed frames tell of an environment, in numbers and in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import chi2
from torch import Tensor

from weightcast.environments.code_effects import code_effects, mattering
from weightcast.environments.code_posteriors import CodePosterior
from weightcast.environments.code_priors import CodePrior
from weightcast.environments.context import Context
from weightcast.environments.missing_values import any_missing
from weightcast.environments.witnesses import residual_of_witnesses

CLEARLY = 2.0
"""By this factor a residual exceeds what is usual where frames do not fit; and so far out, in distances of the farthest
visible code, are codes of something else."""
CLEARLY_WITH_GAPS = 1.5
"""The same factor where what is usual was seen under the very gaps."""
EXPLAINED = 0.7
"""Residual over the frames' own standard deviation from which on forecasts explain less than half of the variance."""
OPEN, SETTLED = 0.7, 0.3
"""Standard deviations over the prior's: above the first a direction is open, below the second it is settled."""
SAME = 0.95
"""Probability of the region around an inferred code within which visible codes are alike."""
CODE_ERROR = 0.05
"""Standard deviations of the prior that a code learned with the map may be off from the one that frames lead to."""
MOST_DIFFERENCES, FEWEST_DIFFERENCES = 5, 8
"""How often differences in time are taken to see noise, and how many numbers beyond second ones must be left."""
SURE = 0.95
"""Probability that noise is no more than the most that differences in time say of it."""
MOST_NAMED = 3
"""Visible environments that are named when frames could come from several."""


@dataclass(frozen=True)
class FramesVerdict:
    """What is known of the environment that frames come from.

    Attributes:
        noise: root mean square residual of the best code, normalised units; NaN for a single frame.
        usual: the greatest that frames of left-out visible environments left, likewise; of frames with gaps, the
            greatest that frames of visible environments leave under the same gaps, if that is more.
        white: the part of the residual that differs from frame to frame, as measurement noise does; 0 where too few
            frames follow each other to tell.
        fits: whether the residual is no clear factor above what is usual, noise considered.
        spread: standard deviations of the code over the prior's, along principal axes among the directions that
            forecasts depend on, greatest first.
        like: visible environments whose code may be that of the frames, nearest first.
        distance: of the code from the middle of the visible ones, over that of the farthest of these; NaN for a single
            frame.
        judged: whether it can be told noise from a misfit: not of two frames that leave more than is usual.
    """

    noise: float
    usual: float
    white: float
    fits: bool
    spread: list[float]
    like: list[str]
    distance: float = math.nan
    judged: bool = True

    @classmethod
    def of(cls, context: Context, posterior: CodePosterior, frames: Tensor) -> FramesVerdict:
        """Judge what was inferred.

        Args:
            context: trained.
            posterior: of one environment.
            frames: that it was inferred from, physical units [trajectory, frame, channel, y, x], older ones and inputs
                behind the channels of the newest.
        """
        spread = _spread(posterior)
        calibration, steps = context.calibration, max(1, frames.shape[1] - 1)
        if context.settings.unroll is not None:
            steps = min(steps, context.settings.unroll)
        usual = calibration.usual_residual * calibration.noise_of(steps)
        if frames.shape[1] < 2:
            return cls(math.nan, usual, 0.0, True, spread, [])
        normalised = context.base.normalisation.apply(frames.to(context.codes.device))
        clearly = CLEARLY
        if (
            any_missing(normalised)
            and (left := residual_of_witnesses(context, normalised)) is not None
            and left > usual
        ):
            usual, clearly = left, CLEARLY_WITH_GAPS
        noise, white = float(posterior.noise[0]), _white(posterior)  # NaN where too few frames follow each other
        newest = context.base.predictor.newest(normalised)
        varied, most_noise = _deviation(newest), _most_noise(newest)
        # Noise is in the frames that forecasts start from as well as in those that they are compared with. What differs
        # from frame to frame in the residual alone, and not in the frames, is a misfit.
        allowed = most_noise if math.isnan(white) else min(white, most_noise)
        expected = math.hypot(usual, math.sqrt(2.0) * allowed) if math.isfinite(allowed) else usual
        unexplained = noise > max(EXPLAINED * varied, clearly * usual)
        distance, more = _distance(context, posterior), noise > clearly * expected
        # Noise leaves the code of two frames where others are; a misfit drives it far out.
        told = math.isfinite(allowed) or distance > CLEARLY
        off = unexplained or (more and told)
        alike = _alike(context, posterior)
        white = 0.0 if math.isnan(white) else white
        return cls(noise, usual, white, not off, spread, alike, distance, told or unexplained or not more)

    @property
    def relative(self) -> float:
        """Residual over the usual one."""
        return self.noise / self.usual

    def metadata(self) -> dict[str, Any]:
        """JSON values for an artifact."""
        return {
            "noise": None if math.isnan(self.noise) else self.noise,
            "residual_over_usual": self.relative if math.isfinite(self.relative) else None,
            "white_noise": self.white,
            "fits": self.fits,
            "judged": self.judged,
            "spread": self.spread,
            "like": self.like,
            "distance": None if math.isnan(self.distance) else self.distance,
        }

    def words(self) -> list[str]:
        """One line for each thing to know, but for what is a warning."""
        lines = [self._open_words()]
        if not self.judged:
            lines.append(
                f"residual {self.noise:.2g} standard deviations, where visible environments leave up to "
                f"{self.usual:.2g}: two frames do not tell noise from a misfit, three that follow each other do"
            )
        elif not math.isnan(self.noise) and self.fits:
            noisy = f", of which {self.white:.2g} looks like noise" if self.white > self.usual else ""
            lines.append(
                f"residual {self.noise:.2g} standard deviations{noisy}; visible environments left out leave up to "
                f"{self.usual:.2g}: the frames fit"
            )
        if len(self.like) == 1 and self.fits:
            lines.append(f"like visible environment {self.like[0]}")
        elif 1 < len(self.like) <= MOST_NAMED and self.fits:
            lines.append(f"cannot be told from visible environments {', '.join(self.like)}")
        return lines

    def warning(self) -> str | None:
        """That the frames do not fit, or come from far outside, if so."""
        if not self.fits:
            return (
                f"outside of what the zoo knows: the best predictor leaves a residual of {self.noise:.2g} standard "
                f"deviations, {self.relative:.2g} times the most that visible environments show"
            )
        if self.distance > CLEARLY:
            return (
                f"far from what the zoo knows: the frames fit, but their code lies {self.distance:.2g} times as far "
                "out as that of any visible environment"
            )
        return None

    def _open_words(self) -> str:
        if math.isnan(self.noise):
            return (
                "a single frame tells environments not apart: predictors are drawn from the prior, as different as "
                "environments may be"
            )
        count, largest = len(self.spread), self.spread[0]
        unsettled = [spread for spread in self.spread if spread > OPEN]
        partly = [spread for spread in self.spread if SETTLED < spread <= OPEN]
        directions = f"{count} direction{'s' if count > 1 else ''} in which environments differ"
        if not unsettled and not partly:
            return f"the frames settle all {directions} (at most {largest:.2g} of the prior's spread is left)"
        parts = [
            *([f"leave {len(unsettled)} open"] if unsettled else []),
            *([f"settle {len(partly)} in part"] if partly else []),
        ]
        return f"of {directions}, the frames {' and '.join(parts)} ({largest:.2g} of the prior's spread is left)"


def _spread(posterior: CodePosterior) -> list[float]:
    """Standard deviations over the prior's, greatest first, of what forecasts depend on."""
    effects = code_effects(posterior)
    if effects is None:
        return posterior.spread[0].tolist()
    directions = mattering(effects[0])
    if directions.shape[1] == len(directions):
        return posterior.spread[0].tolist()
    covariance = torch.linalg.inv(posterior.precision[0, int(posterior.log_weights[0].argmax())].double())
    left = torch.linalg.eigvalsh(directions.mT @ covariance @ directions).clamp(min=0.0).sqrt()
    return left.flip(0).tolist()


def _white(posterior: CodePosterior) -> float:
    """Standard deviation of the residual's part that is independent from frame to frame; NaN where too few frames
    follow each other to tell."""
    likelihood, best = posterior.likelihood, posterior.best
    assert likelihood is not None  # of two frames or more
    own = torch.zeros(1, dtype=torch.long, device=best.device)
    residuals = likelihood.windows.residuals(likelihood.weights_of(best), own, likelihood.predictor)
    return float(likelihood.windows.white_noise(residuals))


def _most_noise(frames: Tensor) -> float:
    """The most that white noise in frames can be, standard deviation; infinity where fewer than three were observed.

    What is smooth in time is the smaller the more often differences are taken of it, while noise keeps its size but for
    a known factor: the variate difference method (O. Anderson, Biometrika 10, 1914), whose least upper limit is taken.

    Args:
        frames: newest ones [trajectory, frame, channel, y, x]; NaN where nothing was observed. Every k-th alone may be
            there.
    """
    differences = frames[:, torch.isfinite(frames).flatten(2).any(2).any(0)].double()
    least = math.inf
    for order in range(1, MOST_DIFFERENCES + 1):
        differences = differences.diff(dim=1)
        squares = differences[torch.isfinite(differences)].square()
        enough = FEWEST_DIFFERENCES if order > 2 else 1
        if order > 1 and len(squares) >= enough:
            count = len(squares)
            most = squares.mean() * count / float(chi2.ppf(1.0 - SURE, count))  # of few numbers a variance is not sure
            least = min(least, float((most / math.comb(2 * order, order)).sqrt()))
    return least


def _distance(context: Context, posterior: CodePosterior) -> float:
    """Of the best code from the middle of the visible ones, over that of the farthest of them, in units in which the
    visible ones vary alike in all directions."""
    lengths = CodePrior.of(context.codes, 1.0).whitened(torch.cat([context.codes, posterior.best[:1]])).norm(dim=1)
    return float(lengths[-1] / lengths[:-1].max().clamp(min=1e-12))


def _deviation(frames: Tensor) -> float:
    """Root mean square deviation of observed values from their channel's mean, normalised units."""
    rows = frames.movedim(2, 0).flatten(1)
    anomaly = rows - rows.nanmean(1, keepdim=True)
    return float(anomaly[torch.isfinite(anomaly)].square().mean().sqrt())


def _alike(context: Context, posterior: CodePosterior) -> list[str]:
    """Visible environments within the posterior's uncertainty of its best mode, nearest first."""
    chosen = int(posterior.log_weights[0].argmax())
    mode, precision = posterior.modes[0, chosen].double(), posterior.precision[0, chosen].double()
    known = posterior.prior.whitened(context.codes).double()
    dimensions = len(mode)
    covariance = torch.linalg.inv(precision) + CODE_ERROR**2 * torch.eye(
        dimensions, dtype=mode.dtype, device=mode.device
    )
    difference = known - mode
    distance = torch.einsum("ei,ij,ej->e", difference, torch.linalg.inv(covariance), difference)
    within = (distance <= float(chi2.ppf(SAME, dimensions))).nonzero()[:, 0].tolist()
    return [context.environments[row] for row in sorted(within, key=distance.__getitem__)]
