"""A study small enough for unit tests: its files, and an untrained generator where a trained one would lie."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tiny_conditions import describing

from weightcast.environments.generator import Generator, new_generator
from weightcast.trajectories import Trajectories, write_trajectories

ROOT = Path(__file__).parents[2]
CHANNELS, GRID, FRAME_STEP = ("u", "v"), (6, 8), 0.5
ROWS = [
    ("low", "visible", 0.5),
    ("middle", "visible", 1.0),
    ("high", "visible", 1.5),
    ("between", "interpolation", 0.75),
    ("beyond", "extrapolation", 2.0),
]


def default_config() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    return config


def write_bare_table(path: Path, rows: list[tuple[str, str, float]] = ROWS) -> Path:
    """A table without parameters."""
    path.write_text("".join(f"{id},{role}\n" for id, role, *_ in [("id", "role"), *rows]), encoding="utf-8")
    return path


def write_table(path: Path, rows: list[tuple[str, str, float]] = ROWS) -> Path:
    lines = [f"{id},{role},{beta}" for id, role, beta in rows]
    path.write_text("\n".join(["id,role,beta", *lines, ""]), encoding="utf-8")
    return path


def random_trajectories(environment: str, beta: float, trajectories: int = 5, frames: int = 9) -> Trajectories:
    shape = (trajectories, frames, len(CHANNELS), *GRID)
    return Trajectories(
        values=np.random.default_rng(0).standard_normal(shape, dtype=np.float32),
        channels=CHANNELS,
        time=FRAME_STEP * np.arange(frames),
        y=np.linspace(0.0, 1.0, GRID[0]),
        x=np.linspace(0.0, 1.0, GRID[1]),
        environment=environment,
        parameters={"beta": beta},
        units={"u": "m s-1", "v": "m s-1", "time": "s"},
    )


def write_data(folder: Path, rows: list[tuple[str, str, float]] = ROWS, **sizes: int) -> Path:
    """A NetCDF file for every environment."""
    for id, _, beta in rows:
        write_trajectories(folder / f"{id}.nc", random_trajectories(id, beta, **sizes))
    return folder


def tiny_config(folder: Path) -> dict[str, Any]:
    """A configuration for files of the user's own in ``folder``/mine and the table ``folder``/table.csv."""
    config = deepcopy(default_config())
    config |= {"study": "tiny", "environments": str(folder / "table.csv")}
    config["data"] = {
        "source": "netcdf",
        "directory": str(folder / "mine"),
        "channels": list(CHANNELS),
        "grid": list(GRID),
        "frames": 9,
        "trained_frames": 5,
        "trajectories": {"train": 3, "validation": 1, "test": 1},
    }
    config["predictor"] |= {"width": 3, "modes": [2, 2], "depth": 1, "projection": 4}
    config["evaluation"] |= {"horizons": [1, 4, 8], "observed": []}
    config["context"] = None
    config["baselines"]["finetune"]["frames"] = 4
    for section in ("vae", "diffusion"):
        config["generator"][section] |= {"width": 8, "heads": 2, "layers": 1}
    return config


def without_parameters(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without what is told the environments' parameters, and so without a generator."""
    config = deepcopy(config)
    config["base"]["conditioned"] = None
    config["zoo"]["bases"] = ["erm"]
    config["generator"]["arms"] = {}
    config["context"] = None
    config["baselines"] |= {"film_matched": None, "hypernetwork": None}
    return config


def write_config(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def tiny_generator(config: dict[str, Any]) -> Generator:
    """Untrained, but its predictors stay near a freshly initialised one, and so near what they are given."""
    metadata = {
        "architecture": config["predictor"] | {"channels": len(CHANNELS)},
        "normalisation": {"mean": [1.0, -1.0], "scale": [2.0, 0.5]},
        "condition": describing(beta=(0.5, 1.5)),
        "origin": None,
        "vae": config["generator"]["vae"],
        "diffusion": config["generator"]["diffusion"],
        "arm": "conditioned",
        "seed": 0,
    }
    generator = new_generator(metadata, seed=0)
    with torch.no_grad():
        generator.vae.mean.normal_(0.0, 0.05, generator=torch.Generator().manual_seed(0))
        generator.vae.spread.fill_(0.01)
    return generator


def write_results(folder: Path) -> Path:
    """``folder``/results/tiny with a generator, beside ``folder``/data/tiny with trajectories."""
    config, results = tiny_config(folder), folder / "results" / "tiny"
    write_table(folder / "table.csv")
    results.mkdir(parents=True)
    write_config(results / "config.yaml", config)
    write_table(results / "environments.csv")
    write_data(folder / "data" / "tiny" / "trajectories", ROWS[:1])
    generator = tiny_generator(config)
    generator.save(results / "end-to-end" / "conditioned-0.safetensors")
    generator.save(results / "diffusion" / "paper-0.safetensors")
    return results
