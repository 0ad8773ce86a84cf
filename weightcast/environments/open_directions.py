"""What frames leave open of an environment: in which directions of the learned codes, and in which parameters.

Everything is over the spread of the visible environments: 1 is as much as they differ among each other, so that nothing
of it is known; 0.1 is a tenth of that. Parameters are read off codes by linear regression over the visible
environments. No method uses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

WIDEST, NARROWEST = "widest", "narrowest"
"""The combinations of directions that an environment's frames leave most and least open."""


@dataclass(frozen=True)
class Openness:
    """One quantity of one environment.

    Attributes:
        quantity: ``direction 1``, ... (principal ones of the visible codes), ``widest``, ``narrowest``, or a parameter.
        spread: standard deviation of what the frames leave open, over that of the visible environments.
        explained: share of the visible codes' variance along the direction; of a parameter's, that codes explain; NaN
            of combinations.
        error: of a parameter, distance of the mean from the truth over the visible environments' standard deviation;
            NaN of others.
    """

    quantity: str
    spread: float
    explained: float
    error: float


@dataclass(frozen=True)
class CodeScale:
    """Units of codes, and of parameters that are read off them.

    Attributes:
        mean: of the visible codes [dimension].
        directions: principal ones, in columns, over their standard deviation [dimension, direction].
        shares: of the variance [direction].
        names: of the parameters.
        readout: intercept, then coefficients [1 + direction, parameter]; standardised parameters.
        explained: of each parameter [parameter].
        centre: parameters' means over the visible environments [parameter].
        deviation: and standard deviations [parameter].
    """

    mean: np.ndarray
    directions: np.ndarray
    shares: np.ndarray
    names: tuple[str, ...]
    readout: np.ndarray
    explained: np.ndarray
    centre: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, parameters: Mapping[str, np.ndarray]) -> CodeScale:
        """Units from the visible environments.

        Args:
            codes: [environment, dimension].
            parameters: of the same environments [environment] each; those that do not vary are left out.
        """
        mean = codes.mean(0)
        values, vectors = np.linalg.eigh(np.cov(codes, rowvar=False).reshape(codes.shape[1], -1))
        values, vectors = np.maximum(values[::-1], 1e-12 * max(values.max(), 1e-12)), vectors[:, ::-1]
        directions = vectors / np.sqrt(values)
        names = tuple(name for name, known in parameters.items() if np.ptp(known) > 0)
        truth = np.stack([parameters[name] for name in names], 1) if names else np.zeros((len(codes), 0))
        centre, deviation = truth.mean(0), truth.std(0)
        standard = (truth - centre) / deviation
        design = np.concatenate([np.ones((len(codes), 1)), (codes - mean) @ directions], 1)
        readout = np.linalg.lstsq(design, standard, rcond=None)[0]
        explained = 1.0 - np.square(standard - design @ readout).mean(0)
        return cls(mean, directions, values / values.sum(), names, readout, explained, centre, deviation)

    def openness(self, drawn: np.ndarray, parameters: Mapping[str, float]) -> Iterator[Openness]:
        """What is open of one environment.

        Args:
            drawn: codes as its frames leave them possible [draw, dimension].
            parameters: its true ones, for the error alone.
        """
        units = (drawn - self.mean) @ self.directions  # [draw, direction]
        for number, spread in enumerate(units.std(0, ddof=1)):
            yield Openness(f"direction {number + 1}", float(spread), float(self.shares[number]), np.nan)
        if units.shape[1] > 1:
            axes = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(units, rowvar=False)), 0.0))
            yield Openness(WIDEST, float(axes[-1]), np.nan, np.nan)
            yield Openness(NARROWEST, float(axes[0]), np.nan, np.nan)
        read = self.readout[0] + units @ self.readout[1:]  # [draw, parameter]
        for number, name in enumerate(self.names):
            truth = (parameters[name] - self.centre[number]) / self.deviation[number]
            off = abs(float(read[:, number].mean()) - truth)
            yield Openness(name, float(read[:, number].std()), float(self.explained[number]), off)
