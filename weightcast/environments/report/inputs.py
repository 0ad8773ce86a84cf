"""Everything that a report is built from, read and checked before the first figure is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
import yaml

from weightcast.core.environment_table import read_environments
from weightcast.core.errors import InputError
from weightcast.core.tables import (
    read_artifact_costs,
    read_attention,
    read_explanation,
    read_labels,
    read_metrics,
    read_novelty,
    read_open_directions,
    read_summary,
    read_training_curves,
    read_verdict,
    read_weight_map,
)
from weightcast.environments.config.evaluation import ObservedCase

_OPTIONAL = {
    "costs": "costs.csv",
    "curves": "training_curves.csv",
    "weight_map": "weight_map.csv",
    "rollouts": "rollouts.nc",
    "explanation": "explanation.csv",
    "labels": "labels.csv",
    "novelty": "novelty.csv",
    "observed_summary": "observed_summary.csv",
    "observed": "observed.nc",
    "open_directions": "open_directions.csv",
    "attention": "attention.csv",
}
"""Files of the folder ``report`` of a study's results, by what they are here."""
_OBSERVED_COLUMNS = ("case", "method", "split", "metric", "median", "ci_low", "ci_high", "n")
_ROLLOUT_DIMS = ("environment", "method", "time", "y", "x")


@dataclass(frozen=True)
class StudyResults:
    """The results of a study.

    Attributes:
        study: its name.
        metrics: metrics.csv.
        summary: summary.csv.
        environments: a row an environment: id, role and the parameters.
        parameters: names of the parameters.
        config: the resolved configuration, as text.
        trained_horizon: frames.
        bootstrap: draws behind each interval.
        costs: costs.csv, or None.
        curves: training_curves.csv, or None.
        weight_map: weight_map.csv, or None.
        rollouts: rollouts.nc, or None.
        explanation: explanation.csv, or None.
        labels: labels.csv, or None.
        novelty: novelty.csv, or None.
        cases: what is shown of unseen environments, by name, in the order of the configuration.
        observed_summary: report/observed_summary.csv, or None.
        observed: observed.nc, or None.
        open_directions: what frames leave open, or None.
        attention: what encoders look at, or None.
        verdict: verdict.csv, or None.
        judged_by: the published zoo whose experts' forecasts stand in the place of trajectories, if there are none.
        missing: what was not found among the optional files: attribute name to path within the results folder.
    """

    study: str
    metrics: pd.DataFrame
    summary: pd.DataFrame
    environments: pd.DataFrame
    parameters: list[str]
    config: str
    trained_horizon: int
    bootstrap: int
    costs: pd.DataFrame | None = None
    curves: pd.DataFrame | None = None
    weight_map: pd.DataFrame | None = None
    rollouts: xr.Dataset | None = None
    explanation: pd.DataFrame | None = None
    labels: pd.DataFrame | None = None
    novelty: pd.DataFrame | None = None
    cases: dict[str, ObservedCase] = field(default_factory=dict)
    observed_summary: pd.DataFrame | None = None
    observed: xr.Dataset | None = None
    open_directions: pd.DataFrame | None = None
    attention: pd.DataFrame | None = None
    verdict: pd.DataFrame | None = None
    judged_by: str | None = None
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ResultFiles:
    """Where a study's results lie. What need not have been computed may be None.

    Attributes:
        study: the resolved configuration.
        environments: the table of environments: id, role, parameters.
        metrics: metrics.csv.
        summary: summary.csv.
        costs: costs.csv.
        curves: training_curves.csv.
        weight_map: weight_map.csv.
        rollouts: rollouts.nc.
        explanation: explanation.csv; missed only if the configuration asks for it.
        labels: labels.csv, where the study has surrogate labels.
        novelty: novelty.csv; missed only if there is a generator.
        observed_summary: observed_summary.csv; missed only if the configuration has cases of observed frames.
        observed: observed.nc; missed only if there is a context base as well.
        open_directions: open_directions.csv, where there is such a base.
        attention: attention.csv, where the configuration asks for it.
        verdict: verdict.csv, where the configuration has cases of observed frames.
    """

    study: Path
    environments: Path
    metrics: Path
    summary: Path
    costs: Path | None = None
    curves: Path | None = None
    weight_map: Path | None = None
    rollouts: Path | None = None
    explanation: Path | None = None
    labels: Path | None = None
    novelty: Path | None = None
    observed_summary: Path | None = None
    observed: Path | None = None
    open_directions: Path | None = None
    attention: Path | None = None
    verdict: Path | None = None

    @classmethod
    def within(cls, results: Path, environments: Path) -> ResultFiles:
        """The files of a study's results folder, where the pipeline puts them; None for those that are not there."""
        optional = {name: results / "report" / file for name, file in _OPTIONAL.items()}
        optional["verdict"] = results / "verdict.csv"
        return cls(
            study=results / "config.yaml",
            environments=environments,
            metrics=results / "metrics.csv",
            summary=results / "summary.csv",
            **{name: path for name, path in optional.items() if path.exists()},
        )


def read_results(files: ResultFiles) -> StudyResults:
    """Read a study's results.

    Raises:
        InputError: a required file is missing, or one that is there cannot be used.
    """
    metrics = read_metrics(files.metrics)
    config, settings = _read_config(files.study)
    environments = read_environments(files.environments)
    optional: dict[str, Any] = {}
    missing = {}
    for name, path, read in (
        ("costs", files.costs, read_artifact_costs),
        ("curves", files.curves, read_training_curves),
        ("weight_map", files.weight_map, read_weight_map),
        ("rollouts", files.rollouts, _read_rollouts),
        ("explanation", files.explanation, read_explanation),
        ("labels", files.labels, read_labels),
        ("novelty", files.novelty, read_novelty),
        ("observed_summary", files.observed_summary, _read_observed_summary),
        ("observed", files.observed, _read_observed),
        ("open_directions", files.open_directions, read_open_directions),
        ("attention", files.attention, read_attention),
        ("verdict", files.verdict, read_verdict),
    ):
        if path is not None:
            optional[name] = read(path)
        elif _is_expected(name, settings):
            missing[name] = f"report/{_OPTIONAL[name]}"
    unknown = sorted(set(metrics["environment"]) - set(environments.ids))
    if unknown:
        raise InputError(f"{files.metrics}: environment: found {unknown[0]!r}, expected one of {files.environments}")
    return StudyResults(
        study=metrics["study"].iloc[0],
        metrics=metrics,
        summary=read_summary(files.summary),
        environments=pd.DataFrame([{"id": row.id, "role": row.role, **row.parameters} for row in environments]),
        parameters=list(environments.parameter_names),
        config=config,
        trained_horizon=_whole(settings, "data.trained_frames", files.study) - 1,
        bootstrap=_whole(settings, "evaluation.bootstrap", files.study),
        cases=_cases(settings),
        judged_by=_judged_by(settings),
        missing=missing,
        **optional,
    )


def _read_config(path: Path) -> tuple[str, Any]:
    """The resolved configuration as text and as settings."""
    try:
        text = path.read_text(encoding="utf-8")
        return text, yaml.safe_load(text)
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file, expected the resolved configuration") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from None


def _cases(settings: Any) -> dict[str, ObservedCase]:
    """The cases of observed frames of a resolved configuration, by name."""
    evaluation = settings.get("evaluation") if isinstance(settings, dict) else None
    listed = evaluation.get("observed") if isinstance(evaluation, dict) else None
    cases = [ObservedCase(**case) for case in listed or []]
    return {case.name: case for case in cases}


def _judged_by(settings: Any) -> str | None:
    """The published zoo that judges forecasts, if a resolved configuration has no trajectories."""
    if not isinstance(settings, dict) or (settings.get("data") or {}).get("source") != "zoo":
        return None
    return str((settings.get("zoo") or {}).get("published"))


def _is_expected(name: str, settings: Any) -> bool:
    """Whether a study that is configured so has the optional file of this name."""
    asked = settings if isinstance(settings, dict) else {}
    match name:
        case "explanation":
            return bool(asked.get("explain")) and asked["explain"].get("equations", True)
        case "labels" | "open_directions" | "attention" | "verdict":
            return False  # without an arm that is told a label there are none, and with one the page needs them not
        case "novelty":
            return bool((asked.get("generator") or {}).get("arms") or asked.get("context"))
        case "observed_summary":
            return bool(_cases(settings))
        case "observed":
            return bool(_cases(settings)) and bool(asked.get("context"))
    return True


def _whole(settings: Any, field_name: str, path: Path) -> int:
    """A whole number of the configuration, named as ``section.field``."""
    for part in field_name.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    if not isinstance(settings, int):
        raise InputError(f"{path}: {field_name}: found {settings!r}, expected a whole number")
    return settings


def _read_observed_summary(path: Path) -> pd.DataFrame:
    """Medians of what methods make of a few frames."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({' '.join(str(error).split())})") from None
    lacking = [name for name in _OBSERVED_COLUMNS if name not in table.columns]
    if lacking:
        raise InputError(f"{path}: columns: found no {lacking[0]!r}, expected {', '.join(_OBSERVED_COLUMNS)}")
    return table


def _load_netcdf(path: Path) -> xr.Dataset:
    """A whole file in memory."""
    try:
        return xr.load_dataset(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as NetCDF ({' '.join(str(error).split())})") from None


def _read_observed(path: Path) -> xr.Dataset:
    """Frames that were shown, forecasts, and codes."""
    observed = _load_netcdf(path)
    lacking = [name for name in ("shown", "forecast", "code", "inferred", "traversal") if name not in observed]
    if lacking:
        raise InputError(f"{path}: variables: found no {lacking[0]!r}, expected what the stage show_observed writes")
    return observed


def _read_rollouts(path: Path) -> xr.Dataset:
    """Rollouts of a few environments: a variable per channel, dims (environment, method, time, y, x)."""
    rollouts = _load_netcdf(path)
    for channel, values in rollouts.data_vars.items():
        if set(values.dims) != set(_ROLLOUT_DIMS):
            raise InputError(f"{path}: {channel}: found dims {values.dims}, expected {_ROLLOUT_DIMS}")
    if "truth" not in rollouts.get("method", []):
        raise InputError(f"{path}: method: found no 'truth', expected it beside the forecasts")
    return rollouts
