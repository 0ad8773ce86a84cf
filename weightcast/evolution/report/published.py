"""Published figures for the stochastic systems, to stand beside this study's: Table 1 of WeightFlow."""

from __future__ import annotations

from typing import NamedTuple

_METHODS = ("Latent SDE", "Neural MJP", "DeepRUOT", "WeightFlow (ODE)", "WeightFlow (CDE)")


class Published(NamedTuple):
    """A method's figures, in units of 0.1: means of ten runs."""

    method: str
    paper_w: float
    jsd: float


# Li, Liu, Wang, Liao and Li, "WeightFlow" (AAAI-26, arXiv 2508.00451): 1000 trajectories, 101 times, a snapshot every
# ten. Read from the paper.
_FIGURES: dict[str, tuple[tuple[float, float], ...]] = {
    "epidemic": ((3.14, 4.22), (1.88, 1.61), (1.78, 1.08), (1.14, 0.36), (1.10, 0.34)),
    "toggle-switch": ((2.34, 1.27), (2.13, 0.94), (1.37, 0.77), (0.90, 0.35), (0.82, 0.33)),
    "cascade-1": ((3.04, 0.85), (1.69, 0.30), (0.52, 0.07), (0.59, 0.05), (0.48, 0.04)),
    "cascade-2": ((3.59, 1.02), (1.68, 0.36), (0.51, 0.08), (0.64, 0.07), (0.49, 0.06)),
    "ecology": ((8.04, 3.52), (1.68, 0.51), (3.27, 2.47), (0.50, 0.13), (0.51, 0.12)),
}


def published_figures(source: str) -> list[Published]:
    """Those of a system, worst method of the publication first; none for one's own data."""
    return [Published(name, *figures) for name, figures in zip(_METHODS, _FIGURES.get(source, ()), strict=False)]
