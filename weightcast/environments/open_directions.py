"""What frames leave open of an environment: in which directions of the learned codes, and in which parameters.

Everything is over the spread of the visible environments: 1 is as much as they differ among each other, so that nothing
of it is known; 0.1 is a tenth of that. Directions are ordered by what they do to forecasts, and those that do nothing
(:mod:`weightcast.environments.code_effects`) are not told. Parameters are read off codes by linear regression over the
visible environments. No method uses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

MATTERS = 0.01
"""Change of forecasts by a direction over that by the direction that does most, below which it does nothing."""
WIDEST, NARROWEST = "widest", "narrowest"
"""The combinations of directions that an environment's frames leave most and least open."""


@dataclass(frozen=True)
class Openness:
    """One quantity of one environment.

    Attributes:
        quantity: ``direction 1``, ... (principal ones of what the visible codes do to forecasts), ``widest``,
            ``narrowest``, or a parameter.
        spread: standard deviation of what the frames leave open, over that of the visible environments.
        explained: share of the visible codes' variance along the direction, counted by what it does to forecasts; of a
            parameter's, that codes explain; NaN of combinations.
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
    def of(
        cls, codes: np.ndarray, parameters: Mapping[str, np.ndarray], effects: np.ndarray | None = None
    ) -> CodeScale:
        """Units from the visible environments.

        Args:
            codes: [environment, dimension].
            parameters: of the same environments [environment] each; those that do not vary are left out.
            effects: mean products of what codes' numbers change in forecasts [dimension, dimension]; None: as much as
                each other.
        """
        mean = codes.mean(0)
        root = np.eye(codes.shape[1]) if effects is None else _root(effects)
        values, vectors = np.linalg.eigh(root @ np.cov(codes, rowvar=False).reshape(codes.shape[1], -1) @ root)
        values, vectors = np.maximum(values[::-1], 1e-12 * max(values.max(), 1e-12)), vectors[:, ::-1]
        kept = np.sqrt(values) >= (0.0 if effects is None else MATTERS) * np.sqrt(values[0])
        values, vectors = values[kept], vectors[:, kept]
        directions = root @ vectors / np.sqrt(values)
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


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of a symmetric matrix that is positive but for rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
