"""Transforms of quantities that are never negative, as predictors see them: counts and concentrations spread over
orders of magnitude, and differ by factors rather than by amounts.

The logarithm makes growth by a factor a step of one length (G. E. P. Box and D. R. Cox, An analysis of transformations,
Journal of the Royal Statistical Society B 26 (1964) 211), the square root makes the spread of counts about the same at
every level (M. S. Bartlett, The use of transformations, Biometrics 3 (1947) 39).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor

from weightcast.core.errors import InputError
from weightcast.environments.config.data import TransformName

OF_COUNTS = 1.0
"""The logarithm's offset for whole numbers: one count, so that 0, 1 and 2 lie about as far apart as factors do."""
OF_LEAST = 0.5
"""The logarithm's offset for other numbers, over the least positive one: zero, which is below what could be measured or
written down, then lies below the least number by about as much as a factor of two."""


@dataclass(frozen=True)
class Transform:
    """A monotone map from numbers from 0 on, and its inverse.

    ``log`` is log(x + offset), but for a constant: log(1 + x / offset), which is 0 at 0 and exact close to it.

    Attributes:
        name: log or sqrt.
        offset: of the logarithm, in the quantity's units, above 0; the square root has none.
    """

    name: TransformName
    offset: float = 0.0

    @classmethod
    def of(cls, name: TransformName, values: Tensor) -> Transform:
        """One for a quantity of which these are values, of any shape; NaN where there is none.

        The offset of a logarithm is 1 for whole numbers, else half of the least positive value.

        Raises:
            InputError: a value is negative.
        """
        known = values[torch.isfinite(values)].double()
        if known.numel() and float(known.min()) < 0:
            raise InputError(f"found {float(known.min()):.6g}, expected none below 0 with the transform {name}")
        if name == "sqrt":
            return cls(name)
        positive = known[known > 0]
        whole = not positive.numel() or bool((positive == positive.round()).all())
        return cls(name, OF_COUNTS if whole else OF_LEAST * float(positive.min()))

    def apply(self, values: Tensor) -> Tensor:
        """The transform of numbers; of a negative one that of 0, NaN of NaN."""
        values = values.clamp(min=0.0)
        return values.sqrt() if self.name == "sqrt" else torch.log1p(values / self.offset)

    def invert(self, values: Tensor) -> Tensor:
        """The inverse: never below 0; NaN of NaN alone. Beyond what floating-point numbers hold it is infinite."""
        values = values.clamp(min=0.0)  # below the transform of 0 there is nothing
        return values.square() if self.name == "sqrt" else self.offset * torch.expm1(values)


Transforms = Sequence[Transform | None]
"""Of channels, in their order, None of those that are seen as they are; channels behind the last are seen so too."""


def transformed(frames: Tensor, transforms: Transforms) -> Tensor:
    """Frames [..., channel, y, x] through the transforms of their channels; as they are without any."""
    return _through(frames, [transform.apply if transform else None for transform in transforms])


def untransformed(frames: Tensor, transforms: Transforms) -> Tensor:
    """The inverse of :func:`transformed`."""
    return _through(frames, [transform.invert if transform else None for transform in transforms])


def never_negative(frames: Tensor, transforms: Sequence[object]) -> Tensor:
    """Frames [..., channel, y, x] with 0 for what is below it in channels that have a transform, or the name of one."""
    return _through(frames, [None if transform is None else _clamped for transform in transforms])


def _clamped(values: Tensor) -> Tensor:
    return values.clamp(min=0.0)


def _through(frames: Tensor, maps: Sequence[Callable[[Tensor], Tensor] | None]) -> Tensor:
    """Channels of frames [..., channel, y, x] through maps of their own."""
    own = maps[: frames.shape[-3]]
    if not any(own):
        return frames
    parts = [part if one is None else one(part) for part, one in zip_longest(frames.unbind(-3), own)]
    return torch.stack(parts, -3)
