"""Multi-marginal flow matching with conditions: one velocity field for all environments, told time and parameters.

M. Rohbeck and others, "Modeling Complex System Dynamics with Flow Matching Across Time and Conditions", ICLR 2025
(MMFM): samples of an environment's snapshots are coupled, splines go through them (snapshot_splines.py), and a network
is fitted by least squares to their velocities. In a part of the training it is not told the parameters, so that it also
knows the velocity of any environment, and what is told can be believed more, or less, than in training (classifier-free
guidance: J. Ho and T. Salimans, arXiv 2207.12598). Written anew, after the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchdiffeq import odeint

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
from weightcast.core.draws import Draws
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.environments.scaling import ParameterScaling
from weightcast.evolution.baselines.flow_matching import check_standardisation
from weightcast.families.baselines.snapshot_splines import SnapshotSplines
from weightcast.families.config.opponents import ConditionalFlowSettings
from weightcast.families.snapshots import FamilySnapshots, Samples

Array = NDArray[np.float64]
KIND, FIELD = "conditional-flow", "field."
TOLERANCE = 1e-4
"""Relative and absolute error of the integration, in standard deviations of the data."""


class ConditionalField(nn.Module):
    """Velocity of a sample as a function of place, time and parameters: a perceptron with three hidden layers.

    Args:
        dimensions: of the state.
        conditions: parameters of an environment.
        width: of the hidden layers.
    """

    def __init__(self, dimensions: int, conditions: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(dimensions + 1 + conditions + 1, width), nn.SELU()),
            *(nn.Linear(width, width), nn.SELU()),
            *(nn.Linear(width, width), nn.SELU()),
            nn.Linear(width, dimensions),
        )

    def forward(self, times: Tensor, places: Tensor, conditions: Tensor, told: Tensor) -> Tensor:
        """Velocity [sample, dimension] at times [sample] and places [sample, dimension], of scaled parameters [sample,
        parameter] where these are told, 1 or 0 [sample]."""
        known = told[:, None]
        return torch.as_tensor(self.layers(torch.cat([places, times[:, None], conditions * known, known], dim=1)))


@dataclass(frozen=True)
class ConditionalFlow:
    """Samples of an environment, carried from one time to later ones.

    Inside, places are standardised by the mean and standard deviation of all visible snapshots, and time goes from 0 at
    the first of them to 1 at the last.

    Attributes:
        first, last: times, in the data's unit.
        mean: [dimension], in the state's units.
        deviation: [dimension], above 0.
        scaling: of the parameters.
        field: trained.
        guidance: how far the velocity goes from that of any environment, 0, to that of the parameters, 1, or beyond.
        metadata: of the artifact.
    """

    first: float
    last: float
    mean: Array
    deviation: Array
    scaling: ParameterScaling
    field: ConditionalField
    guidance: float
    metadata: dict[str, Any]

    @torch.no_grad()
    def carry(self, start: Samples, begin: float, times: Sequence[float], parameters: Tensor) -> Samples:
        """Move samples along the field (torchdiffeq's solver of Dormand and Prince).

        Args:
            start: samples at the time where it begins [sample, dimension], in the state's units.
            begin: that time, in the data's unit.
            times: to which they are carried, increasing, none before the begin; after the last visible snapshot samples
                stay where they are.
            parameters: scaled, of their environment [parameter].

        Returns:
            [time, sample, dimension], in the state's units.
        """
        device = next(self.field.parameters()).device
        scaled = ((np.clip([begin, *times], self.first, self.last) - self.first) / (self.last - self.first)).tolist()
        instants, place_of = np.unique(scaled, return_inverse=True)
        places = torch.from_numpy((start - self.mean) / self.deviation).float().to(device)
        conditions = parameters.to(device).expand(len(places), -1)
        ones, zeros = torch.ones(len(places), device=device), torch.zeros(len(places), device=device)

        def velocity(time: Tensor, at: Tensor) -> Tensor:
            told: Tensor = self.field(time.expand(len(at)), at, conditions, ones)
            if self.guidance == 1.0:
                return told
            anybody: Tensor = self.field(time.expand(len(at)), at, conditions, zeros)
            return anybody + self.guidance * (told - anybody)

        if len(instants) == 1:
            path = places[None]
        else:
            span = torch.from_numpy(instants).float().to(device)
            path = odeint(velocity, places, span, rtol=TOLERANCE, atol=TOLERANCE)
        moved = path.cpu().double().numpy() * self.deviation + self.mean
        return np.asarray(moved[place_of.reshape(-1)[1:]])

    def guided(self, guidance: float) -> ConditionalFlow:
        """The same with another guidance."""
        return replace(self, guidance=guidance)

    def to(self, device: torch.device) -> ConditionalFlow:
        """Compute on a device from now on; returns itself."""
        self.field.to(device)
        return self

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        tensors = {f"{FIELD}{name}": value for name, value in self.field.state_dict().items()}
        tensors |= {name: torch.from_numpy(getattr(self, name)) for name in ("mean", "deviation")}
        described = {
            "times": [self.first, self.last],
            "scaling": self.scaling.metadata(),
            "guidance": self.guidance,
            "width": self.field.layers[0].out_features,
        }
        save_artifact(path, KIND, tensors, self.metadata | described)

    @classmethod
    def load(cls, path: str | Path) -> ConditionalFlow:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, KIND)
        tensors, metadata = artifact.tensors, artifact.metadata
        with understood(artifact):
            mean, deviation = check_standardisation(tensors["mean"], tensors["deviation"])
            scaling = ParameterScaling.from_metadata(metadata["scaling"])
            state = {name.removeprefix(FIELD): value for name, value in tensors.items() if name.startswith(FIELD)}
            width = metadata["width"]
            field = load_built(lambda: ConditionalField(len(mean), len(scaling.names), width), state)
            assert isinstance(field, ConditionalField)
            first, last = metadata["times"]
            if not first < last:
                raise InputError("metadata: times: expected increasing times")
            field.requires_grad_(False)
            return cls(first, last, mean, deviation, scaling, field, metadata["guidance"], metadata)


def match_conditional_flow(
    run: Run,
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    ids: Sequence[str],
    settings: ConditionalFlowSettings,
    *,
    logarithmic: Sequence[str] = (),
    seed: int,
    name: str,
    metadata: Mapping[str, Any] | None = None,
) -> ConditionalFlow:
    """Train the field on the observed training samples of some environments.

    Args:
        run: that it is trained in.
        snapshots: of all environments.
        table: of the environments.
        ids: of those that are trained on.
        settings: sizes, training; the first guidance is taken.
        logarithmic: parameters whose logarithm is scaled.
        seed: of initial weights and draws.
        name: of the training, its own within the stage.
        metadata: to store with it; the seconds that the training took are added.

    Raises:
        InputError: no environment has two snapshots.
        TrainingDiverged: a loss or a gradient is not finite.
    """
    seen = [(one.times[place], one.train[place]) for one in map(snapshots.environments.__getitem__, ids)
            for place in np.flatnonzero(one.observed)]  # fmt: skip
    pooled = np.concatenate([values for _, values in seen])
    mean, deviation = pooled.mean(0), pooled.std(0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    first, last = float(min(time for time, _ in seen)), float(max(time for time, _ in seen))
    values = table.parameter_array(ids)
    scaling = ParameterScaling.of(table.parameter_names, values, logarithmic)
    conditions = run.place(scaling.apply(values))
    splines = SnapshotSplines.of(snapshots, ids, settings.curves, (mean, deviation), (first, last), seed)
    with run.initialised(derive_seed(seed, "conditional field")):
        field = ConditionalField(pooled.shape[1], conditions.shape[1], settings.width)
    field = run.place(field)

    def loss(step: int) -> Tensor:
        draws = Draws("cpu", derive_seed(seed, "conditional flow", step))
        environments, times, places, velocities = splines.draw(settings.batch, draws)
        told = (draws.uniform(settings.batch) >= settings.untold).float()
        places = places + settings.noise * draws.normal(*places.shape)
        of = conditions[run.place(environments)]
        found = field(run.place(times), run.place(places), of, run.place(told))
        return (found - run.place(velocities)).square().mean()

    result = run.fit(list(field.parameters()), loss, settings.training, name=name)
    field.requires_grad_(False)
    described = dict(metadata or {}) | {"seconds": result.seconds}
    return ConditionalFlow(first, last, mean, deviation, scaling, field, settings.guidances[0], described)
