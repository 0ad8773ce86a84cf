"""New, or memorised: made-up zoos of a smooth family, and networks of which it is known what they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from weightcast.core.environment_table import Environment
from weightcast.core.nets.build import build_predictor
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.tables import NOVELTY_COLUMNS
from weightcast.environments import evaluated_frames, plan
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import CompareWithExperts, EvaluateWeights
from weightcast.environments.novelty import MEASURES, REFERENCES
from weightcast.environments.novelty_verdict import Judgement, judge
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.compare_with_experts import compare_with_experts, zoo_of
from weightcast.environments.stages.evaluate_weights import evaluate_weights
from weightcast.environments.weight_distance import WeightDistance, by_layer, within
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.environments.zoo import Zoo
from weightcast.trajectories import Trajectories, write_trajectories

ARCHITECTURE = {"kind": "mlp", "channels": 2, "width": 6, "depth": 1, "activation": "tanh", "residual": True}
PREDICTOR = StackedPredictor(build_predictor(ARCHITECTURE))
SIZE = PREDICTOR.graph.num_parameters
MEMBERS, NOISE = 3, 0.008
VISIBLE = [Environment(f"v{number}", {"x": number / 4}, "visible") for number in range(9)]
UNSEEN = [Environment(f"u{number}", {"x": (number + 0.5) / 4}, "interpolation") for number in range(8)]
ROWS = [*VISIBLE, *UNSEEN]
DATA = {
    "source": "netcdf",
    "channels": ["a", "b"],
    "grid": [1, 1],
    "frames": 7,
    "trained_frames": 7,
    "trajectories": {"train": 1, "validation": 1, "test": 3},
}
SHARED = {"architecture": ARCHITECTURE, "normalisation": {"mean": [0.5, -0.5], "scale": [2.0, 1.0]}}
ARMS = {"mine": "conditioned", "copies": "conditioned", "permuted": "conditioned"}


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def family(x: float) -> torch.Tensor:
    """Weights as a smooth function of the environment."""
    return 0.5 * draw(0, SIZE) + x * 0.3 * draw(1, SIZE) + x**2 * 0.1 * draw(2, SIZE)


def zoo(members: int = MEMBERS) -> Zoo:
    weights = torch.stack(
        [
            family(row.parameters["x"]) + NOISE * draw(100 * position + member, SIZE)
            for position, row in enumerate(VISIBLE, start=1)
            for member in range(members)
        ]
    )
    entry = {"diverged": False, "seconds": 1.0}
    manifest = [entry | {"environment": row.id, "member": m} for row in VISIBLE for m in range(members)]
    return Zoo(weights, manifest, SHARED)


def permuted(weights: torch.Tensor) -> torch.Tensor:
    """The same functions, their hidden neurons in another order."""
    state = PREDICTOR.graph.unflatten(weights)
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    changed = {
        "layers.0.weight": state["layers.0.weight"][:, order],
        "layers.0.bias": state["layers.0.bias"][:, order],
        "output.weight": state["output.weight"][..., order],
    }
    return PREDICTOR.graph.flatten({**state, **changed})


def methods(experts: Zoo, seeds: int = 2) -> list[MethodWeights]:
    ids = [row.id for row in ROWS]
    rows = [*range(len(VISIBLE)), *range(len(UNSEEN))]  # of unseen ones, the neighbour below
    members = len(experts.weights) // len(VISIBLE)
    copies = torch.stack([experts.weights[row * members] for row in rows])
    made = []
    for seed in range(seeds):
        fresh = [
            family(row.parameters["x"]) + NOISE * draw(10_000 * (seed + 1) + position, SIZE)
            for position, row in enumerate(ROWS)
        ]
        near = copies + 0.1 * NOISE * draw(90_000 + seed, *copies.shape)
        for name, weights in (
            ("generator-mine", torch.stack(fresh)),
            ("generator-copies", near),
            ("generator-permuted", permuted(copies)),
        ):
            made.append(MethodWeights(name, seed, ids, weights[:, None], 0.0, 0.0, SIZE))
    own = torch.stack([family(row.parameters["x"]) + NOISE * draw(7_000 + i, SIZE) for i, row in enumerate(ROWS)])
    made.append(MethodWeights("one-per-env-conditioned", 0, ids, own[:, None], 0.0, 0.0, SIZE))
    made.append(MethodWeights("erm", 0, ids, copies[:, None], 0.0, 0.0, SIZE))
    return made


@pytest.fixture(scope="module")
def trajectories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the family's networks themselves make of random starts."""
    folder = tmp_path_factory.mktemp("data")
    mean, scale = torch.tensor([0.5, -0.5]), torch.tensor([2.0, 1.0])
    for position, row in enumerate(ROWS):
        start = draw(500 + position, 1, 5, 2, 1, 1)
        ahead = PREDICTOR.rollout(family(row.parameters["x"])[None], start, 6)
        frames = torch.cat([start[:, :, None], ahead], dim=2)[0].detach()
        values = (frames * scale[:, None, None] + mean[:, None, None]).numpy().astype(np.float32)
        record = Trajectories(
            values, ("a", "b"), np.arange(7.0), np.zeros(1), np.zeros(1), row.id, dict(row.parameters)
        )
        write_trajectories(folder / f"{row.id}.nc", record)
    return folder


def compared(
    folder: Path,
    trajectories: Path,
    experts: Zoo,
    rows: list[Environment],
    made: list[MethodWeights],
    memory: float | None = None,
) -> pd.DataFrame:
    """What the stage makes of methods."""
    file, data = WeightsFile.of(made, SHARED), TrajectoryFolder(trajectories)
    rows_told = [{"id": row.id, "parameters": dict(row.parameters), "role": row.role} for row in rows]
    told = {"environments": rows_told, "study": "made-up", "data": DATA}
    scoring = EvaluateWeights.model_validate(told | {"evaluation": {"horizons": [1, 6]}})
    evaluate_weights(Run(), scoring, file, data).save(folder / "mine.csv")
    settings = CompareWithExperts.model_validate(
        told | {"bases": ["conditioned"], "arms": ARMS, "logarithmic_parameters": [], "seed": 3}
    )
    table = compare_with_experts(Run(memory=memory), settings, [file], [experts], [folder / "mine.csv"], data)
    assert isinstance(table, Table)
    return table.frame


@pytest.fixture(scope="module")
def novelty(trajectories: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    experts = zoo()
    return compared(tmp_path_factory.mktemp("known"), trajectories, experts, ROWS, methods(experts))


@pytest.fixture(scope="module")
def judged(novelty: pd.DataFrame) -> dict[str, Judgement]:
    return {judgement.method: judgement for judgement in judge(novelty)}


def test_every_pair_is_there_once(novelty: pd.DataFrame) -> None:
    assert tuple(novelty) == NOVELTY_COLUMNS
    assert not novelty.duplicated(["method", "environment", "seed", "reference", "measure"]).any()
    generated = novelty[novelty.method == "generator-mine"]
    assert set(generated.reference) == set(REFERENCES) and set(generated.measure) == set(MEASURES)
    assert len(generated) == len(ROWS) * 2 * len(REFERENCES) * len(MEASURES)
    assert np.isfinite(novelty[["value", "yardstick"]]).all(axis=None)
    assert "erm" not in set(novelty.method)
    # Experts of unseen environments alone: the others are the zoo's own.
    assert set(novelty[novelty.method == "one-per-env-conditioned"].split) == {"interpolation"}


def test_frames_that_do_not_fit_are_read_in_blocks_to_the_same_numbers(
    novelty: pd.DataFrame, trajectories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = evaluated_frames.read_driven

    def noting(
        folder: TrajectoryFolder, rows: Sequence[Environment], *rest: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        read.append(len(rows))
        return original(folder, rows, *rest)

    monkeypatch.setattr(evaluated_frames, "environments_together", lambda *_: 3)
    monkeypatch.setattr(evaluated_frames, "read_driven", noting)
    experts = zoo()
    found = compared(tmp_path, trajectories, experts, ROWS, methods(experts))
    assert max(read) == 3 and len(ROWS) > 3
    exact = novelty.measure != "rmse"  # forecasts of three networks at once may round otherwise than those of twelve
    pd.testing.assert_frame_equal(found[exact], novelty[exact], check_exact=True)
    pd.testing.assert_frame_equal(found, novelty, rtol=1e-5)


def test_of_very_many_environments_some_of_each_role_are_compared_to_the_same_numbers(
    novelty: pd.DataFrame, trajectories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MOST_COMPARED", 3)
    experts = zoo()
    found = compared(tmp_path, trajectories, experts, ROWS, methods(experts))
    chosen = {"v0", "v3", "v6", "u0", "u2", "u5"}
    assert set(found.environment) == chosen
    expected = novelty[novelty.environment.isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)


def test_copies_are_called_memorised_and_fresh_samples_new(judged: dict[str, Judgement]) -> None:
    assert judged["generator-copies"].standing == "memorised"
    assert judged["generator-mine"].standing == "new"
    assert judged["one-per-env-conditioned"].standing == "new"


def test_copies_with_permuted_neurons_are_recognised_by_what_they_do(judged: dict[str, Judgement]) -> None:
    pairs = judged["generator-permuted"].pairs
    assert pairs["nearest", "weights"].side == "above"
    assert pairs["alike", "behaviour"].side == "below" and pairs["alike", "behaviour"].value < 1e-9
    assert judged["generator-permuted"].standing == "memorised"


def test_fresh_samples_forecast_better_than_what_can_be_had_from_experts(judged: dict[str, Judgement]) -> None:
    assert "nearest" not in judged["generator-mine"].not_beaten
    assert "average" not in judged["generator-mine"].not_beaten
    assert "nearest" in judged["generator-copies"].not_beaten


def test_distances_are_what_they_are(novelty: pd.DataFrame) -> None:
    """Of one network, computed by hand: nearest by all distances, in units of each layer's spread."""
    experts = zoo()
    weights = methods(experts)[0].weights[ROWS.index(UNSEEN[3]), 0]
    state = PREDICTOR.graph.unflatten(experts.weights)
    deviations = PREDICTOR.graph.unflatten(experts.weights - experts.weights.mean(0))
    spread = {}
    for layer in ("layers.0", "output"):
        both = [deviations[f"{layer}.{part}"].flatten() for part in ("weight", "bias")]
        spread[layer] = torch.cat(both).square().mean().sqrt()
    own = PREDICTOR.graph.unflatten(weights)
    squares = torch.cat(
        [((state[name] - own[name]) / spread[name.rpartition(".")[0]]).flatten(1).square() for name in own], dim=1
    )
    distances = squares.mean(1).sqrt()
    chosen = novelty[(novelty.method == "generator-mine") & (novelty.environment == "u3") & (novelty.seed == 0)]
    row = chosen[(chosen.reference == "nearest") & (chosen.measure == "weights")].iloc[0]
    assert row.value == pytest.approx(float(distances.min()), rel=1e-4)


def test_interpolation_of_two_neighbours_is_between_them(novelty: pd.DataFrame) -> None:
    """Halfway between its neighbours' parameters, the point is nearer to the family than either expert."""
    unseen = novelty[(novelty.method == "generator-mine") & (novelty.split != "visible")]
    values = unseen[unseen.measure == "weights"].groupby("reference").value.median()
    assert values["interpolation"] < 0.5 * values["nearest"] < values["average"]


def test_without_parameters_and_with_one_expert_each(trajectories: Path, tmp_path: Path) -> None:
    """No noise can be measured, and neighbours are found by the weights."""
    experts = zoo(members=1)
    rows = [Environment(row.id, {}, row.role) for row in ROWS]
    novelty = compared(tmp_path, trajectories, experts, rows, methods(experts, seeds=1))
    assert set(novelty.reference) == set(REFERENCES) - {"noise"}
    standings = {judgement.method: judgement.standing for judgement in judge(novelty)}
    assert standings["generator-copies"] == "memorised"
    assert np.isfinite(novelty[["value", "yardstick"]]).all(axis=None)


def test_a_study_without_unseen_environments_is_judged_on_visible_ones(novelty: pd.DataFrame) -> None:
    visible = novelty[novelty.split == "visible"]
    judged = {judgement.method: judgement for judgement in judge(visible)}
    assert not judged["generator-copies"].unseen and judged["generator-copies"].standing == "memorised"


def test_networks_that_are_no_numbers_are_far_from_everything(trajectories: Path, tmp_path: Path) -> None:
    experts = zoo()
    ids = [row.id for row in ROWS]
    broken = MethodWeights("generator-mine", 0, ids, torch.full((len(ids), 1, SIZE), 1e30), 0.0, 0.0, SIZE)
    novelty = compared(tmp_path, trajectories, experts, ROWS, [broken])
    assert judge(novelty)[0].standing == "new"
    assert (novelty[novelty.measure == "rmse"].value > 1e3).all()


@pytest.mark.parametrize("members", [1, MEMBERS])
def test_experts_that_do_not_fit_into_memory_are_compared_alike(
    members: int, novelty: pd.DataFrame, trajectories: Path, tmp_path: Path
) -> None:
    experts = zoo(members)
    experts.save(tmp_path / "zoo.safetensors")
    found = [
        compared(tmp_path, trajectories, one, ROWS, methods(experts), memory)
        for one, memory in ((experts, None), (Zoo.load(tmp_path / "zoo.safetensors"), 1e-6))
    ]
    keys = ["method", "environment", "seed", "reference", "measure"]
    pd.testing.assert_frame_equal(found[0][keys], found[1][keys])
    for column in ("value", "yardstick"):
        np.testing.assert_allclose(found[1][column], found[0][column], rtol=2e-3, atol=1e-5)


def test_which_zoo_a_method_is_compared_with() -> None:
    settings = CompareWithExperts.model_validate(
        {"environments": [], "study": "s", "data": DATA, "bases": ["erm", "conditioned"], "logarithmic_parameters": []}
        | {"arms": {"paper": "erm", "x-erm": "conditioned"}, "seed": 0}
    )
    assert zoo_of("generator-paper", settings) == "erm"
    assert zoo_of("generator-x-erm-weights-only", settings) == "conditioned"
    assert zoo_of("generator-x-erm-observed", settings) == "conditioned"
    assert zoo_of("polynomial-erm", settings) == "erm"
    assert zoo_of("hypernetwork", settings) == "conditioned"
    assert zoo_of("erm", settings) is None and zoo_of("finetune-film", settings) is None


def test_experts_of_unrelated_environments_are_root_two_apart_whatever_the_size_of_layers() -> None:
    experts = draw(5, 400, SIZE)
    state = PREDICTOR.graph.unflatten(experts)
    scaled = PREDICTOR.graph.flatten({name: 1e3 * v if "output" in name else v for name, v in state.items()})
    for weights in (experts, scaled):
        distance = WeightDistance.of([weights], PREDICTOR.graph)
        apart = distance.between(weights[:200], weights[200:])
        assert float(apart.square().mean()) == pytest.approx(2.0, rel=0.02)
        points = distance.coordinates(weights)
        assert torch.allclose((points[:200] - points[200:]).norm(dim=1), apart, rtol=1e-4)


def test_a_layer_that_no_expert_moves_does_not_divide_by_zero() -> None:
    experts = draw(6, 10, SIZE)
    state = PREDICTOR.graph.unflatten(experts)
    still = PREDICTOR.graph.flatten({name: torch.ones_like(v) if "output" in name else v for name, v in state.items()})
    assert torch.isfinite(WeightDistance.of([still], PREDICTOR.graph).between(still[0], experts[1]))
    same = experts[:1].expand(3, -1)
    assert torch.isfinite(WeightDistance.of([same], PREDICTOR.graph).between(same[0], experts[1]))


def test_spread_within_groups_is_that_of_their_pairs() -> None:
    points = draw(7, 6, 5)
    pairs = [(points[a] - points[b]).square().sum() for a, b in ((0, 1), (0, 2), (1, 2))]
    found = within(points, [[0, 1, 2], [3, 4], [5]])
    assert float(found[0]) == pytest.approx(float(sum(pairs)) / 3, rel=1e-5)
    assert float(found[1]) == pytest.approx(float((points[3] - points[4]).square().sum()), rel=1e-5)
    assert float(found[2]) == float(found[:2].median())
    alone = within(points[:3], [[0], [1], [2]])
    assert float(alone[0]) == pytest.approx(float(min(pairs[0], pairs[1])), rel=1e-4)
    assert math.isnan(float(within(points[:1], [[0]])[0]))


def test_noise_has_the_size_of_each_layers_deviations() -> None:
    deviations = draw(8, 300, SIZE)
    scale = by_layer(deviations - deviations.mean(0), PREDICTOR.graph, degrees=299)
    assert torch.allclose(scale, torch.ones(SIZE), rtol=0.05)
