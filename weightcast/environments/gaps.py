"""Gaps in observed frames: what was not observed is estimated from what was, as the visible environments' frames vary
together (optimal interpolation; Gandin, 1963).

A rollout must start from a whole frame. Frames are taken to be normal, with the covariance that the principal
components of the visible environments' frames make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.missing_values import any_missing

MOST_COMPONENTS = 64
MOST_FRAMES = 1500
"""Frames of which components are made."""


@dataclass(frozen=True)
class FrameSpace:
    """What frames are like, all environments together, in normalised units.

    Attributes:
        mean: [value], a frame's channels and points in one row.
        components: [component, value], orthonormal over all channels.
        variances: of their coefficients [component].
        rest: variance of a value that the components leave.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    rest: Tensor

    @classmethod
    def of(cls, frames: Tensor) -> FrameSpace:
        """The principal components of frames [environment, trajectory, frame, channel, y, x], of those that are
        whole."""
        rows = frames.flatten(3).flatten(0, 2)
        if any_missing(rows):
            rows = rows[torch.isfinite(rows).all(1)]
        chosen = torch.linspace(0, len(rows) - 1, min(len(rows), MOST_FRAMES), device=rows.device).round().long()
        rows = rows[chosen]
        mean = rows.mean(0)
        _, singular, components = torch.linalg.svd(rows - mean, full_matrices=False)
        kept = min(MOST_COMPONENTS, len(singular))
        variances = singular.square() / max(1, len(rows) - 1)
        rest = variances[kept:].sum() / rows.shape[1]
        return cls(mean, components[:kept].contiguous(), variances[:kept].clamp(min=1e-10), rest.clamp(min=1e-6))

    def tensors(self) -> dict[str, Tensor]:
        """As an artifact holds them."""
        parts = {"mean": self.mean, "components": self.components, "variances": self.variances}
        return {f"frames.{name}": part for name, part in (parts | {"rest": self.rest.reshape(1)}).items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> FrameSpace:
        """The inverse of :meth:`tensors`."""
        mean, components, variances, rest = (
            tensors[f"frames.{name}"] for name in ("mean", "components", "variances", "rest")
        )
        return cls(mean, components, variances, rest[0])

    def to(self, device: torch.device) -> FrameSpace:
        """The same on a device."""
        return FrameSpace(*(part.to(device) for part in (self.mean, self.components, self.variances, self.rest)))

    def of_channels(self, chosen: slice, channels: int) -> FrameSpace:
        """What some channels of such frames are like.

        Args:
            chosen: which.
            channels: of a frame.
        """

        def own(rows: Tensor) -> Tensor:
            return rows.unflatten(-1, (channels, -1))[..., chosen, :].flatten(-2)

        return FrameSpace(own(self.mean), own(self.components), self.variances, self.rest)

    def complete(self, frames: Tensor, noise: float = 0.0) -> Tensor:
        """Frames without gaps.

        Args:
            frames: [..., channel, y, x], normalised; NaN where nothing was observed.
            noise: standard deviation of what is known to be noise on the observed values, in normalised units. Observed
                values stay as they are without, and are smoothed with it.

        Returns:
            The same shape. A frame of which nothing was observed becomes the mean.
        """
        rows = frames.flatten(-3).flatten(0, -2) if frames.ndim > 3 else frames.flatten()[None]
        observed = torch.isfinite(rows)
        if bool(observed.all()) and noise == 0.0:
            return frames
        filled = torch.empty_like(rows)
        for mine, precision, projected in self._estimates(rows, observed, noise):
            coefficients = torch.linalg.solve(precision, projected)  # [component, frame]
            filled[mine] = self.mean + coefficients.mT @ self.components
        kept = filled if noise > 0.0 else torch.where(observed, rows, filled)
        return kept.reshape(frames.shape)

    def draw(self, frames: Tensor, count: int, draws: Draws, noise: float = 0.0) -> Tensor:
        """What was not observed as it may have been, given what was.

        Args:
            frames: [..., channel, y, x], normalised; NaN where nothing was observed.
            count: draws.
            draws: of random numbers; the first draws do not depend on ``count``.
            noise: standard deviation of the observed values' noise, in normalised units; these stay as they are.

        Returns:
            [draw, ..., channel, y, x].
        """
        rows = frames.flatten(-3).flatten(0, -2) if frames.ndim > 3 else frames.flatten()[None]
        observed = torch.isfinite(rows)
        drawn = torch.stack([draws.normal(len(rows), len(self.variances) + rows.shape[1]) for _ in range(count)])
        whole = rows.expand(count, *rows.shape).clone()
        for mine, precision, projected in self._estimates(rows, observed, noise):
            factor = torch.linalg.cholesky(precision)
            mean = torch.cholesky_solve(projected, factor).mT  # [frame, component]
            around = drawn[:, mine, : len(self.variances)]
            spread = torch.linalg.solve_triangular(factor.mT, around[..., None], upper=True)[..., 0]
            beside = self.rest.sqrt() * drawn[:, mine, len(self.variances) :]
            whole[:, mine] = self.mean + (mean + spread) @ self.components + beside
        return torch.where(observed, rows, whole).reshape(count, *frames.shape)

    def _estimates(self, rows: Tensor, observed: Tensor, noise: float) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The normal equations of coefficients: frames that share them, all of a trajectory as a rule, bool [frame];
        their precision [component, component], and the right-hand sides [component, frame]."""
        anomaly = torch.where(observed, rows - self.mean, torch.zeros_like(rows))
        variance = self.rest + noise**2
        patterns, which = torch.unique(observed, dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            seen, mine = self.components * pattern, which == number
            precision = seen @ seen.mT / variance + torch.diag(1.0 / self.variances)
            yield mine, precision, seen @ anomaly[mine].mT / variance
