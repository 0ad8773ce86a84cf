"""How far a posterior over codes may be believed: settled on visible environments that its map was not trained on.

Neighbouring points and consecutive frames are no independent witnesses, and a map is not exact, so that a likelihood
that counts every number is far too sure. Its weight (temper) is chosen by the CRPS of the ensembles that follow; what
the forecasts are off by beyond the ensemble's spread is noted as the error of the model, step by step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.code_posteriors import draw_codes
from weightcast.environments.config.code_prior import CodeDrawName
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.context import Calibration, infer
from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.refinement import CodePrior
from weightcast.environments.weight_maps import WeightMap

AS_GOOD = 0.01
"""Difference of mean log CRPS that does not decide between ways to draw."""
MEMBERS = 16
"""Candidates of the ensembles that are compared."""
SHOWN = ((1.0, 0.0), (0.2, 0.05), (0.2, 0.2))
"""What is shown of left-out environments: a share of the frames, and noise on them in standard deviations."""


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
) -> Calibration:
    """Choose the temper and how codes are drawn, and note what errors the ensembles leave.

    Args:
        weight_map: trained without these environments.
        predictor: whose weights they are.
        codes: of the environments that it was trained on.
        shown: frames of the left-out environments [environment, trajectory, frame, channel, y, x], normalised.
        test: their frames that are forecast from the first on, same axes.
        space: of whole frames.
        settings: of the search.
        least_noise: residuals where the map was trained, for rollouts of 1, 2, ... steps.
        seed: of the draws.
        prior: of codes; None for the widened normal distribution of the visible ones.
    """
    cases = observations(shown, seed)

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
            )
            for number, frames in enumerate(cases)
        ]

    scores, ensembles = [], []
    draw: CodeDrawName = "laplace" if settings.draw == "auto" else settings.draw
    for temper in settings.tempers:
        trial = Calibration(temper, least_noise, [], math.nan, draw)
        ensembles.append(made(trial))
        scores.append(_score([forecast for forecast, _ in ensembles[-1]], test))
    best = min(range(len(scores)), key=scores.__getitem__)
    temper, score, chosen = settings.tempers[best], scores[best], ensembles[best]
    if settings.draw == "auto":
        others: tuple[CodeDrawName, ...] = ("weighted", "langevin")
        ways = {draw: chosen} | {other: made(Calibration(temper, least_noise, [], math.nan, other)) for other in others}
        draw, score = _best_draw(ways, test)
        chosen = ways[draw]
    forecasts, noise = chosen[0]
    return Calibration(
        temper=temper,
        least_noise=least_noise,
        model_error=_model_error(forecasts, test).tolist(),
        usual_residual=float(noise.max() / max(trial.noise_of(shown.shape[2] - 1), 1e-6)),
        draw=draw,
        crps=score,
    )


def _best_draw(ways: Mapping[CodeDrawName, list[tuple[Tensor, Tensor]]], test: Tensor) -> tuple[CodeDrawName, float]:
    """Of the ways whose CRPS is as good as the best, the one whose intervals cover best; and its score."""
    scores = {draw: _score([forecast for forecast, _ in made], test) for draw, made in ways.items()}
    least = min(scores.values())
    off = {
        draw: abs(_score([forecast for forecast, _ in made], test, "coverage_90") - 0.9)
        for draw, made in ways.items()
        if scores[draw] <= least + AS_GOOD
    }
    for draw, score in scores.items():
        print(
            f"draws: {draw}, mean log CRPS {score:.4g}" + (f", coverage off by {off[draw]:.3g}" if draw in off else "")
        )
    best = min(off, key=off.__getitem__)
    return best, scores[best]


def observations(shown: Tensor, seed: int) -> list[Tensor]:
    """What is shown of environments, case by case: fewer frames, and noisy ones, too."""
    cases = []
    for share, noise in SHOWN:
        count = max(2, round(share * shown.shape[2]))
        frames = shown[:, :, :count]
        cases.append(frames + noise * Draws(shown.device, seed, "noise").normal(*frames.shape))
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
) -> tuple[Tensor, Tensor]:
    """Forecasts [environment, member, trajectory, step, channel, y, x], and the residuals' scale [environment]."""
    posterior = infer(weight_map, predictor, codes, frames, space, settings, calibration, prior)
    drawn = draw_codes(calibration.draw, posterior, MEMBERS, draws)  # [environment, member, dimension]
    forecasts = []
    with torch.no_grad():
        for sample, true in zip(drawn, test, strict=True):
            start = true[None, :, 0].expand(MEMBERS, -1, -1, -1, -1)
            forecasts.append(predictor.rollout(weight_map(sample), start, true.shape[1] - 1))
    return torch.stack(forecasts), posterior.noise


def _score(cases: Sequence[Tensor], test: Tensor, metric: str = "crps") -> float:
    """Mean over cases and environments: of the CRPS' logarithm, of a coverage itself."""
    values = []
    for forecasts in cases:
        for members, true in zip(forecasts, test, strict=True):
            horizon = true.shape[1] - 1
            found = ensemble_metrics(members, torch.ones(len(members)), true[:, 1:], [horizon])
            value = next(value for name, _, value in found if name == metric)
            values.append(math.log(value + 1e-9) if metric == "crps" else value)
    return sum(values) / len(values)


def _model_error(forecasts: Tensor, test: Tensor) -> Tensor:
    """Standard deviation of the error that the ensemble's spread does not explain [step, channel]."""
    mean = forecasts.mean(1)
    error = (mean - test[:, :, 1:]).square()  # [environment, trajectory, step, channel, y, x]
    spread = forecasts.var(1)
    excess = torch.nan_to_num(error - spread, nan=0.0, posinf=0.0, neginf=0.0).mean((1, 4, 5))
    return excess.median(0).values.clamp(min=0.0).sqrt()
