"""The stage ``summarise_family``: all errors in one table, what they say, and what everything cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from weightcast.core.artifact_header import ArtifactHeader
from weightcast.core.methods import (
    ALONE,
    CONDITIONAL_FLOW,
    DECODED_EXPERT,
    DISPLACED,
    GENERATED_ENSEMBLE,
    GENERATED_PARAMETERS,
    GENERATED_PATHS,
    GENERATED_REFINED,
    PATH_EXPERT,
    POOLED_PATH,
    RATE_FIT,
    SHOWN,
    TOLD_PATH,
    TREND,
    VAE_ENSEMBLE,
    VAE_PARAMETERS,
    VAE_PATH,
    ZOO_DIFFUSION,
    ZOO_DIFFUSION_ENSEMBLE,
    ZOO_ENSEMBLE,
    ZOO_PARAMETERS,
    ZOO_PATH,
)
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.tables import read_metrics, read_table
from weightcast.core.training_curves import training_curves
from weightcast.evolution.stages.summarise_times import artifact_cost
from weightcast.families.jobs import (
    CODES,
    FLOW,
    GENERATOR,
    NOTHING,
    PARAMETERS,
    ZOO,
    ZOO_PRIOR,
    ZOO_VAE,
    SummariseFamily,
)
from weightcast.families.summary import summarise_environments

FREE = ("sampling-floor", "exact-law", ALONE, TREND, RATE_FIT, f"{DISPLACED}-parameters")
"""Methods that train nothing on visible environments."""
OTHERS = (
    {TOLD_PATH: PARAMETERS, POOLED_PATH: NOTHING, CONDITIONAL_FLOW: FLOW}
    | dict.fromkeys((ZOO_PATH, ZOO_ENSEMBLE, ZOO_PARAMETERS, PATH_EXPERT), ZOO)
    | dict.fromkeys((ZOO_DIFFUSION, ZOO_DIFFUSION_ENSEMBLE), ZOO_PRIOR)
    | dict.fromkeys((VAE_PATH, VAE_ENSEMBLE, VAE_PARAMETERS, DECODED_EXPERT), ZOO_VAE)
    | dict.fromkeys((GENERATED_PATHS, GENERATED_PARAMETERS, GENERATED_REFINED, GENERATED_ENSEMBLE), GENERATOR)
)
"""What methods are made of that are made of no learned codes."""
OF_ZOO = (ZOO, ZOO_PRIOR, ZOO_VAE, GENERATOR)
"""Fields of metadata that tell artifacts of a zoo from families."""


@stage("summarise_family")
def summarise_family(
    run: Run,
    settings: SummariseFamily,
    evaluations: list[Path],
    seconds: list[Path],
    families: list[ArtifactHeader],
) -> dict[str, Table]:
    """Gather the errors of all methods, and the costs of all that was trained."""
    # References that no seed has a part in stand in the files of all seeds.
    metrics = pd.concat([read_metrics(path) for path in evaluations], ignore_index=True).drop_duplicates(
        ["method", "split", "environment", "seed", "horizon", "metric"], ignore_index=True
    )
    spent = pd.concat([read_table(path, ("method", "seconds")) for path in seconds], ignore_index=True)
    methods = pd.DataFrame(method_costs([header.metadata for header in families], spent))
    return {
        "metrics": Table(metrics),
        "summary": Table(summarise_environments(metrics, methods, settings.bootstrap)),
        "costs": Table.of_rows(map(artifact_cost, families)),
        "methods": Table(methods),
        "curves": Table(training_curves(families)),
    }


def method_costs(families: Sequence[Mapping[str, Any]], spent: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of method_costs.csv: means over seeds of what each method took, with all that it builds on.

    Args:
        families: metadata of what was trained.
        spent: columns method and seconds for each new environment, of every seed.
    """
    trained = {
        told: pd.DataFrame(
            [
                {"numbers": one["numbers"], "seconds": one["seconds_before"] + one["seconds"]}
                for one in families
                if next((of_zoo for of_zoo in OF_ZOO if of_zoo in one), one.get("told")) == told
            ]
        )
        for told in (CODES, PARAMETERS, NOTHING, FLOW, ZOO, ZOO_PRIOR, ZOO_VAE, GENERATOR)
    }
    if len(trained[GENERATOR]):  # what it generates, the autoencoder decodes
        trained[GENERATOR]["numbers"] += int(trained[ZOO_VAE]["numbers"].iloc[0])
    rows = []
    for name, seconds in spent.groupby("method", sort=False)["seconds"].mean().items():
        base = str(name).partition(SHOWN)[0]
        told = OTHERS.get(base, CODES)
        of_family = trained[told]
        nothing = base in FREE
        rows.append(
            {
                "method": name,
                "parameters": 0 if nothing else int(of_family["numbers"].iloc[0]),
                "train_seconds": 0.0 if nothing else float(of_family["seconds"].mean()),
                "adapt_seconds": float(seconds),
            }
        )
    return rows
