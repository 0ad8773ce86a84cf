"""Optimal-transport conditional flow matching (OT-CFM): one vector field that carries each snapshot to the next.

Tong et al., "Improving and generalizing flow-based generative models with minibatch optimal transport", TMLR 2024.
The conditional paths and minibatch plans are those of its authors' package, torchcfm, which is an optional dependency.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torchdiffeq import odeint

from weightcast.core.config.training import TrainingSettings
from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Resume, fit
from weightcast.evolution.baselines.displacement import check_request, checked_snapshots
from weightcast.evolution.distances.moments import Array

_TOLERANCE = 1e-4
"""Relative and absolute, in standard deviations of the data, of the integration in `FlowMatching.sample`."""


class VectorField(nn.Module):
    """Velocity of a sample as a function of time and place: a perceptron with three hidden layers.

    Attributes:
        layers: from the place and the time, scaled to 0..1, to the velocity.
        duration: greatest time.
    """

    def __init__(self, dimensions: int, width: int, duration: float) -> None:
        super().__init__()
        self.duration = duration
        self.layers = nn.Sequential(
            nn.Linear(dimensions + 1, width),
            nn.SELU(),
            nn.Linear(width, width),
            nn.SELU(),
            nn.Linear(width, width),
            nn.SELU(),
            nn.Linear(width, dimensions),
        )

    def forward(self, time: Tensor, place: Tensor) -> Tensor:
        """Velocity [sample, dimension] at times [] or [sample] and places [sample, dimension]."""
        column = (time / self.duration).expand(len(place))[:, None]
        return torch.as_tensor(self.layers(torch.cat([place, column], dim=1)))


class FlowMatching:
    """Samples at any time between the first and the last snapshot, carried there from the first.

    Inside, every dimension is standardised by the mean and standard deviation of all snapshots together. Time is
    counted in intervals, linear between snapshots, as in the literature: so a short interval, with its high
    velocities, weighs no more in the training than a long one.

    Attributes:
        times: [snapshot], in units of time.
        samples: of each snapshot [sample, dimension], in the state's units; their numbers may differ.
        field: the trained vector field.
        losses: [step], mean squared error of the velocity before each step, in standard deviations an interval.
        seconds: that the training took.
    """

    def __init__(
        self,
        times: ArrayLike,
        samples: Sequence[ArrayLike],
        seed: int,
        *,
        steps: int = 2000,
        width: int = 64,
        batch: int = 128,
        learning_rate: float = 2e-3,
        resume: Resume | None = None,
    ) -> None:
        """Train the vector field on all intervals between neighbouring snapshots at once.

        In each step a batch of both snapshots of every interval is coupled by the exact optimal plan (squared
        Euclidean cost), a pair drawn from it moves in a straight line at constant speed, and the field is fitted to
        its velocity by least squares (the paper's algorithm 3, with no noise: sigma 0).

        Args:
            times: [snapshot], increasing.
            samples: for each time [sample, dimension].
            seed: of the initial weights and of the batches.
            steps: of the optimiser.
            width: of the hidden layers.
            batch: samples of each snapshot in a step, drawn with replacement.
            learning_rate: its peak.
            resume: where to keep the training's state; None trains in one go.

        Raises:
            InputError: as `checked_snapshots`, torchcfm is not installed, a number below 1, or the training diverged.
        """
        torchcfm = _torchcfm()
        for name, number in (("steps", steps), ("width", width), ("batch", batch)):
            if number < 1:
                raise InputError(f"flow matching: {name}: found {number}, expected at least 1")
        self.times, self.samples = checked_snapshots(times, samples)
        pooled = np.concatenate(self.samples)
        self._mean, deviation = pooled.mean(axis=0), pooled.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "flow-matching", "initial"))
            self.field = VectorField(pooled.shape[1], width, duration=len(self.times) - 1)

        snapshots = [self._standardised(array) for array in self.samples]
        matcher, sampler = torchcfm.ConditionalFlowMatcher(sigma=0.0), torchcfm.OTPlanSampler(method="exact")

        def loss(step: int) -> Tensor:
            generator = torch.Generator().manual_seed(derive_seed(seed, "flow-matching", step))
            instants, places, velocities = [], [], []
            for interval, (start, end) in enumerate(pairwise(snapshots)):
                pair = (_drawn(start, batch, generator), _drawn(end, batch, generator))
                plan = torch.from_numpy(sampler.get_map(*pair)).reshape(-1)
                # torchcfm would draw from the plan with numpy's global random state, which a step must not depend on.
                chosen = torch.multinomial(plan, batch, replacement=True, generator=generator)
                start_place, end_place = pair[0][chosen // batch], pair[1][chosen % batch]
                share = torch.rand(batch, generator=generator)
                with torch.random.fork_rng(devices=[]):  # it draws noise even where sigma is 0
                    _, place, velocity = matcher.sample_location_and_conditional_flow(start_place, end_place, share)
                instants.append(interval + share)
                places.append(place)
                velocities.append(velocity)
            predicted = self.field(torch.cat(instants), torch.cat(places))
            return (predicted - torch.cat(velocities)).square().mean()

        settings = TrainingSettings(steps=steps, learning_rate=learning_rate)
        result = fit(list(self.field.parameters()), loss, settings, resume=resume, label="flow matching")
        if bool(result.diverged.any()):
            raise InputError(
                f"flow matching: learning rate {learning_rate:g}: the training diverged, expected it not to"
            )
        self.losses, self.seconds = result.losses[:, 0], result.seconds

    @torch.no_grad()
    def sample(self, time: float, n: int, seed: int) -> Array:
        """Draw samples of the *first* snapshot, with replacement, and integrate the field from there to ``time``.

        As in the literature: later snapshots enter through the field alone, so its errors add up along the way. The
        solver is torchdiffeq's adaptive one of Dormand and Prince (dopri5). For counts, round the result
        (`weightcast.evolution.baselines.displacement.stochastic_rounding`).

        Args:
            time: within the range of the snapshots.
            n: number of samples.
            seed: of the draw; the same seed gives the same samples.

        Returns:
            [n, dimension], in the state's units.

        Raises:
            InputError: a time out of range, or n below 1.
        """
        check_request(time, n, self.times)
        drawn = np.random.default_rng(seed).choice(self.samples[0], size=n)
        if time == self.times[0]:
            return drawn
        span = torch.tensor([0.0, float(np.interp(time, self.times, np.arange(len(self.times))))])
        path = odeint(self.field, self._standardised(drawn), span, rtol=_TOLERANCE, atol=_TOLERANCE)
        return np.asarray(path[-1].double().numpy() * self._deviation + self._mean)

    def _standardised(self, samples: Array) -> Tensor:
        return torch.from_numpy((samples - self._mean) / self._deviation).float()


def _drawn(samples: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Samples [n, dimension] drawn with replacement from samples [sample, dimension]."""
    return samples[torch.randint(len(samples), (n,), generator=generator)]


def _torchcfm() -> Any:
    """The module of torchcfm with its matchers; its other modules need packages that are not installed."""
    try:
        import torchcfm.conditional_flow_matching as module
    except ModuleNotFoundError as error:
        raise InputError(
            f"flow matching: found no package '{error.name}', expected it: pip install 'weightcast[flow-matching]'"
        ) from None
    return module
