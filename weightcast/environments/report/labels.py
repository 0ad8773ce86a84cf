"""The section of a report on surrogate labels."""

from __future__ import annotations

import math

import pandas as pd

from weightcast.core.report.number_formats import MISSING, number
from weightcast.environments.report.inputs import StudyResults


def label_rows(results: StudyResults) -> list[dict[str, str]]:
    """A row for each component of each base's label; none where the study has no labels."""
    if results.labels is None:
        return []
    groups = results.labels.groupby(["base", "component"], sort=False)
    return [_row(str(base), int(component), rows) for (base, component), rows in groups]


def _row(base: str, component: int, rows: pd.DataFrame) -> dict[str, str]:
    first = rows.iloc[0]
    correlations = [
        f"{name} {number(float(value))}"
        for name, value in zip(rows["parameter"], rows["spearman"], strict=True)
        if name
    ]
    explained = float(first["explained"])
    return {
        "base": base,
        "component": str(component),
        "share": f"{100.0 * first['share']:.0f} %",
        "error": number(float(first["regression_error"])),
        "correlations": ", ".join(correlations) or MISSING,
        "explained": MISSING if math.isnan(explained) else f"{100.0 * explained:.0f} %",
    }
