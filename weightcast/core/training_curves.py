"""The curves of trainings as one table: training_curves.csv, which reports draw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.tables import CURVE_COLUMNS


def training_curves(artifacts: Iterable[ArtifactHeader]) -> pd.DataFrame:
    """Errors against steps of every training that artifacts tell of.

    Args:
        artifacts: their folder is the stage; those without curves are left out.

    Returns:
        Columns ``CURVE_COLUMNS``; ``part`` is training or validation. A value that is not finite is missing.
    """
    rows = [row for artifact in artifacts for row in _rows(artifact)]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def _rows(artifact: ArtifactHeader) -> Iterator[tuple[Any, ...]]:
    of = (artifact.path.parent.name, artifact.path.stem)
    for name, curve in (artifact.metadata.get("curves") or {}).items():
        for part, steps in (("training", "steps"), ("validation", "validated_steps")):
            for step, value in zip(curve[steps], curve[part], strict=True):
                yield (*of, name, step, part, value)
