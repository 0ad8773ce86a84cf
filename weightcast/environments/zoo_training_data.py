"""What every training of a generator starts from: the healthy zoo, its environments' parameters and their frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import Normalisation, read_part
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.zoo import Zoo


@dataclass(frozen=True)
class ZooTrainingData:
    """Attributes:
    zoo: members that did not diverge.
    environments: ids of the visible environments, each once, in the zoo's order.
    environment_of: long [member]; position of each member's environment in ``environments``.
    scaling: of the parameters, over these environments.
    parameters: scaled [environment, parameter].
    """

    zoo: Zoo
    environments: list[str]
    environment_of: Tensor
    scaling: ParameterScaling
    parameters: Tensor

    @classmethod
    def of(cls, zoo: Zoo, table: EnvironmentTable) -> ZooTrainingData:
        """From a zoo and the table of its environments."""
        zoo = zoo.healthy()
        environments = list(dict.fromkeys(zoo.environments))
        position = {environment: index for index, environment in enumerate(environments)}
        values = table.parameter_array(environments)
        logarithmic = ParameterScaling.from_metadata(zoo.metadata["scaling"]).logarithmic
        scaling = ParameterScaling.of(table.parameter_names, values, logarithmic)
        environment_of = torch.tensor([position[environment] for environment in zoo.environments])
        return cls(zoo, environments, environment_of, scaling, scaling.apply(values))

    def frames(self, folder: Path, data: DataSettings) -> Tensor:
        """Normalised training frames [environment, trajectory, frame, channel, y, x]."""
        physical = read_part(folder, self.environments, data, "train", data.trained_frames)
        return Normalisation.from_metadata(self.zoo.metadata["normalisation"]).apply(physical)
