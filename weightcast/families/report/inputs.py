"""Everything that the report of a study of environments across time is built from, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from weightcast.core.artifact_header import read_metadata
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.environment_table import EnvironmentTable, read_environments
from weightcast.core.methods import SHOWN, method
from weightcast.core.tables import read_artifact_costs, read_metrics, read_summary, read_table, read_training_curves
from weightcast.families.config.load import parse_family_study
from weightcast.families.config.study import FamilyStudy
from weightcast.families.jobs import ZOO_PRIOR, ZOO_VAE
from weightcast.families.map_choice import MapChoice

BAND_COLUMNS = (
    *("method", "split", "environment", "seed", "time", "dimension", "quantity"),
    *("low", "mid", "high", "truth", "scored"),
)
"""Columns of the tables of bands, as the stage ``evaluate_family`` writes them."""


@dataclass(frozen=True)
class FamilyResults:
    """The results of a study of environments across time.

    Attributes:
        study: the configuration.
        config: the same as text.
        table: of the environments.
        metrics: metrics.csv.
        summary: summary.csv.
        costs: costs.csv.
        curves: training_curves.csv.
        bands: of the first seed, with a further column ``case``.
        choices: what left-out environments chose, by what the map is told.
        zoo_priors: what they say of priors of the codes of each seed's zoo of paths; empty where none is compared.
        zoo_vaes: what each seed's autoencoder of paths makes of the experts that it was trained on; empty without one.
    """

    study: FamilyStudy
    config: str
    table: EnvironmentTable
    metrics: pd.DataFrame
    summary: pd.DataFrame
    costs: pd.DataFrame
    curves: pd.DataFrame
    bands: pd.DataFrame
    choices: dict[str, MapChoice]
    zoo_priors: dict[int, dict[str, Any]]
    zoo_vaes: dict[int, dict[str, Any]]


def read_family_results(results: Path) -> FamilyResults:
    """Read the results folder of a study.

    Raises:
        InputError: a file is missing or cannot be used.
    """
    study = parse_family_study(read_yaml(results / "config.yaml"), results / "config.yaml")
    metrics, summary = read_metrics(results / "metrics.csv"), read_summary(results / "summary.csv")
    for name in sorted({*metrics["method"], *summary["method"]}):
        method(name)  # refuses names that nobody knows
    bands = read_table(results / "evaluation" / f"bands-{study.paths.seeds[0]}.csv", BAND_COLUMNS)
    return FamilyResults(
        study=study,
        config=(results / "config.yaml").read_text(encoding="utf-8"),
        table=read_environments(results / "environments.csv"),
        metrics=metrics,
        summary=summary,
        costs=read_artifact_costs(results / "report/costs.csv"),
        curves=read_training_curves(results / "report/training_curves.csv"),
        bands=bands.assign(case=[name.partition(SHOWN)[2] for name in bands["method"]]),
        choices={path.stem: MapChoice.load(path) for path in sorted((results / "choice").glob("*.yaml"))},
        zoo_priors=_zoo_priors(study, results),
        zoo_vaes=_zoo_vaes(study, results),
    )


def _zoo_priors(study: FamilyStudy, results: Path) -> dict[int, dict[str, Any]]:
    """Of the artifacts of the stage ``train_path_diffusion``, where the study has any."""
    if study.paths.zoo is None or study.paths.zoo.diffusion is None:
        return {}
    return {seed: read_metadata(results / f"zoo/diffusion-{seed}.safetensors")[ZOO_PRIOR] for seed in study.paths.seeds}


def _zoo_vaes(study: FamilyStudy, results: Path) -> dict[int, dict[str, Any]]:
    """Of the artifacts of the stage ``train_path_vae``, where the study has any."""
    if study.paths.zoo is None or study.paths.zoo.vae is None:
        return {}
    return {seed: read_metadata(results / f"zoo/vae-{seed}.safetensors")[ZOO_VAE] for seed in study.paths.seeds}
