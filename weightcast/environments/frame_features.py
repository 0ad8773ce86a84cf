"""Observed frames as numbers of a sensible size: what is told of an environment from what it looks like.

Nothing is learned here by gradients. The medians and spreads that make features comparable are those of random short
observations of the visible environments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.environments.conditions.condition import Known
from weightcast.environments.config.condition import FramesSettings
from weightcast.environments.frame_statistics import describe_frames, low_spectra, responses
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.observation import ObservationLayout, draw_observations

SAMPLES, CHUNK = 512, 32
"""Observations behind the median and spread of features, and how many of them are looked at together."""
LARGEST_LAYOUT = 50_000_000
"""Numbers that looking at an observation takes, at most: channels count twice, since they are compared in pairs."""
LEVELS = torch.tensor([0.16, 0.5, 0.84])
"""Quantiles that features are scaled by: the median, and half of what lies between the others, a standard deviation of
what is normal."""
LARGEST = 3.0
"""Spreads at which features level off: a rare least-squares fit of few points must not drown the others."""


class FrameFeatures(nn.Module):
    """Features of observations: one vector of statistics, and a sequence with an entry a frame.

    Args:
        layout: of observations.
        normalisation: of frames, of the visible environments.
        settings: which branches there are, Fourier modes.
        scales: median and spread of the explicit features, size of the sequence's; None while these are found.

    Attributes:
        explicit: numbers of the vector.
        implicit: numbers of an entry of the sequence.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        normalisation: Normalisation,
        settings: FramesSettings,
        scales: Mapping[str, list[float]] | None = None,
    ) -> None:
        super().__init__()
        self.layout, self.normalisation, self.settings = layout, normalisation, settings
        self.scales = None if scales is None else dict(scales)
        with torch.device("cpu"):  # also where a network is built without numbers, for its sizes alone
            nothing = torch.full((1, layout.coordinates), torch.nan)
            vector, sequence, _ = self._raw(nothing)
        self.explicit, self.implicit = vector.shape[-1], sequence.shape[-1]

    @classmethod
    def of(cls, visible: Sequence[Known], settings: FramesSettings) -> FrameFeatures:
        """Features that are scaled by observations of visible environments.

        Args:
            visible: with frames.
            settings: branches, and how observations vary.
        """
        pool = pooled_frames(visible)
        channels, rows, columns = pool.shape[3:]
        layout = ObservationLayout(settings.frames, channels, (rows, columns))
        shown = pool[~pool.flatten(3).isnan().all(3)]  # [frame, channel, y, x]
        features = cls(layout, Normalisation.of(shown, transforms=visible[0].transforms), settings)
        draws, vectors, sequences = Draws("cpu", "frame features"), [], []
        for first in range(0, SAMPLES, CHUNK):
            environment = torch.arange(first, first + CHUNK) % len(pool)
            vector, sequence, lengths = features._raw(features.draw(pool, environment, draws))
            vectors.append(vector)
            sequences.append(sequence[torch.arange(layout.slots) < lengths[..., None]])
        vector, entries = torch.cat(vectors), torch.cat(sequences)
        # Fits of few points have heavy tails: quantiles, which these do not move, keep apart what differs elsewhere.
        quantiles = [torch.nan_to_num(column.nanquantile(LEVELS)) for column in vector.T]
        below, middle, above = torch.stack(quantiles).T if quantiles else vector.new_zeros(3, 0)
        features.scales = {
            "middle": middle.tolist(),
            "spread": (0.5 * (above - below)).clamp(min=1e-6).tolist(),
            "entry": entries.square().mean(0).sqrt().clamp(min=1e-6).tolist(),
        }
        return features

    @classmethod
    def from_description(cls, description: Mapping[str, Any], settings: FramesSettings) -> FrameFeatures:
        """The inverse of :meth:`describe`."""
        rows, columns = description["grid"]
        layout = ObservationLayout(settings.frames, int(description["channels"]), (int(rows), int(columns)))
        if min(layout.frame) < 1 or layout.coordinates * layout.channels > LARGEST_LAYOUT:
            found = f"{layout.slots} frames of {layout.channels} x {rows} x {columns} numbers"
            raise InputError(f"condition.features: found {found}, expected fewer")
        normalisation = Normalisation.from_metadata(description["normalisation"])
        features = cls(layout, normalisation, settings, description["scales"])
        numbers = {"middle": features.explicit, "spread": features.explicit, "entry": features.implicit}
        for name, count in numbers.items():
            if len(found := description["scales"][name]) != count:
                raise InputError(f"condition.features.scales.{name}: found {len(found)} numbers, expected {count}")
        return features

    def describe(self) -> dict[str, Any]:
        """JSON values that features are built again from."""
        return {
            "channels": self.layout.channels,
            "grid": list(self.layout.grid),
            "normalisation": self.normalisation.metadata(),
            "scales": self.scales,
        }

    def draw(self, pool: Tensor, rows: Tensor, draws: Draws) -> Tensor:
        """Random short observations of environments of a pool, with noise as large as the channels' spreads in physical
        units say: see :func:`weightcast.environments.observation.draw_observations`."""
        spread = torch.tensor(self.normalisation.physical_scale, dtype=torch.float32, device=pool.device)
        transforms = self.normalisation.transforms
        return draw_observations(self.layout, pool, rows, spread, self.settings, draws, transforms=transforms)

    def prepare(self, known: Sequence[Known]) -> Tensor:
        """What is known of each environment -> coordinates [environment, trajectory * coordinate], on the CPU.

        Raises:
            InputError: an environment has no frames, or they do not fit.
        """
        rows = []
        for one in known:
            self.check(one, "condition")
            rows.append(self.layout.observe(_frames(one).cpu(), one.times))
        longest = max(map(len, rows))
        return torch.stack([nn.functional.pad(row, (0, longest - len(row)), value=torch.nan) for row in rows])

    def check(self, known: Known, source: str) -> None:
        """Check frames that somebody observed.

        Raises:
            InputError: there are none, they are of another shape, or nothing of them was seen; names ``source``.
        """
        frames = _frames(known, source)
        if frames.ndim != 5 or tuple(frames.shape[2:]) != self.layout.frame:
            raise InputError(
                f"{source}: found frames of shape {list(frames.shape)}, expected [trajectory, time, channel = "
                f"{self.layout.channels}, y = {self.layout.grid[0]}, x = {self.layout.grid[1]}]"
            )
        if frames.isinf().any():
            raise InputError(f"{source}: found Inf, expected finite numbers, or NaN where nothing was observed")
        if bool(frames.isnan().all()):
            raise InputError(f"{source}: found NaN everywhere, expected frames of which something was observed")

    @torch.no_grad()
    def forward(self, prepared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of observations, each of one or several trajectories.

        Args:
            prepared: [batch, trajectory * coordinate].

        Returns:
            The vector [batch, explicit], averaged over trajectories, 0 for what cannot be told; the sequence
            [batch, trajectory, slot, implicit]; and how many frames each trajectory has [batch, trajectory].
        """
        assert self.scales is not None
        vector, sequence, lengths = self._raw(prepared)
        middle, spread, entry = (
            torch.tensor(self.scales[name], dtype=prepared.dtype, device=prepared.device)
            for name in ("middle", "spread", "entry")
        )
        vector = LARGEST * torch.tanh((vector - middle) / spread / LARGEST)
        return vector.nan_to_num(), LARGEST * torch.tanh(sequence / entry / LARGEST), lengths

    def _raw(self, prepared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features before they are scaled; NaN in the vector for what cannot be told."""
        times, frames = self.layout.unpack(prepared)
        lengths = (~times.isnan()).sum(2)
        frames = self.normalisation.apply(frames)
        flat, at = frames.flatten(0, 1), times.flatten(0, 1)
        parts = [flat.new_zeros(len(flat), 0)]
        if self.settings.statistics:
            parts.append(describe_frames(flat, at))
        if self.settings.responses:
            parts.append(responses(flat, at))
        vector = torch.cat(parts, dim=-1).masked_fill((lengths == 0).flatten()[:, None], torch.nan)
        vector = vector.unflatten(0, lengths.shape).nanmean(1)
        entries = low_spectra(frames, self.settings.modes)
        since = torch.diff(times, dim=2, prepend=times[:, :, :1]).nan_to_num()
        covered = (~frames.isnan()).flatten(3).to(frames.dtype).mean(3)
        # What a state changes by is small beside the state: the recurrent network is given both.
        steps = torch.diff(entries, dim=2, prepend=entries[:, :, :1]) / since.clamp(min=1e-6)[..., None]
        steps = steps * (since > 0)[..., None]
        sequence = torch.cat([entries, steps, since[..., None], covered[..., None]], dim=-1)
        return vector, sequence, lengths


def pooled_frames(known: Sequence[Known]) -> Tensor:
    """Training frames of environments [environment, trajectory, frame, channel, y, x], NaN for what one lacks."""
    frames = [_frames(one) for one in known]
    trajectories, steps = (max(each.shape[axis] for each in frames) for axis in (0, 1))
    padded = [
        nn.functional.pad(
            each, (0, 0, 0, 0, 0, 0, 0, steps - each.shape[1], 0, trajectories - len(each)), value=torch.nan
        )
        for each in frames
    ]
    return torch.stack(padded)


def _frames(known: Known, source: str = "condition") -> Tensor:
    if known.frames is None:
        raise InputError(f"{source}: found an environment without observed frames, expected some")
    return known.frames
