"""Distilled equations against the true ones: which terms are false or missing, and how far coefficients are off."""

from __future__ import annotations

import numpy as np
import pandas as pd

_PREDICTOR = ["method", "split", "environment", "seed", "sample"]


def median_coefficients(explanation: pd.DataFrame) -> pd.DataFrame:
    """Each coefficient in each environment, over a method's seeds and samples.

    Args:
        explanation: as ``weightcast.core.tables.read_explanation`` reads it.

    Returns:
        A row for each method, split, environment, equation and term, in the order of ``explanation``: coefficient (the
        median, and so 0 for a term that most predictors lack), spread (standard deviation; NaN for a single
        predictor), truth, and residual (the median; of the whole equation).
    """
    grouped = explanation.groupby(["method", "split", "environment", "equation", "term"], sort=False)
    return grouped.agg(
        coefficient=("coefficient", "median"),
        spread=("coefficient", "std"),
        truth=("truth", "first"),
        residual=("residual", "median"),
    ).reset_index()


def accuracy(explanation: pd.DataFrame) -> pd.DataFrame:
    """How the equations of each method compare with the true ones, over all its predictors in a split.

    Args:
        explanation: as ``weightcast.core.tables.read_explanation`` reads it.

    Returns:
        A row for each method and split: predictors (their number), false_terms and missing_terms (counted over all of
        them), median_error and largest_error (of a true term's coefficient, relative; 1 for a missing term),
        median_residual and largest_residual (of an equation). NaN instead of what the truth is needed for, where
        nobody knows it.
    """
    rows = []
    for (method, split), of_split in explanation.groupby(["method", "split"], sort=False):
        residuals = of_split.groupby([*_PREDICTOR, "equation"])["residual"].first()
        compared = of_split[of_split["truth"].notna()]
        true = compared[compared["truth"] != 0]
        errors = (true["coefficient"] / true["truth"] - 1).abs()
        known = not compared.empty
        rows.append(
            {
                "method": method,
                "split": split,
                "predictors": len(of_split[_PREDICTOR].drop_duplicates()),
                "false_terms": ((compared["truth"] == 0) & (compared["coefficient"] != 0)).sum() if known else np.nan,
                "missing_terms": (true["coefficient"] == 0).sum() if known else np.nan,
                "median_error": errors.median(),
                "largest_error": errors.max(),
                "median_residual": residuals.median(),
                "largest_residual": residuals.max(),
            }
        )
    return pd.DataFrame(rows)
