"""Reports without their figures: drawing is nearly all that a page takes, and most tests read the words around them."""

from __future__ import annotations

from types import ModuleType

import pytest

from weightcast.core.plots.export import RenderedFigure
from weightcast.environments.report import explanation, figures, unknown
from weightcast.evolution.report import figures as figures_of_times

BLANK = RenderedFigure(b"<svg/>", "svg", 1, 1)
DRAWN_BY: tuple[ModuleType, ...] = (explanation, figures, unknown, figures_of_times)
"""What draws for reports of environments, and of samples over time."""


def leave_blank(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
    """Figures are set up as ever, but nothing is drawn of those of some modules, or of all."""
    for module in modules or DRAWN_BY:
        monkeypatch.setattr(module, "render", lambda _: BLANK)
