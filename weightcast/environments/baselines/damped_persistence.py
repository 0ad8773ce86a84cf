"""Damped persistence: the first frame's anomaly, faded towards climatology.

    forecast at lag h = climatology + damping_h (first frame - climatology)

`damping_h` is the least-squares coefficient of the anomaly h frames later on the anomaly now, of every channel by
itself, over all visible environments' training frames: lag by lag, nothing being assumed of how it decays. It is the
classical reference of weather forecasts (e.g. D. S. Wilks, Statistical Methods in the Atmospheric Sciences; A. H.
Murphy, Climatology, persistence, and their linear combination as standards of reference in skill scores, Weather and
Forecasting 7 (1992) 692): where the damping is 1 it is persistence, where it is 0 it is climatology, and in between it
has a smaller mean square error than either, on the frames that it was fitted to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.environments.missing_values import any_missing, observed_mean


@dataclass(frozen=True)
class DampedPersistence:
    """A fitted forecast.

    Attributes:
        climatology: [channel, y, x], physical units.
        damping: [lag, channel], from lag 1 to the longest that was fitted.
    """

    climatology: Tensor
    damping: Tensor

    @classmethod
    def fit(cls, frames: Tensor, climatology: Tensor | None = None) -> DampedPersistence:
        """Fit the damping at every lag that the frames have.

        Args:
            frames: [environment, trajectory, frame, channel, y, x] in physical units, two frames or more; NaN where a
                value is missing.
            climatology: [channel, y, x]; None: the mean over environments, trajectories and frames.

        Raises:
            ValueError: there are fewer than two frames.
        """
        mean = observed_mean(frames, (0, 1, 2)) if climatology is None else climatology
        return cls.of_environments(frames, mean)

    @classmethod
    def of_environments(cls, environments: Iterable[Tensor], climatology: Tensor) -> DampedPersistence:
        """The same of environments that come one after the other.

        Args:
            environments: the frames of each [trajectory, frame, channel, y, x]; see :meth:`fit`.
            climatology: [channel, y, x].

        Raises:
            ValueError: there are fewer than two frames.
        """
        products = torch.zeros(0)
        squares = torch.zeros(0)
        for environment in environments:  # one at a time: twice the precision takes twice the memory
            steps = environment.shape[1] - 1
            if steps < 1:
                raise ValueError(
                    f"found {environment.shape[1]} frame, expected two or more: a lag is between two frames"
                )
            if not len(products):
                products = torch.zeros(steps, environment.shape[2], dtype=torch.double, device=environment.device)
                squares = torch.zeros_like(products)
            anomaly = (environment - climatology).double()
            missing = any_missing(anomaly)
            for lag in range(1, steps + 1):
                now, later = anomaly[:, :-lag], anomaly[:, lag:]
                if missing:  # pairs of which both are there count
                    pairs = torch.isfinite(now) & torch.isfinite(later)
                    now, later = torch.where(pairs, now, 0.0), torch.where(pairs, later, 0.0)
                products[lag - 1] += (now * later).sum((0, 1, 3, 4))
                squares[lag - 1] += now.square().sum((0, 1, 3, 4))
        # A channel that never leaves its climatology has nothing to damp.
        damping = torch.where(squares > 0, products / squares, torch.zeros_like(squares))
        return cls(climatology, damping.to(climatology.dtype))

    def damping_at(self, steps: int) -> Tensor:
        """The damping at lags 1..steps, [step, channel].

        Beyond the longest lag that was fitted, L, it decays as a first-order autoregressive process does that has the
        damping of that lag: damping_L ** (h / L); where that is negative, the forecast is climatology.
        """
        longest = len(self.damping)
        beyond = torch.arange(max(steps - longest, 0), dtype=torch.double, device=self.damping.device)
        lags = longest + 1 + beyond[:, None]
        decay = self.damping[-1].double().clamp(0.0, 1.0) ** (lags / longest)
        return torch.cat([self.damping[:steps], decay.to(self.damping.dtype)])

    def __call__(self, initial: Tensor, steps: int) -> Tensor:
        """Forecast from first frames [trajectory, channel, y, x]: [trajectory, step, channel, y, x]."""
        anomaly = (initial - self.climatology)[:, None]
        return self.climatology + self.damping_at(steps)[:, :, None, None] * anomaly
