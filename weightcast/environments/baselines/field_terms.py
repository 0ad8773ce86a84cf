"""Which terms a partial differential equation may have, and what they amount to between the frames of a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
from scipy.integrate import simpson
from scipy.interpolate import CubicSpline
from torch import Tensor

from weightcast.core.nets.partial_differential_field import Factor, FieldProducts
from weightcast.environments.baselines.sparse_equations import POINTS_BETWEEN, Chosen, Increments
from weightcast.environments.config.equations import MOST_ROWS
from weightcast.environments.explain.polynomials import Array


@dataclass(frozen=True)
class FieldTerms:
    """Terms of each equation, the same for all.

    Attributes:
        names: ``1``, ``u``, ``u v``, ``u dv/dx``, ``laplacian(u)``.
        factors: of each term.
        grid: points along (y, x).
        channels: number of physical channels.
    """

    names: list[str]
    factors: list[tuple[Factor, ...]]
    grid: tuple[int, int]
    channels: int

    @classmethod
    def of(cls, channels: Sequence[str], grid: tuple[int, int], degree: int, waves: int) -> FieldTerms:
        """Products of values up to a degree, first derivatives alone and times a value, Laplacians, how flows carry.

        Args:
            channels: their names.
            grid: points along (y, x).
            degree: the highest of products of values.
            waves: greatest number of periods along a side of constant forces; 0 for none but the constant.
        """
        count, along_line = range(len(channels)), grid[0] == 1
        found: list[tuple[str, tuple[Factor, ...]]] = [("1", ())]
        for size in range(1, degree + 1):
            for chosen in combinations_with_replacement(count, size):
                name = " ".join(channels[one] for one in chosen)
                found.append((name, tuple(("value", one, 0) for one in chosen)))
        for one, name in enumerate(channels):
            slopes = [(f"d{name}/d{axis}", (axis, one, 0)) for axis in ("x" if along_line else "xy")]
            found += [(said, (slope,)) for said, slope in slopes]
            found += [(f"{kind}({name})", ((kind, one, 0),)) for kind in ("laplacian", "differences")]
            for other in count:
                found += [(f"{channels[other]} {said}", (("value", other, 0), slope)) for said, slope in slopes]
                if not along_line:  # it has no streamfunctions
                    found.append((f"flow({channels[other]}) grad({name})", (("carried", other, one),)))
        for along_y in (0,) if along_line else range(-waves, waves + 1):
            for along_x in range(waves + 1):
                if along_x or along_y > 0:
                    for kind in ("cos", "sin"):
                        said = f"{kind}({along_y} y + {along_x} x)"
                        found.append((said, ((kind, along_y, along_x),)))
        return cls([name for name, _ in found], [of for _, of in found], grid, len(channels))

    def increments(self, frames: Tensor) -> Increments:
        """What fields change by between frames, and what terms amount to meanwhile, along cubic splines through them.

        Args:
            frames: [environment, trajectory, frame, channel, y, x]; two frames or more.
        """
        points, steps = self.grid[0] * self.grid[1], frames.shape[2] - 1
        # As many trajectories as make four times the rows, of which every fourth is taken.
        trajectories = min(frames.shape[1], max(1, -(-MOST_ROWS * 4 // (points * steps))))
        every = max(1, trajectories * points * steps // MOST_ROWS)
        integrals, changes = zip(*(self._of_one(of[:trajectories], every) for of in frames), strict=True)
        return Increments(np.stack(integrals), np.stack(changes))

    def architecture(self, chosen: Chosen, substeps: int) -> dict[str, Any]:
        """Describe the predictor of some terms, a
        :class:`weightcast.core.nets.partial_differential_field.PartialDifferentialField`."""
        terms = [
            [equation, [list(factor) for factor in self.factors[term]]]
            for equation, of in enumerate(chosen)
            for term in np.flatnonzero(of)
        ]
        return {
            "kind": "partial-differential-field",
            "channels": self.channels,
            "grid": list(self.grid),
            "terms": terms,
            "substeps": substeps,
        }

    def factors_of(self, term: int) -> list[int]:
        """The channels that a term is a product of, repeated where they are powers."""
        found: list[int] = []
        for kind, first, second in self.factors[term]:
            found += {"carried": [first, second], "cos": [], "sin": []}.get(kind, [first])
        return found

    def said(self, weights: Array, scale: Sequence[float]) -> Sequence[str]:
        """Their names, whatever the weights."""
        return self.names

    def doubtful(self) -> list[Chosen]:
        """Transport and forces, each bool [term]: what a field may well do without; diffusion and reactions it has."""
        kinds = [{factor[0] for factor in of} for of in self.factors]
        return [np.array([bool(of & family) for of in kinds]) for family in ({"x", "y", "carried"}, {"cos", "sin"})]

    def _of_one(self, frames: Tensor, every: int) -> tuple[Array, Array]:
        """An environment's integrals [row, term] and changes [row, channel], a row each so-many-th point of a step."""
        products = FieldProducts(self.grid, self.factors).to(frames.device)
        steps = frames.shape[1] - 1
        fine_times = np.linspace(0.0, steps, POINTS_BETWEEN * steps + 1)
        spline = CubicSpline(np.arange(steps + 1), frames.cpu().numpy(), axis=1)
        path = torch.from_numpy(spline(fine_times)).to(frames)  # [trajectory, fine, channel, y, x]
        between = np.arange(steps)[:, None] * POINTS_BETWEEN + np.arange(POINTS_BETWEEN + 1)
        integrals = []
        for trajectory in path:
            values = products(torch.fft.rfft2(trajectory)).flatten(2)[:, :, ::every]  # [fine, term, point]
            fine = values.cpu().double().numpy()
            integrals.append(simpson(fine[between], dx=1 / POINTS_BETWEEN, axis=1))  # [step, term, point]
        changes = frames.diff(dim=1).flatten(3)[..., ::every].transpose(2, 3)  # [trajectory, step, point, channel]
        stacked = np.stack(integrals).transpose(0, 1, 3, 2)
        return stacked.reshape(-1, len(self.names)), changes.reshape(-1, self.channels).cpu().double().numpy()
