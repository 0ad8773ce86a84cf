"""Several maps of one family, trained together: an ensemble of them against the exact law of a family."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from families_kit import birth_death_settings, birth_death_table

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.run import Run
from weightcast.evolution.config.density import DensitySettings
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.paths import PathSettings
from weightcast.families.gathering import simulate_family
from weightcast.families.public import PathFamily
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import train_paths
from weightcast.samples.settings import SnapshotSettings
from weightcast.systems.stochastic import build_stochastic_system

VISIBLE = (0.4, 0.5, 0.63, 0.8, 1.0, 1.25, 1.6)
INSIDE, OUTSIDE = (0.45, 0.7, 1.1, 1.4), (0.28, 2.2)
"""Rates of relaxation, the mean of which is exp(-rate time) times the start."""
SHOWN, LATER = (0.5, 1.0), (1.5, 2.0, 2.5, 3.0)
SETTINGS = {"noise": 0.4, "dimensions": 1, "horizon": 3.0}


def trained(maps: int, table: EnvironmentTable, snapshots: FamilySnapshots, steps: int, seed: int = 4) -> TrainedFamily:
    training = {"steps": steps, "learning_rate": 0.01, "members": 24, "batch": 24}
    paths = PathSettings.model_validate({"code": 2, "rank": 12, "width": 32, "maps": maps, "training": training})
    ids = [environment.id for environment in table.visible]
    density = DensitySettings(hidden=8, components=2)
    family, _ = train_paths(
        Run(), "codes", "deep", snapshots, table, ids, paths, density, widened=2.0, seed=seed, name="maps"
    )
    return dataclasses.replace(family, metadata={"dimensions": list(snapshots.dimensions)})


def test_maps_that_are_trained_together_are_those_that_each_would_be_alone() -> None:
    """The first is that of a seed with one map, to the rounding of a batch; the second is another one."""
    table = birth_death_table()
    snapshots = simulate_family(birth_death_settings(), table, seed=3)
    together, alone = (trained(maps, table, snapshots, steps=12) for maps in (2, 1))

    torch.testing.assert_close(together.codes, alone.codes, atol=1e-3, rtol=1e-3)
    for name, value in alone.map.state_dict().items():
        torch.testing.assert_close(together.map.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    assert len(together.members) == 2 and not alone.further
    assert (together.codes - together.further[0].codes).abs().max() > 0.05


def test_bands_of_three_maps_hold_the_exact_means_of_environments_that_those_of_one_miss() -> None:
    """Ornstein-Uhlenbeck processes that differ in their relaxation, four inside the visible range and two outside."""
    rates = {f"visible-{rate}": rate for rate in VISIBLE} | {f"new-{rate}": rate for rate in (*INSIDE, *OUTSIDE)}
    rows = tuple(
        Environment(id, {"relaxation": rate}, "visible" if rate in VISIBLE else "interpolation")
        for id, rate in rates.items()
    )
    table = EnvironmentTable(rows, ("relaxation",), Path("relaxations.csv"))
    settings = {
        "source": "ornstein-uhlenbeck",
        "state": "real",
        "dimensions": ["x"],
        "settings": SETTINGS,
        "trajectories": {"train": 800, "held_out": 10, "times": 7},
    }
    snapshots = simulate_family(SnapshotSettings.model_validate(settings), table, seed=1)
    family = trained(3, table, snapshots, steps=200)
    inference = InferenceSettings(starts=3, steps=50, proposals=128, draws=48)
    held, width = {1: [], 3: []}, {1: [], 3: []}
    for rate in (*INSIDE, *OUTSIDE):
        new = snapshots.environments[f"new-{rate}"]
        shown = {
            time: new.train[new.position(time)][400 * place : 400 * place + 400] for place, time in enumerate(SHOWN)
        }
        law = build_stochastic_system("ornstein-uhlenbeck", SETTINGS | {"relaxation": rate}).law
        truth = np.stack([law.mean(time) for time in LATER])
        for maps, asked in ((1, family.alone), (3, family)):
            band = PathFamily(asked, inference).infer(shown).mean_band(LATER, 400)
            held[maps].append(band.holds(truth).mean())
            width[maps].append((band.high - band.low).mean())
    assert np.mean(width[3]) > 1.1 * np.mean(width[1])
    assert np.mean(held[3]) > np.mean(held[1])
    assert np.mean(held[3]) >= 0.8  # of 24 means; nine tenths should be held


@pytest.mark.parametrize("draws", [4, 5])
def test_an_ensemble_has_as_many_codes_of_one_map_as_of_another(draws: int) -> None:
    table = birth_death_table()
    snapshots = simulate_family(birth_death_settings(), table, seed=3)
    family = PathFamily(
        trained(2, table, snapshots, steps=2), InferenceSettings(starts=2, steps=2, proposals=8, draws=draws)
    )
    told = family.infer({1.4: np.full((3, 1), 9.0)})
    by_parameters = family.infer(parameters={"birth": 9.0})
    for law in (told, by_parameters):
        assert law.codes.shape == (2, -(-draws // 2), 2)
        assert law.members([2.0], 5).shape == (2 * -(-draws // 2), 1, 5, 1)
    assert not torch.equal(by_parameters.codes[0], by_parameters.codes[1])
    assert family.environment("a").members([2.0], 5).shape == (1, 1, 5, 1)
