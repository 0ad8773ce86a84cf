"""The section ``predictor``: the small network whose weights are the data, one type of settings for each kind."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, RootModel

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import MOST_LAYERS, WIDEST, Settings
from weightcast.core.nets.grids import Grid, level_grids

MOST_LEVELS = 16
"""Of a U: widths double with every level."""

Modes = Annotated[int, Field(le=WIDEST)]
"""Fourier modes along one axis; how many a grid can have is asked for once the grid is known."""


class FNOSettings(LaterSettings):
    """A compact Fourier neural operator (weightcast.core.nets.fno), for fields, in the plane or along a line."""

    later: ClassVar[tuple[str, ...]] = ("padding",)

    kind: Literal["fno"] = "fno"
    """Fourier neural operator."""
    width: int = Field(default=12, ge=1, le=WIDEST)
    """Channels inside the network."""
    modes: tuple[Modes, Modes] = (4, 4)
    """Fourier modes kept along (y, x), at most half the grid; along a line, a grid of [1, x], [0, x]."""
    depth: int = Field(default=3, ge=1, le=MOST_LAYERS)
    """Number of Fourier layers."""
    projection: int = Field(default=24, ge=1, le=WIDEST)
    """Width of the projection's hidden layer."""
    positional: bool = True
    """Show the network the grid's coordinates: for dynamics that depend on the place."""
    residual: bool = True
    """Predict the increment of a frame rather than the next frame itself."""
    padding: int = Field(default=0, ge=0, le=WIDEST)
    """Points of zeros that Fourier layers see beyond the edge: for fields that do not go on at the opposite side."""

    def misfit(self, grid: Grid) -> str | None:
        """What of these settings does not fit a grid (y, x): ``key: found ..., expected ...``; None if all does."""
        return _no_line_or_field(self.kind, grid) or _too_many_modes(self.modes, grid, "modes", "the grid")


class UNOSettings(Settings):
    """A U-shaped neural operator (weightcast.core.nets.uno), for fields: Fourier layers that halve the grid, level by
    level, and undo it."""

    kind: Literal["uno"]
    """U-shaped neural operator."""
    width: int = Field(default=8, ge=1, le=WIDEST)
    """Channels inside the network on the finest grid; they double with every level."""
    modes: list[tuple[Modes, Modes]] = Field(default=[(4, 4), (2, 2)], min_length=1, max_length=MOST_LEVELS)
    """For each level, from fine to coarse: Fourier modes kept along (y, x), at most half of the grid once halved."""
    projection: int = Field(default=24, ge=1, le=WIDEST)
    """Width of the projection's hidden layer."""
    positional: bool = True
    """Show the network the grid's coordinates: for dynamics that depend on the place."""
    residual: bool = True
    """Predict the increment of a frame rather than the next frame itself."""

    def misfit(self, grid: Grid) -> str | None:
        """As `FNOSettings.misfit`."""
        halved = level_grids(grid, len(self.modes))[1:]
        return _no_field(self.kind, grid) or next(
            (
                complaint
                for level, (modes, coarser) in enumerate(zip(self.modes, halved, strict=True))
                if (complaint := _too_many_modes(modes, coarser, f"modes.{level}", "the halved grid"))
            ),
            None,
        )


class UNetSettings(Settings):
    """A convolutional U-Net (weightcast.core.nets.unet), for fields."""

    kind: Literal["unet"]
    """Convolutional U-Net."""
    width: int = Field(default=8, ge=1, le=WIDEST)
    """Channels inside the network on the finest grid; they double with every level."""
    levels: int = Field(default=2, ge=1, le=MOST_LEVELS)
    """How often the grid is halved; its sides must be divisible by 2 to this power."""
    padding: Literal["circular", "zeros"] = "circular"
    """What lies beyond the edge: the opposite side, for a periodic domain, or zeros."""
    downsampling: Literal["pooled", "strided"] = "pooled"
    """How the grid is halved: by the mean of 2 x 2 points, or by a convolution with stride 2."""
    positional: bool = True
    """Show the network the grid's coordinates: for dynamics that depend on the place."""
    residual: bool = True
    """Predict the increment of a frame rather than the next frame itself."""

    def misfit(self, grid: Grid) -> str | None:
        """As `FNOSettings.misfit`."""
        divisor = 2**self.levels
        if _no_field(self.kind, grid) is None and any(points % divisor for points in grid):
            return (
                f"levels: found {self.levels} for a grid of {_words(grid)}, expected a grid divisible by {divisor}, "
                "2 to the power of levels"
            )
        return _no_field(self.kind, grid)


class StencilSettings(Settings):
    """A local rule, applied many times between two frames (weightcast.core.nets.stencil), for fields whose equation is
    local and the same everywhere, and for few frames: every point is an example."""

    kind: Literal["stencil"]
    """Local rule."""
    width: int = Field(default=16, ge=1, le=WIDEST)
    """Channels inside the rule."""
    depth: int = Field(default=2, ge=1, le=MOST_LAYERS)
    """Hidden layers; the first one sees 3 x 3 points, the others a single one."""
    substeps: int = Field(default=16, ge=1, le=100_000)
    """How often the rule is applied between two frames: what happens in a frame must not come from farther away than so
    many points."""
    padding: Literal["circular", "zeros"] = "circular"
    """What lies beyond the edge: the opposite side, for a periodic domain, or zeros."""

    def misfit(self, grid: Grid) -> str | None:
        """As `FNOSettings.misfit`."""
        return _no_line_or_field(self.kind, grid)


class MLPSettings(Settings):
    """A multilayer perceptron (weightcast.core.nets.mlp), for states of ordinary differential equations: a channel
    for each component, on a grid of [1, 1]."""

    kind: Literal["mlp"]
    """Multilayer perceptron."""
    width: int = Field(default=32, ge=1, le=WIDEST)
    """Of the hidden layers."""
    depth: int = Field(default=2, ge=1, le=MOST_LAYERS)
    """Number of hidden layers."""
    activation: Literal["tanh", "gelu", "silu"] = "gelu"
    """Of the hidden layers."""
    residual: bool = True
    """Predict the increment of a state rather than the next state itself; of a map alone."""
    integrator: Literal["map", "rk4"] = "map"
    """``map``: the network is the step from a frame to the next. ``rk4``: it is a vector field, stepped by the
    classical Runge-Kutta method, so that forecasts may have any time step."""
    substeps: int = Field(default=1, ge=1, le=100_000)
    """Of the integrator, between two frames."""

    def misfit(self, grid: Grid) -> str | None:
        """As `FNOSettings.misfit`."""
        if grid == (1, 1):
            return None
        fields = "'fno', 'uno', 'unet' or 'stencil', which predict fields"
        return f"kind: found 'mlp' for a grid of {_words(grid)}, expected {fields}"


def _no_line_or_field(kind: str, grid: Grid) -> str | None:
    """The complaint about a grid of a single point, or about a line that does not lie along x."""
    if grid[1] > 1:
        return None
    if max(grid) == 1:
        return _no_field(kind, grid)
    return f"kind: found {kind!r} for a grid of {_words(grid)}, expected the points of a line along x, [1, {grid[0]}]"


def _no_field(kind: str, grid: Grid) -> str | None:
    """The complaint about a grid with a side of a single point."""
    if min(grid) > 1:
        return None
    expected = "'mlp', which predicts states" if max(grid) == 1 else "'fno' or 'stencil', which predict along a line"
    return f"kind: found {kind!r} for a grid of {_words(grid)}, expected {expected}"


def _too_many_modes(modes: tuple[int, int], grid: Grid, key: str, what: str) -> str | None:
    for axis, kept, points in zip("yx", modes, grid, strict=True):
        if points < 2 and key == "modes":
            if kept == 0:
                continue
            return f"{key}: found {kept} along {axis}, expected 0: {what} has a single point there"
        if points < 2:
            return f"{key}: found {kept} along {axis}, expected no such level: {what} has a single point left there"
        if not 1 <= kept <= points // 2:
            return f"{key}: found {kept} along {axis}, expected 1 to {points // 2}, half of {what} of {points}"
    return None


def _words(grid: Grid) -> str:
    return f"{grid[0]} x {grid[1]} points (y, x)"


def _with_kind(section: Any) -> Any:
    return {"kind": "fno"} | section if isinstance(section, dict) else section


AnyPredictor = Annotated[
    FNOSettings | UNOSettings | UNetSettings | MLPSettings | StencilSettings,
    Field(discriminator="kind"),
    BeforeValidator(_with_kind),
]
"""Settings of some kind of predictor; a section without a kind is an FNO's."""


class PredictorSettings(RootModel[AnyPredictor]):
    """The section on its own, as a stage is given it: ``PredictorSettings(**section).root`` is of its kind."""
