"""A sparse partial differential equation: the step of a periodic two-dimensional field whose rate of change is a sum of
a few terms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Factor = tuple[str, int, int]
"""A kind and two numbers: ``("value", channel, 0)``, ``("x", channel, 0)`` and ``("y", channel, 0)`` (first
derivatives, by trigonometric interpolation), ``("laplacian", channel, 0)`` (likewise), ``("differences", channel, 0)``
(the Laplacian of the nearest points), ``("carried", flow, channel)`` (what the flow whose vorticity is a channel does
to another), ``("cos", y, x)`` and ``("sin", y, x)`` (a wave of so many periods along the sides). Lengths are in points,
and a vorticity of one period along x has a flow of its own size."""

LINEAR = ("value", "x", "y", "laplacian", "differences")
"""Kinds of factors that are linear in one channel."""
LOCAL = ("value", "cos", "sin")
"""Kinds of factors that are known at a point without its neighbours."""


class FieldProducts(nn.Module):
    """Products of factors: spectra of fields [batch, channel, y, x] -> [batch, product, y, x].

    Args:
        grid: points along (y, x).
        products: the factors of each; none of them for a constant.
    """

    symbols: Tensor
    waves: Tensor
    places: Tensor

    def __init__(self, grid: tuple[int, int], products: Sequence[Sequence[Factor]]) -> None:
        super().__init__()
        self.grid, self.count = grid, len(products)
        factors = list(dict.fromkeys(factor for product in products for factor in product))
        linear = [factor for factor in factors if factor[0] in LINEAR]
        carried = [factor for factor in factors if factor[0] == "carried"]
        waves = [factor for factor in factors if factor[0] in ("cos", "sin")]
        streams: list[Factor] = []
        for _, flow, channel in carried:
            streams += [("stream-x", flow, 0), ("stream-y", flow, 0), ("x", channel, 0), ("y", channel, 0)]
        # First come planes that are linear in the field, then what is carried, the waves, and a plane of ones, which is
        # what is left of a product of fewer factors than others have.
        self.linear, self.carried, self.channels = len(linear), len(carried), [one[1] for one in [*linear, *streams]]
        place = {factor: number for number, factor in enumerate([*linear, *carried, *waves])}
        degree = max(1, max((len(product) for product in products), default=1))
        padded = [[*(place[one] for one in product), *[len(place)] * degree][:degree] for product in products]
        self._buffer("places", torch.tensor(padded, dtype=torch.long).reshape(len(products), degree))
        self._buffer("symbols", symbols([*linear, *streams], grid))
        self._buffer("waves", torch.stack([*(_wave(*one, grid=grid) for one in waves), torch.ones(grid)]))

    def forward(self, spectra: Tensor) -> Tensor:
        """[batch, channel, y, x] complex -> [batch, product, y, x]."""
        if not self.count:
            return spectra.real.new_zeros(len(spectra), 0, *self.grid)
        seen = spectra.real.new_zeros(len(spectra), 0, *self.grid)
        if self.channels:
            seen = torch.fft.irfft2(spectra[:, self.channels] * self.symbols.to(spectra.dtype), s=self.grid)
        streams = seen[:, self.linear :].unflatten(1, (self.carried, 4))
        carried = streams[:, :, 0] * streams[:, :, 2] + streams[:, :, 1] * streams[:, :, 3]
        constant = self.waves.to(seen.dtype).expand(len(seen), -1, -1, -1)
        planes = torch.cat([seen[:, : self.linear], carried, constant], 1)
        values = planes[:, self.places[:, 0]]
        for position in range(1, self.places.shape[1]):
            values = values * planes[:, self.places[:, position]]
        return values

    def _buffer(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)


class PartialDifferentialField(nn.Module):
    """One-step map of a field: [batch, channel, y, x] -> the next frame, same shape, same units.

    Its weights are the terms' coefficients, in units of the field a time step between frames. What each channel's own
    linear terms do is integrated exactly in Fourier space, the rest by the classical Runge-Kutta method (integrating
    factor; Canuto et al., Spectral Methods, 2006). Products with derivatives lose the third of the wavenumbers that
    they would give back wrongly (Orszag, J. Atmos. Sci. 28 (1971) 1074). No wave grows by its derivatives alone:
    equations by which it did would have no solution.

    Args:
        channels: number of physical channels.
        grid: points along (y, x).
        terms: what rates are sums of: an equation, by its channel, and the factors of a product.
        substeps: of the integrator, in a step.
    """

    own_symbols: Tensor
    own_equations: Tensor
    own_values: Tensor
    equations: Tensor
    local: Tensor
    kept: Tensor
    integrator = "rk4"

    def __init__(
        self, channels: int, grid: tuple[int, int], terms: Sequence[tuple[int, Sequence[Factor]]], substeps: int
    ) -> None:
        super().__init__()
        self.grid, self.substeps = grid, substeps
        self.coefficients = nn.Parameter(torch.zeros(len(terms)))
        is_own = [len(of) == 1 and of[0][0] in LINEAR and of[0][1] == equation for equation, of in terms]
        self.own = [place for place, own in enumerate(is_own) if own]
        self.rest = [place for place, own in enumerate(is_own) if not own]
        of_value = [terms[place][1][0][0] == "value" for place in self.own]
        local = [all(one[0] in LOCAL for one in terms[place][1]) for place in self.rest]
        self.products = FieldProducts(grid, [terms[place][1] for place in self.rest])
        buffers = {
            "own_symbols": symbols([terms[place][1][0] for place in self.own], grid),
            "own_equations": _one_hot([terms[place][0] for place in self.own], channels),
            "own_values": torch.tensor(of_value, dtype=torch.float32),
            "equations": _one_hot([terms[place][0] for place in self.rest], channels),
            "local": torch.tensor(local, dtype=torch.float32),
            "kept": _below_two_thirds(grid),
        }
        for name, values in buffers.items():
            self.register_buffer(name, values, persistent=False)

    def weight_nodes(self) -> dict[str, int]:
        """A coefficient is a node of its own (see :class:`weightcast.core.graph.WeightGraph`)."""
        return {"coefficients": 0}

    def forward(self, frames: Tensor, length: float = 1.0) -> Tensor:
        """[batch, channel, y, x] -> [batch, channel, y, x], by a step of so many times that between frames."""
        step, spectra = length / self.substeps, torch.fft.rfft2(frames)
        growth = self._growth(spectra.dtype) * step
        half, whole = torch.exp(0.5 * growth), torch.exp(growth)
        for _ in range(self.substeps):
            first = self._rate(spectra)
            second = self._rate(half * (spectra + 0.5 * step * first))
            third = self._rate(half * spectra + 0.5 * step * second)
            fourth = self._rate(whole * spectra + step * half * third)
            spectra = whole * spectra + step / 6.0 * (whole * first + 2.0 * half * (second + third) + fourth)
        return torch.fft.irfft2(spectra, s=self.grid)

    def _growth(self, complex_dtype: torch.dtype) -> Tensor:
        """What each wave of each channel grows at by the channel's own linear terms [channel, y, x]."""
        weights = self.coefficients[self.own]

        def summed(weights: Tensor) -> Tensor:
            by_channel = weights[:, None] * self.own_equations.to(weights)
            return torch.einsum("tc,tyx->cyx", by_channel.to(complex_dtype), self.own_symbols.to(complex_dtype))

        own_values = self.own_values.to(weights)
        by_place = summed(weights * (1.0 - own_values))
        return summed(weights * own_values) + torch.complex(by_place.real.clamp(max=0.0), by_place.imag)

    def _rate(self, spectra: Tensor) -> Tensor:
        """What the rest of the terms adds, as spectra [batch, channel, y, x]."""
        weighted = self.coefficients[self.rest][:, None, None] * self.products(spectra)
        local = self.local.to(weighted)[:, None]
        equations = self.equations.to(weighted)
        at_points = torch.einsum("btyx,tc->bcyx", weighted, equations * local)
        with_slopes = torch.einsum("btyx,tc->bcyx", weighted, equations * (1.0 - local))
        return torch.fft.rfft2(at_points) + self.kept * torch.fft.rfft2(with_slopes)


def symbols(factors: Sequence[Factor], grid: tuple[int, int]) -> Tensor:
    """What linear operations multiply waves with, complex [factor, y, x], waves as of ``torch.fft.rfft2``."""
    phases = _phases(grid)
    # The shortest wave of an even number of points has no slope at them.
    slope_y, slope_x = (1j * torch.where(phase.abs() > math.pi - 1e-6, 0.0, phase) for phase in phases)
    square = phases[0].square() + phases[1].square()
    inverse = torch.where(square > 0, 1.0 / square.clamp(min=1e-12), 0.0) * (2 * math.pi / grid[1])
    nearest = 2 * torch.cos(phases[0]) + 2 * torch.cos(phases[1]) - 4
    known = {
        "value": torch.ones_like(square),
        "x": slope_x,
        "y": slope_y,
        "laplacian": -square,
        "differences": nearest,
        "stream-x": slope_y * inverse,
        "stream-y": -slope_x * inverse,
    }
    found = [known[factor[0]] + 0j for factor in factors]
    return torch.stack(found) if found else torch.zeros(0, *square.shape, dtype=torch.complex64)


def _phases(grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Of waves from a point to the next, along y and x [y, x]."""
    along_y, along_x = 2 * math.pi * torch.fft.fftfreq(grid[0]), 2 * math.pi * torch.fft.rfftfreq(grid[1])
    return along_y[:, None].expand(-1, len(along_x)), along_x[None].expand(len(along_y), -1)


def _below_two_thirds(grid: tuple[int, int]) -> Tensor:
    """1 for waves that products of two do not give back wrongly [y, x]."""
    phase_y, phase_x = _phases(grid)
    limit = 2 * math.pi / 3
    return ((phase_y.abs() < limit) & (phase_x < limit)).float()


def _wave(kind: str, periods_y: int, periods_x: int, grid: tuple[int, int]) -> Tensor:
    """[y, x]."""
    along_y, along_x = (torch.arange(points) / points for points in grid)
    phase = 2 * math.pi * (periods_y * along_y[:, None] + periods_x * along_x[None])
    return torch.cos(phase) if kind == "cos" else torch.sin(phase)


def _one_hot(places: Sequence[int], channels: int) -> Tensor:
    return F.one_hot(torch.tensor(places, dtype=torch.long), channels).float()
