"""Equations of states whose frames lie far apart or whose rates saturate: against exact solutions and true terms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.environments.baselines.coarse_steps import CoarseSteps, Steps
from weightcast.environments.baselines.saturating_terms import SaturatingTerms
from weightcast.environments.baselines.sparse_equations import StateTerms, structure
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.equations import EquationsSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.equation_search import EquationSearch
from weightcast.environments.explain.polynomials import Monomials
from weightcast.environments.predictor import StackedPredictor
from weightcast.trajectories import Trajectories, write_trajectories

HALVES = np.array([0.6, 0.8, 1.0, 1.2])
STEP, FRAMES, SHORT = 0.5, 9, 6


def test_an_enzyme_consumes_its_substrate_as_michaelis_and_menten_say() -> None:
    """x' = -v x / (k + x), so that x + k log x falls by v t."""
    rate, half = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 2.0])
    architecture = {"kind": "polynomial-field", "channels": 1, "terms": [(0, [0])], "substeps": 8}
    predictor = StackedPredictor(build_predictor(architecture | {"hill": [(0, 1)], "saturated": [0]}))
    assert predictor.graph.num_parameters == 2
    weights = torch.stack([-rate / half, half.log()], 1)
    start = torch.tensor([1.5, 3.0]).reshape(1, 2, 1, 1, 1).expand(2, -1, -1, -1, -1)
    found = predictor.rollout(weights, start, 2)[..., 0, 0, 0]
    kept = found + half[:, None, None] * found.log()
    first = start[:, :, 0, 0] + half[:, None, None] * start[:, :, 0, 0].log()
    torch.testing.assert_close(kept, first - rate[:, None, None] * torch.tensor([1.0, 2.0]), rtol=1e-4, atol=1e-4)


def repressed(halves: NDArray[np.float64], seed: int, count: int) -> NDArray[np.float64]:
    """x' = 4 / (1 + (y / K)^3) - x, y' = 2 x - 2 y; [environment, trajectory, frame, component]."""
    random, times = np.random.default_rng(seed), STEP * np.arange(FRAMES)

    def one(half: float) -> NDArray[np.float64]:
        def rate(_: float, state: NDArray[np.float64]) -> list[float]:
            x, y = state
            return [4.0 / (1.0 + (y / half) ** 3) - x, 2.0 * (x - y)]

        start = random.uniform(0.0, 3.0, 2)
        return solve_ivp(rate, (0.0, times[-1]), start, t_eval=times, rtol=1e-9, atol=1e-10).y.T

    return np.stack([[one(half) for _ in range(count)] for half in halves])


def test_terms_and_halves_of_a_repressed_gene_are_found() -> None:
    search = CoarseSteps(Run(), repressed(HALVES, 5, 10), None, Monomials(["x", "y"], 2), [2, 3], 6)
    terms, eliminations = search.found()
    assert isinstance(terms, SaturatingTerms)
    assert (terms.component, terms.power) == (1, 3)
    chosen = structure(eliminations, 5.0, 6)
    names = [{terms.names[term] for term in np.flatnonzero(of)} for of in chosen]
    assert names == [{"1 / (1 + (y/K)^3)", "x"}, {"x", "y"}]
    weights = search.start(terms, chosen)
    expected = np.concatenate([np.tile([-0.5, 2.0, 1.0, -1.0], (4, 1)), np.log(HALVES)[:, None]], 1)
    np.testing.assert_allclose(weights, expected, atol=0.01)


def test_polynomials_are_kept_where_they_explain_what_happens() -> None:
    """x' = -y, y' = x, seen a fifth of a period apart: paths that are found in turns, and no Hill function."""
    times, random = 1.25 * np.arange(6), np.random.default_rng(0)
    phases, sizes = random.uniform(0, 2 * np.pi, (2, 8, 1)), random.uniform(0.5, 2.0, (2, 8, 1))
    states = np.stack([sizes * np.cos(times + phases), sizes * np.sin(times + phases)], 3)
    search = CoarseSteps(Run(), states, None, Monomials(["x", "y"], 2), [1, 2], 4)
    terms, eliminations = search.found()
    assert isinstance(terms, StateTerms)
    chosen = structure(eliminations, 2.0, 4)
    assert [np.flatnonzero(of).tolist() for of in chosen] == [[2], [1]]
    np.testing.assert_allclose(search.start(terms, chosen), [[-1.25, 1.25]] * 2, atol=0.01)


def test_paths_end_in_the_next_frame_and_are_chords_where_equations_run_away() -> None:
    states = np.array([[[[1.0], [2.0], [4.0]]]])
    steps, terms = Steps.of(states), StateTerms(Monomials(["x"], 2))
    grown = steps.bent(terms, [1], np.array([[[np.log(2.0)]]]))
    np.testing.assert_allclose(grown[:, 0, 0, 0], 2.0 ** np.linspace(0, 1, len(grown)), rtol=1e-6)
    np.testing.assert_allclose(grown[-1], steps.after)
    np.testing.assert_array_equal(steps.bent(terms, [0, 2], np.full((1, 2, 1), 50.0)), steps.chords())


def search_in(folder: Path, states: NDArray[np.float64], settings: EquationsSettings) -> EquationSearch:
    """A search in files of states [environment, trajectory, frame, component], the last trajectory for tests."""
    axis, ids = np.zeros(1), [f"e{number}" for number in range(len(states))]
    trajectories, frames = states.shape[1:3]
    for id, values in zip(ids, states[..., None, None].astype(np.float32), strict=True):
        record = Trajectories(values, ("message", "protein"), np.arange(float(frames)), axis, axis, id, {})
        write_trajectories(folder / f"{id}.nc", record)
    data = DataSettings(
        source="netcdf",
        channels=["message", "protein"],
        grid=(1, 1),
        frames=frames,
        trained_frames=frames,
        trajectories={"train": trajectories - 1, "validation": 0, "test": 1},
    )
    return EquationSearch(Run(), TrajectoryFolder(folder), ids, data, settings)


def test_a_new_environment_is_told_by_a_few_frames_of_a_saturating_system(tmp_path: Path) -> None:
    settings = EquationsSettings(hill=[3], tolerances=[5.0], most_terms=4, frames=SHORT)
    search = search_in(tmp_path, repressed(HALVES, 1, 13)[:, :, :SHORT], settings)
    chosen, known, _ = search.best([([0, 1, 3], [2])])
    context = search.context(chosen, range(len(HALVES)), known)
    lines = search.described(chosen, context)
    assert "/ (1 + (protein/(0.6 to 1.2))^3)" in lines[0]
    new = torch.from_numpy(repressed(np.array([0.7, 1.3]), 7, 2)[:, :, :SHORT]).float()[..., None, None]
    posterior = context.infer(new[:, :1])
    normalised = context.base.normalisation.apply(new)
    forecast = context.base.predictor.rollout(context.weights(posterior.best), normalised[:, 1:, 0], SHORT - 1)
    errors = (forecast - normalised[:, 1:, 1:]).square().mean((1, 2, 3, 4, 5)).sqrt()
    assert bool((errors < 0.01).all())


def test_settings_without_hill_functions_are_written_as_before() -> None:
    assert "hill" not in EquationsSettings().model_dump()
    assert EquationsSettings(hill=[2]).model_dump()["hill"] == [2]
    with pytest.raises(ValueError, match="hill"):
        EquationsSettings(hill=[0])


def test_states_that_no_term_explains_have_equations_all_the_same(tmp_path: Path) -> None:
    states = np.random.default_rng(0).standard_normal((3, 5, 6, 2))
    settings = EquationsSettings(degree=1, hill=[1], frames=4)
    structures = search_in(tmp_path, states, settings).structures()
    assert len(structures) >= 1
