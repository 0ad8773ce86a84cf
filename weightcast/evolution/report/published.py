"""Published figures to stand beside a study's: WeightFlow's Table 1 for its systems, and protocols on files of
cells."""

from __future__ import annotations

from typing import NamedTuple

from weightcast.core.report.number_formats import MISSING

_METHODS = ("Latent SDE", "Neural MJP", "DeepRUOT", "WeightFlow (ODE)", "WeightFlow (CDE)")


class Published(NamedTuple):
    """A method's figures, in print: means of ten runs in units of 0.1, or as its protocol has them."""

    method: str
    first: str
    second: str


class PublishedWords(NamedTuple):
    """What the figures are.

    Attributes:
        introduction: what was compared, and how far it can be.
        caption: of the table.
        columns: headings of the two figures.
        source: where the published ones come from.
        metrics: the same figures in summary.csv, in the split ``source``.
        unit: that they are printed in.
    """

    introduction: str
    caption: str
    columns: tuple[str, str]
    source: str
    metrics: tuple[str, str]
    unit: float


# Li, Liu, Wang, Liao and Li, "WeightFlow" (AAAI-26, arXiv 2508.00451): 1000 trajectories, 101 times, a snapshot every
# ten. Read from the paper.
_FIGURES: dict[str, tuple[tuple[float, float], ...]] = {
    "epidemic": ((3.14, 4.22), (1.88, 1.61), (1.78, 1.08), (1.14, 0.36), (1.10, 0.34)),
    "toggle-switch": ((2.34, 1.27), (2.13, 0.94), (1.37, 0.77), (0.90, 0.35), (0.82, 0.33)),
    "cascade-1": ((3.04, 0.85), (1.69, 0.30), (0.52, 0.07), (0.59, 0.05), (0.48, 0.04)),
    "cascade-2": ((3.59, 1.02), (1.68, 0.36), (0.51, 0.08), (0.64, 0.07), (0.49, 0.06)),
    "ecology": ((8.04, 3.52), (1.68, 0.51), (3.27, 2.47), (0.50, 0.13), (0.51, 0.12)),
}
_WEIGHTFLOW = PublishedWords(
    "WeightFlow's Table 1 and this study, scored as there. Published figures are means of ten runs on the "
    "publication's own samples; those of this study come from its own, so small differences say nothing.",
    "In units of 0.1; lower is better",
    ("Paper W", "JSD"),
    "arXiv 2508.00451",
    ("paper_w", "jsd"),
    0.1,
)
# Means over the four times after the first; W1 between what is predicted and all cells of a time, which trained.
_PROTOCOLS: dict[str, tuple[PublishedWords, tuple[tuple[str, float, float | None], ...]]] = {
    "gene-network": (
        PublishedWords(
            "Figures of unbalanced transport on the simulated gene network, and this study, compared with the same "
            "cells: all of each time but the first, means over times. Published methods carry the first time's cells "
            "on with weights; here a law is drawn from, and the sampling floor is the cells' own law, each draw by "
            "itself.",
            "In the data's units; lower is better",
            ("W1", "Relative mass error"),
            "publications",
            ("wasserstein", "relative_mass_error"),
            1.0,
        ),
        (("TIGON", 0.045, None), ("DeepRUOT", 0.043, None), ("WFR-FM", 0.019, 0.001)),
    )
}


def published_figures(source: str) -> list[Published]:
    """Those of a system or a protocol, worst method of the publication first; none for one's own data."""
    if source in _PROTOCOLS:
        return [
            Published(name, f"{first:.3f}", MISSING if second is None else f"{second:.3f}")
            for name, first, second in _PROTOCOLS[source][1]
        ]
    return [
        Published(name, *(f"{figure:.2f}" for figure in figures))
        for name, figures in zip(_METHODS, _FIGURES.get(source, ()), strict=False)
    ]


def published_words(source: str) -> PublishedWords:
    """What the figures of a system or a protocol are."""
    return _PROTOCOLS[source][0] if source in _PROTOCOLS else _WEIGHTFLOW
