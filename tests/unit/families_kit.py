"""Small families of paths for tests: one that is trained, and one whose posterior is known."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import torch

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.run import Run
from weightcast.environments.scaling import ParameterScaling
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.state_space import Reals
from weightcast.families.config.paths import PathSettings
from weightcast.families.gathering import simulate_family
from weightcast.families.inflation import Inflation
from weightcast.families.path_map import PathMap
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import train_paths
from weightcast.samples.settings import SnapshotSettings


def birth_death_table() -> EnvironmentTable:
    """Births at seven rates, of which one is to be inferred."""
    rates = {"a": 4, "b": 5, "c": 6.5, "d": 8, "e": 10, "f": 12, "new": 9}
    rows = tuple(
        Environment(id, {"birth": float(rate)}, "interpolation" if id == "new" else "visible")
        for id, rate in rates.items()
    )
    return EnvironmentTable(rows, ("birth",), Path("births.csv"))


def birth_death_settings() -> SnapshotSettings:
    """Twelve molecules at the start, seven times to 4.2; every other one is a snapshot."""
    return SnapshotSettings.model_validate(
        {
            "source": "birth-death",
            "state": "counts",
            "states": 40,
            "dimensions": ["X"],
            "settings": {"death": 0.8, "molecules": 12, "horizon": 4.2},
            "trajectories": {"train": 400, "held_out": 400, "times": 7},
            "observed_every": 2,
        }
    )


def trained_birth_death(maps: int = 1) -> tuple[TrainedFamily, FamilySnapshots, EnvironmentTable]:
    """A family that is trained in seconds, with its samples and its table."""
    table = birth_death_table()
    snapshots = simulate_family(birth_death_settings(), table, seed=3)
    paths = PathSettings.model_validate(
        {
            "code": 2,
            "maps": maps,
            "rank": 12,
            "width": 32,
            "training": {"steps": 500, "learning_rate": 0.01, "members": 24, "batch": 32},
        }
    )
    ids = [environment.id for environment in table.visible]
    family, _ = train_paths(
        Run(),
        "codes",
        "deep",
        snapshots,
        table,
        ids,
        paths,
        DensitySettings(hidden=8),
        widened=1.25,
        seed=5,
        name="births",
    )
    return family, snapshots, table


def normal_family(scale: float, visible: list[float]) -> TrainedFamily:
    """A family whose law is normal around the code, at every time: x ~ N(z, scale^2), one real dimension.

    The density's weights are zero but for the biases of its last layer, of which the code is the one of the mean.
    """
    density = StackedDensity.new(DensitySettings(hidden=1, components=1), Reals((0.0,), (1.0,), 1), 0)
    module = density.module
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.backbone.head.bias[2] = math.log(math.expm1(scale - 1e-3))  # softplus, and the least scale
        origin = density.graph.read(module).clone()
        for parameter in module.parameters():
            parameter.zero_()
        module.backbone.head.bias[1] = 1.0
        direction = density.graph.read(module).clone()
    path_map = PathMap(len(origin), 1, "low-rank", 1, 2)
    with torch.no_grad():
        path_map.origin.copy_(origin)
        path_map.directions.copy_(direction[None])
        path_map.coefficients[-1].weight.zero_()
        path_map.coefficients[-1].bias.copy_(torch.tensor([0.0, 1.0]))
    path_map.requires_grad_(False)
    ids = tuple(f"visible-{place}" for place in range(len(visible)))
    return TrainedFamily(
        density,
        path_map,
        "codes",
        0.0,
        10.0,
        ids,
        torch.tensor(visible)[:, None],
        ParameterScaling((), (), ()),
        torch.zeros(len(visible), 0),
        Inflation(),
        1.0,
        {"dimensions": ["x"]},
    )


def two_normal_maps(scale: float, visible: list[float], factors: tuple[float, float]) -> TrainedFamily:
    """Two maps of :func:`normal_family`: under each the law is normal around its factor times the code."""
    made = []
    for factor in factors:
        one = normal_family(scale, visible)
        one.map.directions.mul_(factor)
        made.append(one)
    return dataclasses.replace(made[0], further=(made[1],))
