"""The stage ``show_observed``: an environment that nobody can name, from the frames that are seen to the forecast."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from weightcast.core.methods import CONTEXT, ENSEMBLE
from weightcast.core.outputs import Dataset
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.code_posteriors import draw_codes
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.ensemble_quantiles import weighted_quantiles
from weightcast.environments.evaluation import roll_out
from weightcast.environments.history import newest, recorded
from weightcast.environments.inputs import held
from weightcast.environments.jobs import ShowObserved
from weightcast.environments.observe import observe
from weightcast.environments.stages.evaluate_weights import along_horizon
from weightcast.environments.weights_table import WeightsFile

BAND = (0.05, 0.95)
"""Quantiles of the forecast that is drawn: 90 % lie between them."""
DEVIATIONS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Standard deviations of the visible codes at which a direction is shown."""
DIRECTIONS = 3
"""Principal directions of the codes that are shown, at most."""


@stage("show_observed")
def show_observed(
    run: Run, settings: ShowObserved, weights: WeightsFile, context: Context, trajectories: TrajectoryFolder
) -> Dataset:
    """What was shown of a few unseen environments, the ensemble's forecast of a test trajectory, and the truth; what
    codes of visible environments are, what the frames leave open of the shown ones', and what a code does.

    The ensemble is the one that the evaluation scored, the frames are those that it was made from.
    """
    ids, data = settings.ids, settings.data
    context = context.to(run.device)
    rows = settings.environments
    count = data.with_history(settings.case.frames)
    seen = trajectories.read_roles(rows, data, "train", count, settings.case.trajectories, inputs=True)
    transforms = data.channel_transforms
    driven = observe(seen, settings.case, ids, settings.seed, data.layout.shown, transforms, data.history)
    states = data.history * len(data.channels)
    shown = recorded(driven[:, 0, :, :states], data.history)  # [environment, frame, channel, y, x]
    tested = trajectories.read_roles(rows, data, "test", settings.steps + 1, trajectories=1, inputs=True)[:, 0]
    truth, inputs = run.place(tested).split([states, data.layout.shown], dim=2)
    forecast = np.stack(
        [_forecast(weights, id, true, own, run) for id, true, own in zip(ids, truth, inputs, strict=True)]
    )
    posterior = context.infer(run.place(driven), trajectories.land(ids, data))
    draws = run.draws(settings.seed, "show observed")
    drawn = draw_codes(context.calibration.draw, posterior, settings.members, draws)
    deviations, traversal = _traversal(context, truth[0, 0], inputs[0], settings.steps)
    grid = ("channel", "y", "x")
    return Dataset(
        xr.Dataset(
            {
                "shown": (("environment", "frame", *grid), shown.cpu().numpy()),
                "forecast": (("environment", "statistic", "time", *grid), forecast.astype(np.float32)),
                "code": (("visible", "number"), context.codes.cpu().numpy()),
                "inferred": (("environment", "member", "number"), drawn.cpu().numpy()),
                "open": (("environment", "direction"), posterior.spread.cpu().numpy()),
                "traversal": (("axis", "deviation", "time", *grid), traversal),
            },
            coords={
                "environment": ids,
                "statistic": ["truth", "mean", "low", "high"],
                "channel": data.channels,
                "time": np.arange(1, settings.steps + 1),
                "visible": context.environments,
                "deviation": deviations,
            },
            attrs={"equations": "\n".join(context.equations)},
        )
    )


def _forecast(weights: WeightsFile, environment: str, truth: Tensor, inputs: Tensor, run: Run) -> np.ndarray:
    """Truth, mean and band [statistic, step, channel, y, x] in physical units of one trajectory of states [frame, ...]
    with its inputs.

    Nothing is forecast behind an input that is not known. Members that break down are left out of mean and band; where
    all do, both are no numbers.
    """
    method = next(one for one in weights.methods if one.method == CONTEXT + ENSEMBLE)
    normalisation, steps = weights.normalisation_of(method), len(truth) - 1
    predictor = weights.predictor_of(method).to(run.device)
    networks = run.place(method.weights[method.environments.index(environment)])
    start = truth[None, :1].expand(len(networks), -1, -1, -1, -1)
    shown = inputs[None, None].expand(len(networks), 1, *inputs.shape)
    rolled = roll_out(
        networks,
        start,
        steps,
        predictor,
        normalisation,
        shown,
    )
    members = torch.stack([forecast[0] for forecast in rolled]).cpu()  # [member, step, channel, y, x]
    reached = steps
    if inputs.numel():
        known = torch.isfinite(held(inputs[:steps], predictor.layout)).flatten(1).all(1)  # [step]
        reached = int(known.int().cumprod(0).sum())
    members = members[torch.isfinite(members[:, :reached]).flatten(1).all(1)]
    true = newest(truth[1:], predictor.history).cpu()
    if not len(members):
        return np.stack([true.numpy(), *[np.full(true.shape, np.nan)] * 3])
    noise = None
    if method.model_error is not None:
        noise = along_horizon(torch.tensor(method.model_error), steps) * torch.tensor(
            normalisation.scale[: true.shape[1]]
        )
        noise = noise[..., None, None]
    # The error is in the units that predictors see; quantiles go through a monotone map as all values do.
    found = weighted_quantiles(normalisation.transformed(members), torch.ones(len(members)), BAND, noise)
    low, high = normalisation.untransformed(found)
    made = torch.stack([members.mean(0), low, high])
    made[:, reached:] = torch.nan  # behind an input that is not known
    return np.stack([part.numpy() for part in (true, *made)])


def _traversal(context: Context, start: Tensor, inputs: Tensor, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Deviations, and forecasts from one frame, with its inputs, by codes that lie so far from the mean along each
    principal direction [axis, deviation, step, channel, y, x]."""
    codes = context.codes
    centred = codes - codes.mean(0)
    values, vectors = torch.linalg.eigh(centred.mT @ centred / max(1, len(codes) - 1))
    deviations = torch.tensor(DEVIATIONS, device=codes.device)
    rows = [
        codes.mean(0) + deviations[:, None] * values[axis].clamp(min=0.0).sqrt() * vectors[:, axis]
        for axis in reversed(range(max(0, codes.shape[1] - DIRECTIONS), codes.shape[1]))
    ]
    base = context.base
    networks = context.weights(torch.cat(rows))
    first = start[None, None].expand(len(networks), -1, -1, -1, -1)
    shown = inputs[None, None].expand(len(networks), 1, *inputs.shape)
    rolled = [one[0] for one in roll_out(networks, first, steps, base.predictor, base.normalisation, shown)]
    forecasts = torch.stack(rolled).unflatten(0, (len(rows), len(DEVIATIONS)))
    return np.array(DEVIATIONS), forecasts.cpu().numpy()
