"""How far a posterior over codes may be believed: settled on visible environments that its map was not trained on.

Neighbouring points and consecutive frames are no independent witnesses, and a map is not exact, so that a likelihood
that counts every number is far too sure. What forecasts are off by beyond the ensemble's spread is the error of the
model, step by step; the weight of the likelihood (temper) is chosen by the CRPS of the ensembles with that error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.code_posteriors import draw_codes
from weightcast.environments.code_priors import CodePrior
from weightcast.environments.config.code_prior import CodeDrawName
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.context import Calibration, infer
from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.history import embedded, recorded
from weightcast.environments.map_choice import WORST
from weightcast.environments.missing_values import any_missing, observed_mean, reachable, usual_over_steps
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import WeightMap

AS_GOOD = 0.01
"""Difference of mean log CRPS that does not decide between tempers, and ways to draw."""
INTENDED_COVERAGE = 0.9
MEMBERS = 16
"""Candidates of the ensembles that are compared."""
SHOWN = ((1.0, 0.0), (0.2, 0.05), (0.2, 0.2))
"""What is shown of left-out environments: a share of the frames, and noise on them in standard deviations."""
SHARES = (0.0, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2)
"""Of the root mean square error that an ensemble's spread does not explain, as the scale of a normal distribution."""
WIDER = (*SHARES[1:], 1.5, 2.0)
"""The same of all errors, where those of the median environment leave intervals plainly short: in records some places
are far noisier than that, and in few windows it may have met no error at all."""
PLAINLY_SHORT = 0.85
"""Coverage of 90 % intervals below which more than the median environment's error is taken."""


def calibrate(
    weight_map: WeightMap,
    predictor: StackedPredictor,
    codes: Tensor,
    shown: Tensor,
    test: Tensor,
    space: FrameSpace,
    settings: RefineSettings,
    least_noise: list[float],
    seed: int,
    prior: CodePrior | None = None,
    bounded: int = 0,
    land: Tensor | None = None,
) -> Calibration:
    """Choose the temper and how codes are drawn, and note what errors the ensembles leave.

    Args:
        weight_map: trained without these environments.
        predictor: whose weights they are.
        codes: of the environments that it was trained on.
        shown: frames of the left-out environments [environment, trajectory, frame, channel, y, x], normalised.
        test: their frames that are forecast from the first on, same axes; NaN where nothing can be compared.
        space: of whole frames.
        settings: of the search.
        least_noise: residuals where the map was trained, for rollouts of 1, 2, ... steps.
        seed: of the draws.
        prior: of codes; None for the widened normal distribution of the visible ones.
        bounded: steps for which what a drawn code forecasts must stay within bounds; 0 where anything may be drawn.
        land: where channels of what is shown never have a value, see :func:`~weightcast.environments.context.infer`.
    """
    cases = observations(shown, seed, predictor.layout.shown, predictor.history)
    states = predictor.newest(test)
    if any_missing(test):
        states = torch.cat([states[:, :, :1], reachable(test, predictor.layout, predictor.history)], dim=2)

    def made(trial: Calibration) -> list[tuple[Tensor, Tensor]]:
        return [
            _ensemble(
                weight_map,
                predictor,
                codes,
                frames,
                test,
                space,
                settings,
                trial,
                Draws(codes.device, seed, number),
                prior,
                bounded,
                land,
            )
            for number, frames in enumerate(cases)
        ]

    def settled(temper: float, draw: CodeDrawName) -> _Settled:
        trial = Calibration(temper, least_noise, [], math.nan, draw)
        ensembles = made(trial)
        error, crps, coverage = _believable([forecast for forecast, _ in ensembles], states)
        noise = ensembles[0][1]
        usual = float(noise.max() / max(trial.noise_of(shown.shape[2] - 1), 1e-6))
        print(f"{draw}, temper {temper:g}: mean log CRPS {crps:.4g}, coverage {coverage:.2f} of 0.9", flush=True)
        return _Settled(Calibration(temper, least_noise, error.tolist(), usual, draw, crps), coverage)

    draw: CodeDrawName = "laplace" if settings.draw == "auto" else settings.draw
    chosen = _best([settled(temper, draw) for temper in settings.tempers])
    if settings.draw == "auto":
        others: tuple[CodeDrawName, ...] = ("weighted", "langevin")
        chosen = _best([chosen, *(settled(chosen.calibration.temper, other) for other in others)])
    return chosen.calibration


@dataclass(frozen=True)
class _Settled:
    """A calibration that was tried, and the share of the truths that its 90 % intervals held."""

    calibration: Calibration
    coverage: float

    @property
    def crps(self) -> float:
        assert self.calibration.crps is not None
        return self.calibration.crps


def _best(tried: Sequence[_Settled]) -> _Settled:
    """Of those whose CRPS is as good as the best, the one whose intervals hold what they should."""
    least = min(one.crps for one in tried)
    return min(
        (one for one in tried if one.crps <= least + AS_GOOD), key=lambda one: abs(one.coverage - INTENDED_COVERAGE)
    )


def observations(shown: Tensor, seed: int, inputs: int = 0, history: int = 1) -> list[Tensor]:
    """What is shown of environments, case by case: fewer frames, and noisy ones, too. The last so many channels are
    inputs, which are known as they are; states are of so many frames, each of which is spoilt once."""
    cases = []
    for share, noise in SHOWN:
        count = max(2, round(share * shown.shape[2]))
        frames, states = shown[:, :, :count], shown.shape[3] - inputs
        noisy = recorded(frames[:, :, :, :states], history)
        noisy = noisy + noise * Draws(shown.device, seed, "noise").normal(*noisy.shape)
        cases.append(torch.cat([embedded(noisy, history), frames[:, :, :, states:]], dim=3))
    return cases


def _ensemble(
    weight_map: WeightMap,
    predictor: StackedPredictor,
    codes: Tensor,
    frames: Tensor,
    test: Tensor,
    space: FrameSpace,
    settings: RefineSettings,
    calibration: Calibration,
    draws: Draws,
    prior: CodePrior | None = None,
    bounded: int = 0,
    land: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Forecasts [environment, member, trajectory, step, channel, y, x], and the residuals' scale [environment]."""
    posterior = infer(weight_map, predictor, codes, frames, space, settings, calibration, prior, bounded, land)
    drawn = draw_codes(calibration.draw, posterior, MEMBERS, draws)  # [environment, member, dimension]
    forecasts = []
    with torch.no_grad():
        for sample, true in zip(drawn, test, strict=True):
            windows = true[None].expand(MEMBERS, *true.shape)
            forecasts.append(predictor.forecast(weight_map(sample), windows))
    return torch.stack(forecasts), posterior.noise


def _believable(cases: Sequence[Tensor], test: Tensor) -> tuple[Tensor, float, float]:
    """The error of the model with which the ensembles' 90 % intervals hold 90 % of the truths, as nearly as they can.

    Args:
        cases: forecasts of each case [environment, member, trajectory, step, channel, y, x]; of the first one, in which
            most was shown, the error is taken.
        test: what came true [environment, trajectory, frame, channel, y, x]; NaN where that is not known.

    Returns:
        The error [step, channel]; the mean logarithm of the CRPS with it, over cases and environments; the coverage.
    """
    excess = _model_error(cases[0], test)
    # The root mean square is too wide for errors that are large in a few places and small elsewhere.
    error, coverage = _nearest([(share * excess, _coverage(cases[0], test, share * excess)) for share in SHARES])
    if coverage < PLAINLY_SHORT:
        whole = _whole_error(cases[0], test)
        tried = [(share * whole, _coverage(cases[0], test, share * whole)) for share in WIDER]
        error, _ = _nearest([(error, coverage), *tried])
    scores = [_scores(case, test, error) for case in cases]
    crps, coverage = (
        sum(
            math.log(min(score["crps"], WORST) + 1e-9) if name == "crps" else score[name]
            for of in scores
            for score in of
        )
        / sum(len(of) for of in scores)
        for name in ("crps", "coverage_90")
    )
    return error, crps, coverage


def _nearest(tried: Sequence[tuple[Tensor, float]]) -> tuple[Tensor, float]:
    """The error whose intervals hold most nearly what they should, with their coverage."""
    return min(tried, key=lambda one: abs(one[1] - INTENDED_COVERAGE))


def _coverage(forecasts: Tensor, test: Tensor, error: Tensor) -> float:
    """Of 90 % intervals, the mean over environments."""
    scores = _scores(forecasts, test, error, intervals_alone=True)
    return sum(score["coverage_90"] for score in scores) / len(scores)


def _scores(forecasts: Tensor, test: Tensor, error: Tensor, intervals_alone: bool = False) -> list[dict[str, float]]:
    """CRPS and coverage over the whole horizon, environment by environment, with an error [step, channel] around each
    member."""
    horizon, noise = test.shape[2] - 1, error.clamp(min=1e-9)
    return [
        {name: value for name, _, value in scores}
        for members, true in zip(forecasts, test, strict=True)
        for equal in [torch.ones(len(members))]
        for scores in [ensemble_metrics(members, equal, true[:, 1:], [horizon], noise, intervals_alone=intervals_alone)]
    ]


def _whole_error(forecasts: Tensor, test: Tensor) -> Tensor:
    """Root mean square of the errors of ensembles' means over all environments [step, channel]."""
    truth = test[:, :, 1:]
    squares = (forecasts.mean(1) - truth).square()
    limited = torch.nan_to_num(squares, nan=0.0, posinf=WORST**2).clamp(max=WORST**2)
    if any_missing(truth):
        own = observed_mean(limited.masked_fill(truth.isnan(), torch.nan), (0, 1, 4, 5))
        return usual_over_steps(own[None]).sqrt()
    return limited.mean((0, 1, 4, 5)).sqrt()


def _model_error(forecasts: Tensor, test: Tensor) -> Tensor:
    """Standard deviation of the error that the ensemble's spread does not explain [step, channel]."""
    mean = forecasts.mean(1)
    truth = test[:, :, 1:]
    error = (mean - truth).square()  # [environment, trajectory, step, channel, y, x]
    spread = forecasts.var(1)
    excess = torch.nan_to_num(error - spread, nan=0.0, posinf=0.0, neginf=0.0)
    if any_missing(truth):
        own = observed_mean(excess.masked_fill(truth.isnan(), torch.nan), (1, 4, 5))
        return usual_over_steps(own).clamp(min=0.0).sqrt()
    excess = excess.mean((1, 4, 5))
    return excess.median(0).values.clamp(min=0.0).sqrt()
