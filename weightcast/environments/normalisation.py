"""Physical units <-> the units that predictors see: the one place where they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weightcast.core.errors import InputError
from weightcast.environments.config.data import TransformName
from weightcast.environments.history import newest
from weightcast.environments.missing_values import observed_mean, observed_spread
from weightcast.environments.transform import Transform, transformed, untransformed

AT_ONCE = 2**24
"""Numbers whose mean and spread are computed at once."""
LEAST_SPREAD = 1e-6
"""Of an input over its size, below which it is taken to be constant."""


@dataclass(frozen=True)
class Normalisation:
    """Physical units <-> the units that predictors see: a transform, one mean and one scale a channel, the same
    everywhere.

    Behind those of the state stand those of inputs, where there are any; frames may be without the latter.

    Taken from the base's training data. A scale of each environment's own would leak its frames into a predictor
    that is generated from known parameters alone.

    Attributes:
        mean: of each channel, of what the transform makes of it.
        scale: standard deviation, likewise.
        transforms: of each channel, None of those that are seen as they are; empty where all are, in which case mean
            and scale are in physical units.
        physical: mean and standard deviation of each channel in physical units, where mean and scale are not these.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    transforms: tuple[Transform | None, ...] = ()
    physical: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @classmethod
    def of(
        cls, frames: Tensor, inputs: int = 0, transforms: Sequence[TransformName | None] = (), history: int = 1
    ) -> Normalisation:
        """Transform, mean and scale of each channel.

        Of a state of several frames all have those of the newest one: a frame that grows older stays the same numbers.

        Args:
            frames: [..., channel, y, x], physical units.
            inputs: how many of the channels, the last ones, are inputs.
            transforms: of the channels before these, of a frame; none of any where it is empty.
            history: frames of a state, newest first (:mod:`weightcast.environments.history`).

        Raises:
            InputError: a channel that has a transform is negative somewhere.
        """
        if history > 1:
            states = frames.shape[-3] - inputs
            single = torch.cat([newest(frames[..., :states, :, :], history), frames[..., states:, :, :]], dim=-3)
            return cls.of(single, inputs, transforms)._repeated(history, inputs)
        mean, scale = _moments(frames, inputs)
        if not any(transforms):
            return cls(mean, scale)
        chosen = list[Transform | None]()
        for number, name in enumerate(transforms):
            try:
                chosen.append(name and Transform.of(name, frames.select(-3, number)))
            except InputError as error:
                raise InputError(f"training frames: channel {number}: {error}") from None
        chosen += [None] * (frames.shape[-3] - len(chosen))
        return cls(*_moments(transformed(frames, chosen), inputs), tuple(chosen), (mean, scale))

    def _repeated(self, history: int, inputs: int) -> Normalisation:
        """Of states of so many frames, each as this one; the last channels are inputs."""
        frame = len(self.mean) - inputs
        mean, scale = (values[:frame] * history + values[frame:] for values in (self.mean, self.scale))
        transforms = self.transforms[:frame] * history + self.transforms[frame:]
        if self.physical is None:
            return Normalisation(mean, scale, transforms)
        own, spread = (values[:frame] * history + values[frame:] for values in self.physical)
        return Normalisation(mean, scale, transforms, (own, spread))

    @classmethod
    def from_metadata(cls, stored: dict[str, Any]) -> Normalisation:
        """The inverse of :meth:`metadata`."""
        mean, scale, names = tuple(stored["mean"]), tuple(stored["scale"]), stored.get("transforms")
        physical = None
        if stored.get("physical_mean") is not None and stored.get("physical_scale") is not None:
            physical = tuple(stored["physical_mean"]), tuple(stored["physical_scale"])
        if names is None:
            return cls(mean, scale, (), physical)
        transforms = tuple(
            None if name is None else Transform(name, offset)
            for name, offset in zip(names, stored["offsets"], strict=True)
        )
        return cls(mean, scale, transforms, physical)

    def metadata(self) -> dict[str, Any]:
        """JSON values; where these are in physical units mean and scale alone."""
        plain: dict[str, Any] = {"mean": list(self.mean), "scale": list(self.scale)}
        if self.physical is not None:
            plain |= {"physical_mean": list(self.physical_mean), "physical_scale": list(self.physical_scale)}
        if not self.transforms:
            return plain
        return plain | {
            "transforms": [transform and transform.name for transform in self.transforms],
            "offsets": [transform.offset if transform else 0.0 for transform in self.transforms],
        }

    @property
    def physical_mean(self) -> tuple[float, ...]:
        """Mean of each channel in its own units."""
        return self.mean if self.physical is None else self.physical[0]

    @property
    def physical_scale(self) -> tuple[float, ...]:
        """Standard deviation of each channel in its own units."""
        return self.scale if self.physical is None else self.physical[1]

    def transforms_of(self, channels: Sequence[str]) -> dict[str, str]:
        """Names of transforms, by those of the channels that have one."""
        pairs = zip(channels, self.transforms, strict=False)  # inputs have none, nor perhaps any channel
        return {name: transform.name for name, transform in pairs if transform}

    def apply(self, frames: Tensor) -> Tensor:
        """[..., channel, y, x] in physical units -> normalised."""
        frames = self.transformed(frames)
        return (frames - self._shaped(self.mean, frames)).div_(self._shaped(self.scale, frames))

    def apply_in_place(self, frames: Tensor) -> Tensor:
        """The same of frames [environment, ..., channel, y, x] that nobody needs any more, one environment at a time.

        Returns:
            The frames that were given, whose numbers are replaced.
        """
        for own in frames:
            own.copy_(self.apply(own))
        return frames

    def invert(self, frames: Tensor) -> Tensor:
        """[..., channel, y, x] normalised -> physical units; never below 0 in a channel that has a transform."""
        return self.untransformed(frames * self._shaped(self.scale, frames) + self._shaped(self.mean, frames))

    def transformed(self, frames: Tensor) -> Tensor:
        """[..., channel, y, x] in physical units -> transformed, in which ``scale`` is a length: where something is a
        number of predictors' units away, it is so many scales away here. Without transforms the frames as they are."""
        return transformed(frames, self.transforms)

    def untransformed(self, frames: Tensor) -> Tensor:
        """The inverse of :meth:`transformed`."""
        return untransformed(frames, self.transforms)

    def apply_to_inputs(self, inputs: Tensor) -> Tensor:
        """Inputs alone [..., shown, y, x], which are the last channels, in physical units -> normalised."""
        own = slice(len(self.mean) - inputs.shape[-3], None)
        return Normalisation(self.mean[own], self.scale[own]).apply(inputs)  # inputs have no transforms

    @staticmethod
    def _shaped(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values[: like.shape[-3]], dtype=like.dtype, device=like.device)[:, None, None]


def _moments(frames: Tensor, inputs: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and scale of each channel of frames [..., channel, y, x], of which the last so many are inputs."""
    mean, spread, size = _statistics(frames)
    scale = spread.clamp(min=1e-12)  # a constant channel must not divide by zero
    if inputs:  # one that is the same wherever networks are trained may be another elsewhere
        own = scale[-inputs:]
        scale[-inputs:] = torch.where(own > LEAST_SPREAD * size[-inputs:], own, torch.ones_like(own))
    return tuple(mean.tolist()), tuple(scale.tolist())


def _statistics(frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, spread and largest size of each channel of frames [..., channel, y, x], each [channel], where there are
    values; of many frames in two passes over blocks of them, since numbers are counted in double precision."""
    if frames.numel() <= AT_ONCE:
        channels = frames.movedim(-3, 0).flatten(1).double()
        return observed_mean(channels, (1,)), observed_spread(channels), channels.nan_to_num().abs().amax(1)
    single = frames.reshape(-1, *frames.shape[-3:])
    blocks = single.split(max(1, AT_ONCE // single[0].numel()))

    def totals(of_block: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.stack([of_block(block.movedim(1, 0).flatten(1).double()).nansum(1) for block in blocks]).sum(0)

    count = totals(lambda values: torch.isfinite(values).double())
    mean = totals(lambda values: values) / count
    squares = totals(lambda values: (values - mean[:, None]).square())
    size = torch.stack([block.nan_to_num().abs().amax((0, 2, 3)) for block in blocks]).amax(0).double()
    return mean, (squares / (count - 1)).sqrt().masked_fill(count < 2, torch.nan), size
