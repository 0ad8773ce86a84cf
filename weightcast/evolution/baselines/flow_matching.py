"""Optimal-transport conditional flow matching (OT-CFM): one vector field that carries each snapshot to the next.

Tong et al., "Improving and generalizing flow-based generative models with minibatch optimal transport", TMLR 2024.
The conditional paths and minibatch plans are those of its authors' package, torchcfm, which is an optional dependency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torchdiffeq import odeint

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
from weightcast.core.config.training import TrainingSettings
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.evolution.displacement import check_request, checked_snapshots
from weightcast.evolution.distances.moments import Array

KIND = "flow-matching"
_TOLERANCE = 1e-4
"""Relative and absolute error of the integration in `FlowMatching.sample`, in standard deviations of the data."""


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


@dataclass(frozen=True)
class FlowMatching:
    """Samples at any time between the first and the last snapshot, carried there from the first.

    Inside, every dimension is standardised by the mean and standard deviation of all snapshots together. Time is
    counted in intervals, linear between snapshots, as in the literature: so a short interval, with its high
    velocities, weighs no more in the training than a long one.

    Attributes:
        times: [snapshot], in units of time.
        mean: [dimension], of all snapshots together, in the state's units.
        deviation: [dimension], above 0.
        field: the trained vector field.
        metadata: of the artifact: seconds of the training, losses' curve, digests.
    """

    times: Array
    mean: Array
    deviation: Array
    field: VectorField
    metadata: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Seconds that the training took."""
        return float(self.metadata["seconds"])

    @torch.no_grad()
    def sample(self, start: Array, time: float, n: int, seed: int) -> Array:
        """Draw samples of the *first* snapshot, with replacement, and integrate the field from there to ``time``.

        As in the literature: later snapshots enter through the field alone, so its errors add up along the way. The
        solver is torchdiffeq's adaptive one of Dormand and Prince (dopri5). For counts, round the result
        (`weightcast.evolution.displacement.stochastic_rounding`).

        Args:
            start: samples of the first snapshot [sample, dimension], in the state's units.
            time: within the range of the snapshots.
            n: number of samples.
            seed: of the draw; the same seed gives the same samples.

        Returns:
            [n, dimension], in the state's units.

        Raises:
            InputError: a time out of range, or n below 1.
        """
        check_request(time, n, self.times)
        drawn = np.random.default_rng(seed).choice(start, size=n)
        return self.carry(drawn, float(self.times[0]), time)

    @torch.no_grad()
    def carry(self, samples: Array, start: float, end: float) -> Array:
        """Integrate the field from samples at a time to a later one, both within the range of the snapshots: [sample,
        dimension] -> the same, in the state's units."""
        if start == end:
            return samples
        device = next(self.field.parameters()).device
        span = torch.from_numpy(np.interp([start, end], self.times, np.arange(len(self.times)))).float().to(device)
        begin = torch.from_numpy((samples - self.mean) / self.deviation).float().to(device)
        path = odeint(self.field, begin, span, rtol=_TOLERANCE, atol=_TOLERANCE)
        return np.asarray(path[-1].cpu().double().numpy() * self.deviation + self.mean)

    def to(self, device: torch.device) -> FlowMatching:
        """Compute on a device from now on; returns itself."""
        self.field.to(device)
        return self

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        tensors = {f"field.{name}": tensor for name, tensor in self.field.state_dict().items()}
        for name in ("times", "mean", "deviation"):
            tensors[name] = torch.from_numpy(getattr(self, name))
        save_artifact(path, KIND, tensors, self.metadata)

    @classmethod
    def load(cls, path: str | Path) -> FlowMatching:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, KIND)
        tensors, prefix = artifact.tensors, "field."
        with understood(artifact), torch.random.fork_rng(devices=[]):
            times, width = tensors["times"].numpy(), artifact.metadata["width"]
            mean, deviation = check_standardisation(tensors["mean"], tensors["deviation"])
            if times.ndim != 1 or len(times) < 2 or not (np.diff(times) > 0).all():
                raise InputError("tensors: times: expected two or more, increasing")
            field = load_built(
                lambda: VectorField(len(mean), width, duration=len(times) - 1),
                {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)},
            )
            made = cls(times, mean, deviation, field.requires_grad_(False), artifact.metadata)
            _ = made.seconds  # which must be there
            return made


def check_standardisation(mean: Tensor, deviation: Tensor) -> tuple[Array, Array]:
    """The means and standard deviations that an artifact standardises a state by, each [dimension].

    Raises:
        InputError: they are not of one shape, or a deviation is not above 0.
    """
    if mean.ndim != 1 or not len(mean) or mean.shape != deviation.shape or not bool((deviation > 0).all()):
        found = f"shapes {list(mean.shape)} and {list(deviation.shape)}"
        raise InputError(f"tensors: mean, deviation: found {found}, expected [dimension] of both, deviations above 0")
    return mean.numpy(), deviation.numpy()


def match_flow(
    run: Run,
    times: ArrayLike,
    samples: Sequence[ArrayLike],
    seed: int,
    *,
    steps: int = 2000,
    width: int = 64,
    batch: int = 128,
    learning_rate: float = 2e-3,
    metadata: Mapping[str, Any] | None = None,
) -> FlowMatching:
    """Train the vector field on all intervals between neighbouring snapshots at once.

    In each step a batch of both snapshots of every interval is coupled by the exact optimal plan (squared
    Euclidean cost), a pair drawn from it moves in a straight line at constant speed, and the field is fitted to
    its velocity by least squares (the paper's algorithm 3, with no noise: sigma 0).

    Args:
        run: that it is trained in.
        times: [snapshot], increasing.
        samples: for each time [sample, dimension]; their numbers may differ.
        seed: of the initial weights and of the batches.
        steps: of the optimiser.
        width: of the hidden layers.
        batch: samples of each snapshot in a step, drawn with replacement.
        learning_rate: its peak.
        metadata: to store with it.

    Raises:
        InputError: as `checked_snapshots`, torchcfm is not installed, or a number below 1.
        TrainingDiverged: a loss or a gradient is not finite.
    """
    torchcfm = _torchcfm()
    for name, number in (("steps", steps), ("width", width), ("batch", batch)):
        if number < 1:
            raise InputError(f"flow matching: {name}: found {number}, expected at least 1")
    instants, sets = checked_snapshots(times, samples)
    pooled = np.concatenate(sets)
    mean, deviation = pooled.mean(axis=0), pooled.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    with run.initialised(derive_seed(seed, "flow-matching", "initial")):
        field = VectorField(pooled.shape[1], width, duration=len(instants) - 1)
    field = field.to(run.device)

    snapshots = [torch.from_numpy((array - mean) / deviation).float() for array in sets]
    matcher, sampler = torchcfm.ConditionalFlowMatcher(sigma=0.0), torchcfm.OTPlanSampler(method="exact")

    def loss(step: int) -> Tensor:
        # Batches are coupled on the CPU, where the solver is; the field has them where it lives.
        draws = Draws("cpu", derive_seed(seed, "flow-matching", step))
        moments, places, velocities = [], [], []
        for interval, (start, end) in enumerate(pairwise(snapshots)):
            pair = (_drawn(start, batch, draws), _drawn(end, batch, draws))
            plan = torch.from_numpy(sampler.get_map(*pair)).reshape(-1)
            # torchcfm would draw from the plan with numpy's global random state, which a step must not depend on.
            chosen = torch.multinomial(plan, batch, replacement=True, generator=draws.generator)
            start_place, end_place = pair[0][chosen // batch], pair[1][chosen % batch]
            share = draws.uniform(batch)
            with torch.random.fork_rng(devices=[]):  # it draws noise even where sigma is 0
                _, place, velocity = matcher.sample_location_and_conditional_flow(start_place, end_place, share)
            moments.append(interval + share)
            places.append(place)
            velocities.append(velocity)
        predicted = field(run.place(torch.cat(moments)), run.place(torch.cat(places)))
        return (predicted - run.place(torch.cat(velocities))).square().mean()

    settings = TrainingSettings(steps=steps, learning_rate=learning_rate)
    result = run.fit(list(field.parameters()), loss, settings, name="flow matching")
    described = {"width": width, "seconds": result.seconds, "metrics": {"last_loss": result.last_loss}}
    return FlowMatching(instants, mean, deviation, field, dict(metadata or {}) | described | run.described())


def _drawn(samples: Tensor, n: int, draws: Draws) -> Tensor:
    """Samples [n, dimension] drawn with replacement from samples [sample, dimension]."""
    return samples[draws.integers(len(samples), n)]


def _torchcfm() -> Any:
    """The module of torchcfm with its matchers; its other modules need packages that are not installed."""
    try:
        import torchcfm.conditional_flow_matching as module
    except ModuleNotFoundError as error:
        raise InputError(
            f"flow matching: found no package '{error.name}', expected it: {how_to_install('flow-matching')}"
        ) from None
    return module
