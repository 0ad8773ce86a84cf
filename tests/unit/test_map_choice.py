"""The kind of map that a conditioned base is, chosen on left-out visible environments."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from refusals import refused
from tiny_chain import Chain, tiny_plan
from tiny_study import default_config

from weightcast.core.draws import Draws
from weightcast.core.methods import OBSERVED, method
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.environments.base import BaseNetwork
from weightcast.environments.config.load import parse_study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.config.weight_map import FilmMap, HypernetworkMap
from weightcast.environments.map_choice import MapChoice, choose_map
from weightcast.environments.origin import choose_origin
from weightcast.environments.predictor import StackedPredictor

GRID = torch.cartesian_prod(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 5))
CORNERS = {0, 4, 20, 24}


def chosen_by(errors: dict[str, tuple[float, float]], left_out: float = 0.32) -> MapChoice:
    """The choice among kinds with these errors at the corners of a grid, and elsewhere."""

    def errors_of(kind: str, seen: Sequence[int], judges: Sequence[int]) -> torch.Tensor:
        assert not set(seen) & set(judges)
        assert sorted([*seen, *judges]) == list(range(len(GRID)))
        outside, inside = errors[kind]
        return torch.tensor([outside if judge in CORNERS else inside for judge in judges])

    return choose_map(list(errors), errors_of, GRID, left_out, Draws(torch.device("cpu"), 0))


def test_the_edge_is_where_parameters_lie_outside_of_the_others() -> None:
    choice = chosen_by({"film": (0.4, 0.1)})
    assert set(choice.edge) == CORNERS
    assert len(choice.inside) == 4
    assert choice.judges == 8
    ids = [f"e{number:02d}" for number in range(25)]
    described = choice.metadata(ids)
    assert described["chosen"] == "film"
    assert described["edge"] == ["e00", "e04", "e20", "e24"]
    found = described["candidates"]["film"]
    assert (found["edge"], found["inside"]) == pytest.approx((0.4, 0.1))
    assert found["score"] == pytest.approx(0.5 * torch.tensor([0.4, 0.1]).log().sum().item())


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({"film": (0.4, 0.1), "hypernetwork": (0.1, 0.1)}, "hypernetwork"),
        ({"film": (0.4, 0.1), "hypernetwork": (0.1, 0.2)}, "hypernetwork"),
        ({"film": (0.2, 0.1), "hypernetwork": (0.15, 0.2)}, "film"),
        ({"film": (0.4, 0.1), "hypernetwork": (float("inf"), 0.05)}, "film"),
        ({"film": (float("inf"), 0.1), "hypernetwork": (float("inf"), 0.05)}, "hypernetwork"),
    ],
)
def test_factors_at_the_edge_and_inside_count_alike(errors: dict[str, tuple[float, float]], expected: str) -> None:
    assert chosen_by(errors).chosen == expected


def with_map(name: str, **more: Any) -> Any:
    def change(config: dict[str, Any]) -> None:
        config["base"] |= {"map": name, **more}

    return change


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseNetwork]:
    """The conditioned base of the tiny study, by the setting."""
    made = {}
    for name in ("film", "low-rank", "auto"):
        folder = tmp_path_factory.mktemp(name)
        chain = Chain(tiny_plan(folder, with_map(name, choice={"steps": 2})), folder)
        path = chain.run(
            "train_base", "base/conditioned.safetensors", chain.inputs_of("train_base"), base="conditioned"
        )
        made[name] = BaseNetwork.load(path)
    return made


def test_a_base_is_what_it_would_be_if_its_kind_had_been_set(bases: dict[str, BaseNetwork]) -> None:
    found = bases["auto"]
    choice = found.metadata["choice"]
    assert set(choice["candidates"]) == {"film", "hypernetwork"}
    best = min(choice["candidates"], key=lambda kind: choice["candidates"][kind]["score"])
    assert choice["chosen"] == best == found.metadata["weight_map"]["kind"]
    assert set(choice["edge"]) <= {"low", "high"}
    same = bases["film" if best == "film" else "low-rank"]
    assert "choice" not in same.metadata
    for name, tensor in same.weight_map.state_dict().items():
        assert torch.equal(found.weight_map.state_dict()[name], tensor), name


def test_maps_and_names_of_the_settings() -> None:
    config = default_config()
    for name, kind, called in (("film", FilmMap, "film"), ("low-rank", HypernetworkMap, "conditioned")):
        config["base"]["map"] = name
        trained = trained_maps(parse_study(config))["conditioned"]
        assert isinstance(trained.weight_map, kind)
        assert (trained.method, trained.rivals) == (called, ())
        assert trained.training.steps == config["base"]["conditioned"]["steps"]
    config["base"] |= {"map": "auto", "low_rank": {"rank": 4, "learning_rate": 0.002}}
    trained = trained_maps(parse_study(config))["conditioned"]
    ((rival, training),) = trained.rivals
    assert (trained.method, trained.weight_map.kind) == ("conditioned", "film")
    assert (rival.kind, rival.rank) == ("hypernetwork", 4)
    assert (training.learning_rate, trained.training.learning_rate) == (0.002, 0.01)
    for called in ("conditioned", "finetune-conditioned", "finetune-conditioned" + OBSERVED):
        assert method(called).told_parameters != called.endswith(OBSERVED)


def linear_experts(bent: float) -> tuple[torch.Tensor, torch.Tensor, StackedPredictor, torch.Tensor]:
    """Experts on a line of seven environments, whose steps bend along it, with the trajectories that they forecast
    exactly: weights, coordinates, predictor, frames."""
    module = build_predictor({"kind": "mlp", "width": 1, "depth": 1, "activation": "silu", "channels": 1}, 0)
    predictor = StackedPredictor(module)
    places = torch.linspace(-1.0, 1.0, 7)[:, None]
    weights = predictor.graph.read(module).repeat(7, 1)
    weights[:, -1] = (places + bent * places.abs().pow(5))[:, 0]  # the bias of the output: what a step adds
    frames = [torch.randn(7, 2, 1, 1, 1, generator=torch.Generator().manual_seed(0))]
    with torch.no_grad():
        for _ in range(3):
            frames.append(predictor(weights, frames[-1]))
    return weights, places, predictor, torch.stack(frames, 2)


@pytest.mark.parametrize(("score_of_base", "expected"), [(-3.0, "base"), (0.5, "mean")])
def test_left_out_environments_choose_what_weights_are_relative_to(score_of_base: float, expected: str) -> None:
    weights, places, predictor, frames = linear_experts(bent=0.5)
    ids = [f"e{number}" for number in range(7)]
    candidates = {"film": {"score": score_of_base}}
    choice = {"chosen": "film", "candidates": candidates, "edge": ["e0", "e6"], "inside": ["e3"]}
    found = choose_origin(
        Run(), SimpleNamespace(metadata={"choice": choice}), ids, weights, torch.arange(7), places, predictor, frames
    )
    assert found["chosen"] == expected
    assert found["scores"]["base"] == score_of_base
    assert -3.0 < found["scores"]["mean"] < 0.0  # the bend makes the edges wrong, not the middle


def test_experts_that_lie_on_a_line_are_regressed_exactly() -> None:
    weights, places, predictor, frames = linear_experts(bent=0.0)
    ids = [f"e{number}" for number in range(7)]
    choice = {"chosen": "film", "candidates": {"film": {"score": -1.0}}, "edge": ["e0", "e6"], "inside": []}
    base = SimpleNamespace(metadata={"choice": choice})
    found = choose_origin(Run(), base, ids, weights, torch.arange(7), places, predictor, frames)
    assert found["scores"]["mean"] < -4.0  # the ridge's share, below 2 % of a step


def test_relative_to_auto_needs_environments_that_were_left_out() -> None:
    config = default_config()
    config["generator"]["vae"]["relative_to"] = "auto"
    with refused("generator.vae.relative_to", "'auto'", "base.map 'film'", "base.map: auto"):
        parse_study(config)
    config["base"]["map"] = "auto"
    parse_study(config)


def test_an_edge_needs_parameters() -> None:
    config = default_config()
    config["base"] |= {"map": "auto", "condition": "frames"}
    with refused("base.map", "'auto'", "'frames'", "'film'"):
        parse_study(config)
