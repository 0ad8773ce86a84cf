"""The CSV tables of a study's results: read with checks, written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from weightcast.core.errors import InputError
from weightcast.core.files import written_whole

SUMMARY_COLUMNS = (
    "method",
    "split",
    "metric",
    "median",
    "ci_low",
    "ci_high",
    "n",
    "p_vs_best_baseline",
    "parameters",
    "train_seconds",
    "adapt_seconds",
)
METRIC_COLUMNS = ("study", "method", "split", "environment", "seed", "horizon", "metric", "value")
COST_COLUMNS = ("parameters", "train_seconds", "adapt_seconds")
EXPLANATION_COLUMNS = (
    *("study", "method", "split", "environment", "seed", "sample"),
    *("equation", "term", "coefficient", "truth", "residual"),
)
LABEL_COLUMNS = ("base", "component", "share", "regression_error", "explained", "parameter", "spearman")
NOVELTY_COLUMNS = ("study", "method", "split", "environment", "seed", "reference", "measure", "value", "yardstick")
ATTENTION_COLUMNS = ("arm", "block", "layer", "attended", "share", "even")
OPENNESS_COLUMNS = ("case", "environment", "split", "quantity", "spread", "explained", "error")
VERDICT_COLUMNS = ("question", "answer", "method", "other", "ratio", "low", "high", "p", "n")
CURVE_COLUMNS = ("stage", "artifact", "training", "step", "part", "value")
_TEXT = frozenset(
    {"study", "method", "split", "environment", "metric", "stage", "artifact", "space", "base", "equation", "term"}
    | {"training", "part", "parameter", "reference", "measure", "arm", "layer", "attended", "case", "quantity"}
    | {"question", "answer", "other", "kept"}
)
_INTEGERS = frozenset({"step", "component", "block", "seed", "sample", "horizon", "n"})
_COUNTS = frozenset({"parameters", "member", "members"})  # whole numbers too, where none is missing


def read_metrics(path: str | Path) -> pd.DataFrame:
    """metrics.csv: a row a number; ``horizon`` in frames, ``value`` infinite where a rollout diverged.

    Raises:
        InputError: as for `read_table`; also when the table has no rows.
    """
    return _some(path, METRIC_COLUMNS)


def read_case_metrics(path: str | Path) -> pd.DataFrame:
    """The same with a column ``case`` before it: what was shown of environments.

    Raises:
        InputError: as for `read_metrics`.
    """
    return _some(path, ("case", *METRIC_COLUMNS))


def read_method_costs(path: str | Path) -> pd.DataFrame:
    """method_costs.csv: parameters, seconds of training and seconds per new environment; a row a method.

    Raises:
        InputError: as for `read_table`.
    """
    return read_table(path, ("method", *COST_COLUMNS))


def read_summary(path: str | Path) -> pd.DataFrame:
    """summary.csv, as `weightcast.core.significance.summarise` makes it.

    Raises:
        InputError: as for `read_table`.
    """
    return read_table(path, SUMMARY_COLUMNS)


def read_artifact_costs(path: str | Path) -> pd.DataFrame:
    """costs.csv: a row an artifact; ``train_seconds`` without what it builds on. Across time there is a column ``kept``
    as well: of a flow, whether the trained one was kept or the spline that it began from, else empty.

    Raises:
        InputError: as for `read_table`.
    """
    columns = ("stage", "artifact", "method", "parameters", "members", "train_seconds", "adapt_seconds")
    return read_table(path, columns, optional=("kept",))


def read_training_curves(path: str | Path) -> pd.DataFrame:
    """training_curves.csv, as `weightcast.core.training_curves.training_curves` makes it.

    Raises:
        InputError: as for `read_table`.
    """
    return read_table(path, CURVE_COLUMNS)


def read_weight_map(path: str | Path) -> pd.DataFrame:
    """weight_map.csv: a row a member of a zoo in a space of weights or latents; ``explained_*`` are fractions.

    Raises:
        InputError: as for `read_table`.
    """
    components = ("component_1", "component_2", "explained_1", "explained_2")
    return read_table(path, ("space", "base", "environment", "member", *components))


def read_labels(path: str | Path) -> pd.DataFrame:
    """labels.csv: a row for each component of a base's surrogate label and each parameter, if there are any.

    ``share`` of the distances' variance, ``explained`` of the label's by a linear function of all parameters.

    Raises:
        InputError: as for `read_table`.
    """
    return read_table(path, LABEL_COLUMNS)


def read_explanation(path: str | Path) -> pd.DataFrame:
    """explanation.csv: a row for each term that an equation of a predictor may have.

    ``coefficient`` is 0 where the distilled equation lacks the term, ``truth`` where the true one does, and missing
    where nobody knows it; ``residual`` is that of the whole equation.

    Raises:
        InputError: as for `read_table`; also when the table has no rows.
    """
    return _some(path, EXPLANATION_COLUMNS)


def read_novelty(path: str | Path) -> pd.DataFrame:
    """novelty.csv, as the stage ``compare_with_experts`` makes it.

    Raises:
        InputError: as for `read_table`.
    """
    return read_table(path, NOVELTY_COLUMNS)


def read_attention(path: str | Path) -> pd.DataFrame:
    """attention.csv, as the stage ``show_attention`` makes it.

    Raises:
        InputError: as for `read_table`.
    """
    return read_table(path, ATTENTION_COLUMNS)


def read_verdict(path: str | Path) -> pd.DataFrame:
    """verdict.csv, as `weightcast.environments.advice.give_advice` answers; nothing in it of a study that cannot tell.

    Raises:
        InputError: as for `read_table`.
    """
    return read_table(path, VERDICT_COLUMNS)


def read_open_directions(path: str | Path) -> pd.DataFrame:
    """open_directions.csv, as the stage ``describe_posteriors`` makes it.

    Raises:
        InputError: as for `read_table`.
    """
    return read_table(path, OPENNESS_COLUMNS)


def _some(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table that must have rows."""
    table = read_table(path, columns)
    if table.empty:
        raise InputError(f"{path}: found no rows, expected one or more")
    return table


def read_table(path: str | Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV table whose columns are known.

    Names (method, environment and the like) are read as text, so that an id ``007`` keeps its zeros and a region
    ``NA`` its name. All other columns are numbers.

    Args:
        path: of the file.
        columns: exactly those of the table, in any order.
        optional: further ones that it may have.

    Returns:
        The table, with its columns in the order of ``columns``, behind them those of ``optional`` that it has.

    Raises:
        InputError: the file is missing, is no CSV table, has other columns, or a cell is no number.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file, expected a table with {', '.join(columns)}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as CSV ({reason}), expected {', '.join(columns)}") from None
    columns = [*columns, *(name for name in optional if name in table)]
    if sorted(table.columns) != sorted(columns):
        raise InputError(f"{path}: columns: found {', '.join(table.columns)}, expected {', '.join(columns)}")
    for column in columns:
        if column not in _TEXT:
            table[column] = _numbers(path, table[column])
    return table[list(columns)]


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV; nothing half-written is left."""
    with written_whole(path) as partial:
        table.to_csv(partial, index=False)


def _numbers(path: str | Path, cells: pd.Series) -> pd.Series:
    """Text to numbers, exactly; an empty cell is NaN, in a column of whole numbers it is refused."""
    whole = cells.name in _INTEGERS
    numbers = []
    for line, cell in enumerate(cells, start=2):
        try:
            number = float(cell or "nan")  # of Python: pandas' own parser is off by the last bit at times
        except ValueError:
            number = None
        if number is None or (whole and not number.is_integer()):
            expected = "a whole number" if whole else "a number"
            raise InputError(f"{path}: line {line}, column {cells.name}: found {cell!r}, expected {expected}")
        numbers.append(number)
    integral = whole or (cells.name in _COUNTS and all(number.is_integer() for number in numbers))
    return pd.Series(numbers, index=cells.index, dtype=int if integral else float)
