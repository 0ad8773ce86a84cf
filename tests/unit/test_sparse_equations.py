"""Sparse equations: their flow against exact solutions, terms and coefficients against the true ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from weightcast.core.environment_table import Environment
from weightcast.core.methods import EQUATIONS, method
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.environments.baselines.sparse_equations import (
    Elimination,
    Increments,
    StateTerms,
    coefficients,
    eliminate,
    structure,
)
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.explain.polynomials import Monomials
from weightcast.environments.jobs import FindEquations
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.adapt_to_frames import adapt_equations
from weightcast.environments.stages.find_equations import find_equations
from weightcast.environments.weights_table import WeightsFile
from weightcast.trajectories import Trajectories, write_trajectories

FRAMES, STEP = 13, 0.3
RATES = np.array([0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4])


def field(terms: list[tuple[int, list[int]]], channels: int, substeps: int = 4) -> StackedPredictor:
    return StackedPredictor(
        build_predictor({"kind": "polynomial-field", "channels": channels, "terms": terms, "substeps": substeps})
    )


def test_a_logistic_equation_has_its_exact_solution() -> None:
    """x' = r x - r x^2."""
    predictor = field([(0, [0]), (0, [0, 0])], 1)
    rates = torch.tensor([[0.5], [1.5]])
    start = torch.tensor([0.1, 0.6]).reshape(1, 2, 1, 1, 1).expand(2, -1, -1, -1, -1)
    found = predictor.rollout(torch.cat([rates, -rates], 1), start, 3)[..., 0, 0, 0]
    time = torch.arange(1.0, 4.0)
    grown = torch.exp(rates[:, :, None] * time) * start[..., 0, 0, :] / (1 - start[..., 0, 0, :])
    torch.testing.assert_close(found, grown / (1 + grown), rtol=1e-4, atol=1e-5)


def test_a_rotation_keeps_its_radius_and_errors_fall_by_the_fourth_power() -> None:
    errors = []
    for substeps in (1, 2):
        predictor = field([(0, [1]), (1, [0])], 2, substeps)
        start = torch.tensor([1.0, 0.0]).reshape(1, 1, 2, 1, 1)
        weights = torch.tensor([[-1.0, 1.0]], dtype=torch.double)
        found = predictor.rollout(weights, start.double(), 1)[0, 0, 0, :, 0, 0]
        errors.append(float((found - torch.tensor([np.cos(1.0), np.sin(1.0)])).norm()))
    assert 12 < errors[0] / errors[1] < 40


def test_a_constant_and_an_empty_equation_are_terms_as_well() -> None:
    predictor = field([(1, [])], 2)
    found = predictor(torch.tensor([[0.5]]), torch.ones(1, 1, 2, 1, 1))
    torch.testing.assert_close(found[0, 0, :, 0, 0], torch.tensor([1.0, 1.5]))
    assert predictor.graph.num_parameters == 1


# --- terms


def population(rate: float, seed: int, count: int = 6, frames: int = FRAMES) -> np.ndarray:
    """x' = r x - x y, y' = x y - y; [trajectory, frame, component] by many small steps."""
    state = np.random.default_rng(seed).uniform(0.5, 1.6, (count, 2))
    fine, path = 60, []

    def rate_of(state: np.ndarray) -> np.ndarray:
        product = state[:, 0] * state[:, 1]
        return np.stack([rate * state[:, 0] - product, product - state[:, 1]], 1)

    for _ in range(frames):
        path.append(state)
        for _ in range(fine):
            step = STEP / fine
            first = rate_of(state)
            second = rate_of(state + step / 2 * first)
            third = rate_of(state + step / 2 * second)
            state = state + step / 6 * (first + 2 * second + 2 * third + rate_of(state + step * third))
    return np.stack(path, 1)


def found_terms(chosen: np.ndarray, monomials: Monomials) -> list[set[str]]:
    return [{monomials.names[term] for term in np.flatnonzero(terms)} for terms in chosen]


def test_the_true_terms_are_found_for_all_environments_together() -> None:
    monomials = Monomials(["x", "y"], 3)
    seen, held_out = (
        Increments.of(np.stack([population(rate, 10 * part + number) for number, rate in enumerate(RATES)]), monomials)
        for part in (1, 2)
    )
    eliminations = [eliminate(seen, held_out, equation) for equation in range(2)]
    for of in eliminations:
        assert of.chosen.sum(1).tolist() == list(range(10, -1, -1))
        assert of.errors[-1] == pytest.approx(1.0) and of.errors[0] < 0.01
    chosen = structure(eliminations, 3.0, 24)
    assert found_terms(chosen, monomials) == [{"x", "x y"}, {"y", "x y"}]
    values = coefficients(seen, chosen) / STEP
    expected = np.stack([RATES, *np.broadcast_to([[-1.0], [-1.0], [1.0]], (3, len(RATES)))], 1)
    np.testing.assert_allclose(values, expected, atol=0.01)
    assert StateTerms(monomials).architecture(chosen, 4)["terms"] == [(0, [0]), (0, [0, 1]), (1, [1]), (1, [0, 1])]


def test_tolerance_and_number_of_terms_decide() -> None:
    chosen = np.tril(np.ones((4, 3), bool), 2)[::-1]  # 3, 2, 1 terms, and none
    chosen = np.stack([np.arange(3) < size for size in (3, 2, 1, 0)])
    first, second = (
        Elimination(chosen, np.array([0.01, 0.012, 0.5, 1.0])),
        Elimination(chosen, np.array([0.1, 0.15, 0.3, 1.0])),
    )
    assert structure([first, second], 1.0, 24).sum(1).tolist() == [3, 3]
    assert structure([first, second], 2.0, 24).sum(1).tolist() == [2, 2]
    assert structure([first, second], 4.0, 24).sum(1).tolist() == [2, 1]
    assert structure([first, second], 1.0, 4).sum(1).tolist() == [2, 2]
    assert structure([first, second], 1.0, 3).sum(1).tolist() == [2, 1]


# --- the stage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryFolder:
    path, axis = tmp_path_factory.mktemp("populations"), np.zeros(1)
    for number, rate in enumerate(RATES):
        values = population(rate, number)[..., None, None].astype(np.float32)
        record = Trajectories(values, ("prey", "predator"), np.arange(float(FRAMES)), axis, axis, f"e{number}", {})
        write_trajectories(path / f"e{number}.nc", record)
    return TrajectoryFolder(path)


@pytest.fixture(scope="module")
def found(folder: TrajectoryFolder) -> Context:
    settings = FindEquations(
        environments=tuple(Environment(f"e{number}", {}, "visible") for number in range(len(RATES))),
        data={
            "source": "netcdf",
            "channels": ["prey", "predator"],
            "grid": (1, 1),
            "frames": FRAMES,
            "trained_frames": FRAMES,
            "trajectories": {"train": 4, "validation": 1, "test": 1},
        },
        equations={"degree": 2, "tolerances": [1.0, 3.0], "frames": 6},
        choosing=("e1", "e4"),
        seed=0,
    )
    made = find_equations(Run(), settings, folder)
    made.save(folder.path / "equations.safetensors")
    return Context.load(folder.path / "equations.safetensors")


def test_coefficients_of_unseen_environments_are_those_behind_the_frames(found: Context, tmp_path: Path) -> None:
    rates = np.array([0.95, 1.7])  # the second outside
    observed = torch.from_numpy(np.stack([population(rate, 90, 1, 6) for rate in rates]))[..., None, None].float()
    test = torch.from_numpy(np.stack([population(rate, 91, 3) for rate in rates]))[..., None, None].float()
    adapted = adapt_equations(found, ["a", "b"], observed)
    WeightsFile.of([adapted], found.base.shared).save(tmp_path / "weights.safetensors")
    file = WeightsFile.load(tmp_path / "weights.safetensors")
    (read,) = file.methods
    assert read.architecture is not None and read.architecture["kind"] == "polynomial-field"
    terms = [(equation, tuple(factors)) for equation, factors in read.architecture["terms"]]
    assert set(terms) >= {(0, (0,)), (0, (0, 1)), (1, (1,)), (1, (0, 1))}
    assert read.parameters == found.codes.numel()
    own = file.normalisation_of(read)
    forecast = own.invert(file.predictor_of(read).rollout(read.weights[:, 0], own.apply(test[:, :, 0]), FRAMES - 1))
    assert float((forecast - test[:, :, 1:]).square().mean().sqrt()) < 0.01
    if len(terms) == 4:
        grows = read.weights[:, 0, terms.index((0, (0,)))] / STEP
        np.testing.assert_allclose(grows, rates, rtol=0.01)


def test_a_single_frame_and_gaps_are_no_obstacle(found: Context) -> None:
    one = torch.from_numpy(population(1.0, 90, 1, 6))[None, ..., None, None].float()
    blind = adapt_equations(found, ["a"], one[:, :, :1]).weights[0, 0]
    torch.testing.assert_close(blind, found.weights(found.codes).mean(0))
    one[:, :, :, 1] = torch.nan
    assert torch.isfinite(adapt_equations(found, ["a"], one).weights).all()


def test_equations_are_told_no_parameters() -> None:
    assert method(EQUATIONS).family == "baseline" and not method(EQUATIONS).told_parameters


def test_what_varies_together_is_one_number_of_a_code(found: Context) -> None:
    """Of four coefficients one varies, with the rate."""
    assert found.codes.shape == (len(RATES), 1)
    grows = found.weights(found.codes)
    spread = grows.std(0) / grows.mean(0).abs()
    assert int((spread > 0.01).sum()) == 1
