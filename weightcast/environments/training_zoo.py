"""What every training on a zoo starts from: its healthy members, their environments and what is known of those."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.environments.conditions import Known
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import Part, TrajectoryFolder
from weightcast.environments.jobs import Told
from weightcast.environments.known import known_of
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.zoo import Zoo


@dataclass(frozen=True)
class TrainingZoo:
    """The members of a zoo that did not diverge.

    Attributes:
        zoo: these members.
        environments: ids of the visible environments, each once, in the zoo's order.
        environment_of: long [member]; position of each member's environment in ``environments``.
        known: what is known of each environment.
    """

    zoo: Zoo
    environments: list[str]
    environment_of: Tensor
    known: list[Known]

    @classmethod
    def of(cls, zoo: Zoo, settings: Told, trajectories: TrajectoryFolder | None = None) -> TrainingZoo:
        """The members of a zoo that did not diverge, with what a stage is told of their environments."""
        zoo = zoo.healthy()
        environments = list(dict.fromkeys(zoo.environments))
        position = {environment: index for index, environment in enumerate(environments)}
        environment_of = torch.tensor([position[environment] for environment in zoo.environments])
        return cls(zoo, environments, environment_of, known_of(settings, trajectories, environments))

    def frames(self, trajectories: TrajectoryFolder, data: DataSettings, part: Part = "train") -> Tensor:
        """Normalised frames [environment, trajectory, frame, channel, y, x] of the trained horizon, on the CPU; inputs
        stand behind the channels of the state."""
        physical = trajectories.read(self.environments, data, part, data.trained_frames, inputs=True)
        return Normalisation.from_metadata(self.zoo.metadata["normalisation"]).apply_in_place(physical)
