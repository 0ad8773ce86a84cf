"""A small made-up study, as files: what the report is built from, with errors that are known in advance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from weightcast.core.run import Run
from weightcast.core.significance import summarise
from weightcast.environments.jobs import WriteReport
from weightcast.environments.report.inputs import ResultFiles
from weightcast.environments.stages.write_report import write_report

TRAINED_HORIZON = 30
HORIZONS = (1, 5, 10, 20, 30, 45, 60)
# Typical RMSE at the trained horizon: visible, interpolation, extrapolation.
TYPICAL_ERRORS = {
    "erm": (1.15, 1.17, 1.16),
    "film": (0.08, 0.10, 0.153),
    "film-matched": (0.04, 0.06, 0.1),
    "hypernetwork": (0.05, 0.063, 0.101),
    "nearest-expert-erm": (0.3, 0.718, 0.859),
    "nearest-expert-conditioned": (0.05, 0.3, 0.5),
    "polynomial-erm": (0.28, 0.295, 0.398),
    "polynomial-conditioned": (0.08, 0.091, 0.16),
    "gaussian-process-erm": (0.28, 0.31, 0.6),
    "gaussian-process-conditioned": (0.07, 0.085, 0.3),
    "finetune-erm": (0.7, 0.75, 0.835),
    "finetune-film": (0.1, 0.17, 0.26),
    "persistence": (1.3, 1.32, 1.4),
    "climatology": (1.0, 1.01, 1.0),
    "one-per-env-erm": (0.27, 0.288, 0.307),
    "one-per-env-conditioned": (0.04, 0.05, 0.055),
    "generator-paper": (0.35, 0.5, 0.82),
    "generator-end-to-end": (0.04, 0.047, 0.125),
}


def environment_table() -> pd.DataFrame:
    """49 environments on a grid of two parameters: 24 visible, 12 unseen inside, 13 outside."""
    rows = []
    for i, beta in enumerate(np.linspace(0.6, 1.4, 7)):
        for j, diffusion in enumerate(np.linspace(0.2, 0.8, 7)):
            outside = i == 6 or j == 6
            role = "extrapolation" if outside else "visible" if (i + 2 * j) % 3 else "interpolation"
            rows.append((f"beta{beta:.2f}-D{diffusion:.1f}", role, round(beta, 3), round(diffusion, 3)))
    return pd.DataFrame(rows, columns=["id", "role", "beta", "D"])


def metrics(
    typical_errors: dict[str, tuple[float, float, float]] | None = None, environments: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Tidy metrics of the given methods: log-normal scatter over environments, three seeds for generators."""
    typical_errors = TYPICAL_ERRORS if typical_errors is None else typical_errors
    environments = environment_table() if environments is None else environments
    random = np.random.default_rng(7)
    splits = ("visible", "interpolation", "extrapolation")
    hardness = dict(zip(environments["id"], random.lognormal(0, 0.25, len(environments)), strict=True))
    rows = []
    for name, typical in typical_errors.items():
        for identifier, role in zip(environments["id"], environments["role"], strict=True):
            for seed in range(3 if name.startswith("generator-") else 1):
                scatter = hardness[identifier] * random.lognormal(0, 0.08)
                for horizon in HORIZONS:
                    growth = (horizon / TRAINED_HORIZON) ** 0.8
                    rmse = min(typical[splits.index(role)] * scatter * growth, 1.6)
                    cell = ("synthetic", name, role, identifier, seed, horizon)
                    rows += [
                        (*cell, "rmse", rmse),
                        (*cell, "rmse_physical", 0.7 * rmse),
                        (*cell, "nmse", rmse**2),
                        (*cell, "ssim", float(np.exp(-rmse))),
                    ]
    columns = ["study", "method", "split", "environment", "seed", "horizon", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def method_costs() -> pd.DataFrame:
    """Made-up totals per method; forecasts without a network cost nothing."""
    rows = []
    for i, name in enumerate(TYPICAL_ERRORS):
        if name in ("persistence", "climatology"):
            rows.append((name, 0, 0.0, 0.0))
        else:
            generator = name.startswith("generator-")
            adapt = 20.0 if "finetune" in name or "one-per" in name else 0.05
            rows.append((name, 1_900_000 if generator else 22_130, 240.0 if generator else 20.0 + 12 * i, adapt))
    return pd.DataFrame(rows, columns=["method", "parameters", "train_seconds", "adapt_seconds"])


def costs() -> pd.DataFrame:
    """Made-up costs of the artifacts."""
    rows = [
        ("base", "erm", "", 22130, 1, 60.2, np.nan),
        ("base", "conditioned", "", 24650, 1, 88.0, np.nan),
        ("zoo", "erm", "", 22130, 96, 101.5, np.nan),
        ("zoo", "conditioned", "", 22130, 96, 103.0, np.nan),
        ("vae", "paper-0", "generator-paper", 900000, 1, 40.0, np.nan),
        ("diffusion", "paper-0", "generator-paper", 1000000, 1, 55.0, 0.1),
    ]
    columns = ["stage", "artifact", "method", "parameters", "members", "train_seconds", "adapt_seconds"]
    return pd.DataFrame(rows, columns=columns)


def rollouts(environments: pd.DataFrame) -> xr.Dataset:
    """Travelling waves of two channels for a few environments, with a phase error that grows by method."""
    chosen = environments[environments["role"] != "visible"].iloc[[1, 9, -1]]
    methods = {"truth": 0.0, "one-per-env-conditioned": 0.004, "generator-end-to-end": 0.008, "erm": 0.05}
    x = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    time = np.arange(61)[:, None, None]
    fields = np.stack(
        [
            np.stack(
                [
                    np.sin(2 * x[None, None, :] + np.cos(x)[None, :, None] - beta * time * 0.2 * (1 + error))
                    for error in methods.values()
                ]
            )
            for beta in chosen["beta"]
        ]
    )
    dims = ("environment", "method", "time", "y", "x")
    return xr.Dataset(
        {"u": (dims, fields.astype("float32")), "v": (dims, np.roll(fields, 4, axis=-1).astype("float32"))},
        coords={"environment": list(chosen["id"]), "method": list(methods), "time": np.arange(61)},
    )


def weight_map(environments: pd.DataFrame) -> pd.DataFrame:
    """Principal components that follow the parameters, for the weights of one zoo and its latents."""
    random = np.random.default_rng(3)
    rows = []
    for space, explained in (("weights", (0.82, 0.14)), ("latents", (0.6, 0.2))):
        for _, environment in environments[environments["role"] == "visible"].iterrows():
            for member in range(3):
                first, second = environment["beta"] - 1, (environment["D"] - 0.5) ** (1 if space == "weights" else 3)
                noise = 0.01 * random.standard_normal(2)
                point = (first + noise[0], second + noise[1])
                rows.append((space, "conditioned", environment["id"], member, *point, *explained))
    columns = ["space", "base", "environment", "member", "component_1", "component_2", "explained_1", "explained_2"]
    return pd.DataFrame(rows, columns=columns)


def novelty() -> pd.DataFrame:
    """Three methods beside experts: one that is new and better, one that copies, one of experts themselves."""
    random = np.random.default_rng(5)
    environments, rows = environment_table(), []
    error, far = {"nearest": 0.5, "alike": 0.4, "average": 0.9, "interpolation": 0.3, "noise": 0.6}, ("average",)
    methods = {"generator-end-to-end": (1.6, 0.12), "generator-paper": (0.1, 0.5), "nearest-expert-erm": (0.0, 0.5)}
    for name, (times, rmse) in methods.items():
        for identifier, role in zip(environments["id"], environments["role"], strict=True):
            for seed in range(3 if name.startswith("generator-") else 1):
                spread = 0.25 * random.lognormal(0, 0.1)
                for reference, of_reference in error.items():
                    cell = ("synthetic", name, role, identifier, seed, reference)
                    distance = times * spread * (4 if reference in far else 1)
                    scatter = random.lognormal(0, 0.1)
                    rows += [
                        (*cell, "weights", distance, spread),
                        (*cell, "behaviour", distance**2, spread**2),
                        (*cell, "rmse", rmse * scatter, of_reference * scatter),
                    ]
    columns = ["study", "method", "split", "environment", "seed", "reference", "measure", "value", "yardstick"]
    return pd.DataFrame(rows, columns=columns)


def observed_summary() -> pd.DataFrame:
    """Medians of three methods that see frames and a reference, in three cases."""
    typical = {"context": 0.06, "context-ensemble": 0.055, "film-matched-observed": 0.12, "one-per-env-erm": 0.05}
    rows = []
    for case, factor in (("10-frames", 1.0), ("2-frames", 1.6), ("2-frames-noise-0.05", 2.0)):
        for name, error in typical.items():
            for split, harder in (("interpolation", 1.0), ("extrapolation", 1.4)):
                median = error * harder * (1.0 if name.startswith("one-per-env") else factor)
                values = {"rmse": median, "crps": 0.6 * median, "coverage_90": 0.87, "spread_skill": 0.95}
                shown = values if name.startswith("context") else {"rmse": median}
                for metric, value in shown.items():
                    rows.append((case, name, split, metric, value, 0.9 * value, 1.1 * value, 12))
    columns = ["case", "method", "split", "metric", "median", "ci_low", "ci_high", "n"]
    return pd.DataFrame(rows, columns=columns)


def open_directions(environments: pd.DataFrame) -> pd.DataFrame:
    """Spreads of two directions and both parameters, which shrink with what is seen."""
    rows = []
    for case, spread in (("10-frames", 0.02), ("2-frames", 0.1), ("2-frames-noise-0.05", 0.4)):
        for _, row in environments[environments["role"] != "visible"].iterrows():
            cell = (case, row["id"], row["role"])
            rows += [(*cell, f"direction {number}", spread * number, 0.7 / number, np.nan) for number in (1, 2)]
            rows += [(*cell, "widest", 2 * spread, np.nan, np.nan), (*cell, "narrowest", spread, np.nan, np.nan)]
            rows += [(*cell, name, spread, 0.97, 0.5 * spread) for name in ("beta", "D")]
    columns = ["case", "environment", "split", "quantity", "spread", "explained", "error"]
    return pd.DataFrame(rows, columns=columns)


def attention() -> pd.DataFrame:
    """Encoders of two blocks whose layers look at themselves."""
    names, rows = ("lift", "layers.0", "project"), []
    for block in (1, 2):
        for layer in names:
            rows += [("paper", block, layer, other, 0.8 if other == layer else 0.1, 1 / 3) for other in names]
    return pd.DataFrame(rows, columns=["arm", "block", "layer", "attended", "share", "even"])


def observed(environments: pd.DataFrame, size: int = 12, numbers: int = 2) -> xr.Dataset:
    """Frames, forecasts and codes as the stage show_observed writes them; codes are linear in the parameters."""
    random = np.random.default_rng(5)
    visible = environments[environments["role"] == "visible"]
    shown = [environments[environments["role"] == role]["id"].iloc[0] for role in ("interpolation", "extrapolation")]
    time, grid = np.arange(1, 41), ("channel", "y", "x")
    wave = np.sin(0.3 * time[:, None, None, None] + np.linspace(0, 3, size) + np.zeros((2, size, 1)))
    frames = wave[None, :4].repeat(2, 0) + 0.05 * random.standard_normal((2, 4, *wave.shape[1:]))
    if size > 3:
        frames[..., 3:6] = np.nan
    forecast = np.stack([wave, wave + 0.02, wave - 0.1, wave + 0.1])[None].repeat(2, 0)
    codes = visible[["beta", "D"]].to_numpy()[:, :numbers] @ random.standard_normal((numbers, numbers))
    inferred = codes.mean(0) + 0.05 * random.standard_normal((2, 16, numbers))
    traversal = wave * np.linspace(0.5, 1.5, 5)[None, :, None, None, None, None].repeat(numbers, 0)
    return xr.Dataset(
        {
            "shown": (("environment", "frame", *grid), frames),
            "forecast": (("environment", "statistic", "time", *grid), forecast),
            "code": (("visible", "number"), codes),
            "inferred": (("environment", "member", "number"), inferred),
            "open": (("environment", "direction"), np.full((2, numbers), 0.2)),
            "traversal": (("axis", "deviation", "time", *grid), traversal),
        },
        coords={
            "environment": shown,
            "statistic": ["truth", "mean", "low", "high"],
            "channel": ["u", "v"],
            "time": time,
            "visible": list(visible["id"]),
            "deviation": [-2.0, -1.0, 0.0, 1.0, 2.0],
        },
    )


def training_curves() -> pd.DataFrame:
    """Errors that fall, of two trainings of a stage and one of another, which has no validation."""
    rows = []
    for stage, artifact, parts in (
        ("base", "erm", ("training", "validation")),
        ("base", "conditioned", ("training", "validation")),
        ("vae", "paper-0", ("training",)),
    ):
        for part in parts:
            rows += [(stage, artifact, "main", step, part, 1 / (1 + step)) for step in range(0, 500, 50)]
    return pd.DataFrame(rows, columns=["stage", "artifact", "training", "step", "part", "value"])


def build_report(results: Path, table: Path, page: Path, figures: Path) -> None:
    """Write a study's report from its results folder and its table, as the stage does."""
    files = dict(vars(ResultFiles.within(results, table)))
    forecasts = files.pop("observed")
    made = write_report(Run(), WriteReport(), **files, observed_forecasts=forecasts)
    made["figures"].save(figures)
    made["page"].save(page)


def write_study(folder: Path, typical_errors: dict[str, tuple[float, float, float]] | None = None) -> tuple[Path, Path]:
    """Write a whole study's results; returns its results folder and its table of environments."""
    results, table = folder / "results", folder / "environments.csv"
    (results / "report").mkdir(parents=True)
    environments, errors = environment_table(), metrics(typical_errors)
    environments.to_csv(table, index=False)
    errors.to_csv(results / "metrics.csv", index=False)
    summarise(errors, method_costs(), TRAINED_HORIZON, draws=200).to_csv(results / "summary.csv", index=False)
    costs().to_csv(results / "report" / "costs.csv", index=False)
    training_curves().to_csv(results / "report" / "training_curves.csv", index=False)
    weight_map(environments).to_csv(results / "report" / "weight_map.csv", index=False)
    rollouts(environments).to_netcdf(results / "report" / "rollouts.nc")
    novelty().to_csv(results / "report" / "novelty.csv", index=False)
    observed_summary().to_csv(results / "report" / "observed_summary.csv", index=False)
    observed(environments).to_netcdf(results / "report" / "observed.nc")
    open_directions(environments).to_csv(results / "report" / "open_directions.csv", index=False)
    attention().to_csv(results / "report" / "attention.csv", index=False)
    cases = "[{frames: 10}, {frames: 2}, {frames: 2, noise: 0.05}]"
    settings = f"study: synthetic\ndata: {{trained_frames: {TRAINED_HORIZON + 1}}}\ncontext: {{maps: [linear]}}\n"
    settings += f"evaluation: {{bootstrap: 200, observed: {cases}}}\n"
    settings += "generator: {arms: {end-to-end: {}, paper: {}}}\n"
    (results / "config.yaml").write_text(settings)
    return results, table
