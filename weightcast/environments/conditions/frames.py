"""The condition ``frames``: one to ten observed frames, through a network that is trained with what it conditions.

EnvAd-Diff (arXiv 2505.13919, second version) calls it a prompter. Its explicit branch takes physical statistics across
the frames, mean and trend, and, beside what is published, how the frames' rates of change respond to local terms. Its
implicit branch takes the frames' low spectra through a recurrent network; on a grid of one point these are the states
themselves. Each branch can be switched off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.environments.conditions.condition import Condition, Known
from weightcast.environments.config.condition import ConditionSettings, FramesSettings
from weightcast.environments.frame_features import FrameFeatures, pooled_frames
from weightcast.environments.scaling import ParameterScaling


class FramesCondition(Condition):
    """Observed frames, as they are, and the network that makes an embedding of them.

    The coordinates of an environment are its frames (`weightcast.environments.observation`) in physical units.

    Args:
        features: of observed frames.
        settings: branches, widths, how observations are varied in training.
        taught: parameters that the embedding is made to tell in training; None: none.
    """

    def __init__(self, features: FrameFeatures, settings: FramesSettings, taught: ParameterScaling | None) -> None:
        super().__init__()
        self.features, self.settings, self.taught = features, settings, taught
        self.layout = features.layout
        self.coordinates = self.layout.coordinates
        self.width = width = settings.width
        inputs = 0
        if features.explicit:
            self.explicit = nn.Sequential(nn.Linear(features.explicit, width), nn.GELU(), nn.Linear(width, width))
            inputs += width
        if settings.spectra:
            self.implicit = nn.GRU(features.implicit, width, batch_first=True)
            inputs += width
        self.embed = nn.Sequential(nn.GELU(), nn.Linear(inputs, width))
        if taught is not None:
            self.auxiliary = nn.Linear(width, len(taught.names))

    @classmethod
    def of(
        cls, visible: Sequence[Known], logarithmic: Sequence[str] = (), settings: ConditionSettings | None = None
    ) -> FramesCondition:
        chosen = (settings or ConditionSettings()).frames
        if not (chosen.statistics or chosen.responses or chosen.spectra):
            raise InputError("condition frames: found every branch switched off, expected one or more")
        taught = None
        parameters = [known.parameters or {} for known in visible]
        if chosen.auxiliary_weight > 0.0 and parameters[0]:
            values = torch.tensor([list(each.values()) for each in parameters], dtype=torch.double).numpy()
            taught = ParameterScaling.of(list(parameters[0]), values, logarithmic)
        return cls(FrameFeatures.of(visible, chosen), chosen, taught)

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> FramesCondition:
        settings, taught = FramesSettings(**description["settings"]), description["taught"]
        features = FrameFeatures.from_description(description["features"], settings)
        return cls(features, settings, None if taught is None else ParameterScaling.from_metadata(taught))

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "frames",
            "settings": self.settings.model_dump(mode="json"),
            "features": self.features.describe(),
            "taught": None if self.taught is None else self.taught.metadata(),
        }

    def prepare(self, known: Sequence[Known]) -> Tensor:
        return self.features.prepare(known)

    def pool(self, known: Sequence[Known]) -> Tensor:
        return pooled_frames(known)

    def drawn(self, pool: Tensor, rows: Tensor, draws: Draws) -> Tensor:
        return self.features.draw(pool, rows, draws)

    def targets(self, known: Sequence[Known]) -> Tensor | None:
        if self.taught is None:
            return None
        values = [[(one.parameters or {})[name] for name in self.taught.names] for one in known]
        return self.taught.apply(torch.tensor(values, dtype=torch.double).numpy())

    def auxiliary_loss(self, prepared: Tensor, targets: Tensor) -> Tensor:
        return self.settings.auxiliary_weight * (self.auxiliary(self(prepared)) - targets).square().mean()

    def forward(self, prepared: Tensor) -> Tensor:
        """Frames of one or several trajectories [batch, trajectory * coordinate] -> embeddings [batch, width]."""
        explicit, sequences, lengths = self.features(prepared)
        parts = [self.explicit(explicit)] if self.features.explicit else []
        if self.settings.spectra:
            batch, trajectories = lengths.shape
            hidden = self.implicit(sequences.flatten(0, 1))[0].unflatten(0, (batch, trajectories))
            last = (lengths - 1).clamp(min=0)[..., None, None].expand(-1, -1, 1, self.width)
            final = hidden.gather(2, last)[:, :, 0]  # [batch, trajectory, width]
            there = (lengths > 0)[..., None]
            parts.append((final * there).sum(1) / there.sum(1).clamp(min=1))
        return self.embed(torch.cat(parts, dim=-1))

    def towards(self, other: Condition) -> nn.Module:
        if not isinstance(other, FramesCondition) or other.layout != self.layout:
            raise InputError(
                "condition: found one of another kind, or of frames of another number, other channels or another grid, "
                "expected the same"
            )
        return nn.Identity()  # frames are in physical units, whatever the environments that either was made for

    def candidates(self) -> Tensor:
        raise InputError("condition frames: found a search for an environment, expected its frames")

    def named(self, prepared: Tensor) -> dict[str, float]:
        return {}

    def check(self, known: Known, source: str) -> list[str]:
        self.features.check(known, source)
        return []


CONDITION = FramesCondition
