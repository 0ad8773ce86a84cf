"""Published figures to stand beside a study's: WeightFlow's Table 1 for its systems, and protocols on files of
cells."""

from __future__ import annotations

from typing import NamedTuple

from weightcast.core.report.number_formats import MISSING
from weightcast.evolution.config.evaluation import Protocol

_METHODS = ("Latent SDE", "Neural MJP", "DeepRUOT", "WeightFlow (ODE)", "WeightFlow (CDE)")


class Published(NamedTuple):
    """A method's figures, in print: means of ten runs in units of 0.1, or as its protocol has them."""

    method: str
    figures: tuple[str, ...]


class PublishedWords(NamedTuple):
    """What the figures are.

    Attributes:
        introduction: what was compared, and how far it can be.
        caption: of the table.
        columns: headings of the two figures.
        source: where the published ones come from.
        metrics: the same figures in summary.csv; where there is one, no second figure was published.
        unit: that they are printed in.
        split: of summary.csv that is compared in the same way.
    """

    introduction: str
    caption: str
    columns: tuple[str, ...]
    source: str
    metrics: tuple[str, ...]
    unit: float
    split: str = "source"


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
_LEFT_OUT = (
    "Each inner time is left out of everything once, and what is predicted for it is compared with its cells; mean "
    "over these times. Some publications choose when to stop by the time that is left out; here it chooses nothing."
)
_ALL_TIMES = (
    "Compared with the cells that trained, all of each time but the first; means over times. Published methods carry "
    "the first time's cells on with weights; here a law is drawn from, and the sampling floor is the cells' own law, "
    "each draw by itself."
)
_OTHER_CELLS = (
    "Compared with cells that trained nothing; means over times. Published methods start from cells of the time "
    "before; here a law is learned of the other cells of all times. The sampling floor is how far the two parts of the "
    "cells are from each other: of few cells nearly all of an error is that, so compare what lies above it."
)

_FROM_PREVIOUS = (
    "Cells of the time before, which trained nothing, are carried along to each time and compared with its cells that "
    "trained nothing (evaluation.from_previous); mean over times 1 to 4. Published methods do the same with other "
    "numbers of cells, and the sampling floor, the cells that trained, depends on these: compare what lies above it."
)


def _protocol(about: str, how: str, split: str, *columns: str) -> PublishedWords:
    known = {"W1": "wasserstein", "MMD": "mmd", "Relative mass error": "relative_mass_error"}
    return PublishedWords(
        f"{about}, and this study. {how}",
        "In the data's units; lower is better",
        columns,
        "publications",
        tuple(known[column] for column in columns),
        1.0,
        split,
    )


# Collected from the publications' tables and repositories: TIGON (Sha and others, 2024), DeepRUOT (Zhang and others,
# ICLR 2025), Var-RUOT, VGFM, WFR-FM, TrajectoryNet, NLSB (Koshizuka and Sato, ICLR 2023), OT-CFM and I-CFM (Tong and
# others, 2024), MFM (Kapusniak and others, NeurIPS 2024), ALI-CFM, OTP-FM, WLF-SB, MSBM, MIOFlow, SF2M.
_PROTOCOLS: dict[Protocol, tuple[PublishedWords, dict[str, tuple[float | None, ...]]]] = {
    "gene-network": (
        _protocol("A simulated gene network", _ALL_TIMES, "source", "W1", "Relative mass error"),
        {"TIGON": (0.045, None), "DeepRUOT": (0.043, None), "WFR-FM": (0.019, 0.001)},
    ),
    "dyngen": (
        _protocol("Dyngen, a simulated network that branches and grows", _ALL_TIMES, "source", "W1"),
        {"TIGON": (0.512,), "WFR-FM": (0.135,)},
    ),
    "emt": (
        _protocol("Epithelial-mesenchymal transition of A549 cells, 10 dimensions", _LEFT_OUT, "held_out", "W1"),
        {"TIGON": (0.360,), "DeepRUOT": (0.323,), "VGFM": (0.301,), "WFR-FM": (0.298,)},
    ),
    "mouse-hematopoiesis": (
        _protocol("Mouse hematopoiesis, two dimensions", _OTHER_CELLS, "observed", "W1"),
        {
            "OT-CFM": (0.3445,), "MIOFlow": (0.316,), "SF2M": (0.1655,), "DeepRUOT": (0.1465,), "Var-RUOT": (0.1315,),
        },
    ),
    "mouse-hematopoiesis-left-out": (
        _protocol("Mouse hematopoiesis, the second time left out", _LEFT_OUT, "held_out", "W1"),
        {"DeepRUOT": (0.624,), "TIGON": (0.584,), "Var-RUOT": (0.270,)},
    ),
    "embryoid-body-5": (
        _protocol("Embryoid body, 5 whitened components", _FROM_PREVIOUS, "previous", "W1"),
        {"TrajectoryNet": (0.93,), "NLSB": (0.78,), "OT-CFM": (0.77,), "WLF-SB": (0.73,), "MSBM": (0.71,)},
    ),
    "embryoid-body-5-left-out": (
        _protocol("Embryoid body, 5 whitened components", _LEFT_OUT, "held_out", "W1"),
        {"I-CFM": (1.156,), "OT-CFM": (0.81,), "ALI-CFM": (0.742,), "OT-MFM": (0.713,), "OTP-FM": (0.643,)},
    ),
    "embryoid-body-50": (
        _protocol("Embryoid body, 50 components", _OTHER_CELLS, "observed", "W1"),
        {"WFR-FM": (10.16,), "DeepRUOT": (10.08,)},
    ),
    "embryoid-body-100": (
        _protocol("Embryoid body, 100 components", _OTHER_CELLS, "observed", "W1", "MMD"),
        {"DeepRUOT": (14.71, 0.15), "OTP-FM": (None, 0.035), "WeightFlow": (14.18, 0.03)},
    ),
    "cite-5": (
        _protocol("CITE, 5 whitened components", _LEFT_OUT, "held_out", "W1"),
        {"OT-MFM": (0.724,)},
    ),
    "cite-50": (
        _protocol("CITE, 50 components", _LEFT_OUT, "held_out", "W1"),
        {"WFR-FM": (37.2,), "OTP-FM": (36.8,), "OT-MFM": (36.4,)},
    ),
    "multiome-5": (
        _protocol("Multiome, 5 whitened components", _LEFT_OUT, "held_out", "W1"),
        {"OT-MFM": (0.890,)},
    ),
}  # fmt: skip


def published_figures(source: str) -> list[Published]:
    """Those of a system or a protocol, worst method of the publication first; none for one's own data."""
    if source in _PROTOCOLS:
        return [
            Published(name, tuple(MISSING if figure is None else f"{figure:.3f}" for figure in figures))
            for name, figures in _PROTOCOLS[source][1].items()
        ]
    return [
        Published(name, tuple(f"{figure:.2f}" for figure in figures))
        for name, figures in zip(_METHODS, _FIGURES.get(source, ()), strict=False)
    ]


def published_words(source: str) -> PublishedWords:
    """What the figures of a system or a protocol are."""
    return _PROTOCOLS[source][0] if source in _PROTOCOLS else _WEIGHTFLOW
