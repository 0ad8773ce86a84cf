"""Equations of fields: terms, also between frames far apart, and a context whose code is their coefficients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused
from test_partial_differential_field import GRID, equation
from tiny_study import tiny_config
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment
from weightcast.core.run import Run
from weightcast.environments.baselines.field_terms import FieldTerms
from weightcast.environments.baselines.sparse_equations import coefficients, eliminate, structure
from weightcast.environments.code_posteriors import BOUND, CodePosterior, TemperedLikelihood, draw_codes
from weightcast.environments.code_priors import CodePrior
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.equations import EquationsSettings
from weightcast.environments.config.load import parse_study
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.equation_search import EquationSearch
from weightcast.environments.jobs import TrainContext
from weightcast.environments.stages.adapt_to_frames import adapt_context
from weightcast.environments.stages.train_context import train_context
from weightcast.environments.weights_table import WeightsFile
from weightcast.environments.windows import Windows
from weightcast.trajectories import Trajectories, write_trajectories

FRAMES, TRAJECTORIES = 9, 4
WINDS = np.linspace(0.4, 1.2, 8)
DIFFUSIVITY = 0.1


def fields(seed: int, count: int = TRAJECTORIES) -> Tensor:
    """Smooth random ones [trajectory, 1, y, x]."""
    noise = torch.randn(count, 1, *GRID, generator=torch.Generator().manual_seed(seed))
    spectrum = torch.fft.rfft2(noise)
    y, x = torch.fft.fftfreq(GRID[0])[:, None] * GRID[0], torch.arange(GRID[1] // 2 + 1)[None]
    smooth = torch.fft.irfft2(spectrum * torch.exp(-(y.square() + x.square()) / 6), s=GRID)
    return smooth / smooth.std()


def carried(wind: float, seed: int, frames: int = FRAMES, count: int = TRAJECTORIES) -> Tensor:
    """u' = -wind du/dx + D laplacian(u) - 0.1 u^3 [trajectory, frame, 1, y, x]."""
    terms = [(0, [("x", 0, 0)]), (0, [("laplacian", 0, 0)]), (0, [("value", 0, 0)] * 3)]
    start = fields(seed, count)
    weights = torch.tensor([[-float(wind), DIFFUSIVITY, -0.1]])
    return torch.cat([start[:, None], equation(terms, substeps=8).rollout(weights, start[None], frames - 1)[0]], 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryFolder:
    path = tmp_path_factory.mktemp("winds")
    for number, wind in enumerate(WINDS):
        axes = [np.arange(float(points)) for points in GRID]
        values = carried(wind, number).numpy()
        write_trajectories(
            path / f"e{number}.nc", Trajectories(values, ("u",), np.arange(float(FRAMES)), *axes, f"e{number}", {})
        )
    return TrajectoryFolder(path)


def data() -> DataSettings:
    return DataSettings(
        source="netcdf",
        channels=["u"],
        grid=GRID,
        frames=FRAMES,
        trained_frames=FRAMES,
        trajectories={"train": 2, "validation": 1, "test": 1},
    )


IDS = tuple(Environment(f"e{number}", {}, "visible") for number in range(len(WINDS)))


def test_names_say_what_terms_are() -> None:
    terms = FieldTerms.of(["u", "v"], GRID, 2, 1)
    assert {"1", "u v", "du/dx", "v du/dy", "laplacian(v)", "flow(u) grad(v)", "sin(1 y + 0 x)"} <= set(terms.names)
    assert len(set(terms.names)) == len(terms.names) == len(terms.factors)
    assert len(terms.names) == EquationsSettings(degree=2, waves=1).terms(2, GRID)
    transport, forces = (np.array(terms.names)[family].tolist() for family in terms.doubtful())
    assert {"du/dx", "v du/dy", "flow(u) grad(v)"} <= set(transport) and len(transport) == 16
    assert set(forces) == {name for name in terms.names if name.startswith(("cos", "sin"))}


def test_the_true_terms_and_coefficients_are_found() -> None:
    terms = FieldTerms.of(["u"], GRID, 3, 1)
    seen = terms.increments(torch.stack([carried(wind, 10 + number) for number, wind in enumerate(WINDS[:4])]))
    chosen = structure([eliminate(seen, seen, 0)], 2.0, 24)
    assert {terms.names[term] for term in np.flatnonzero(chosen[0])} == {"u u u", "du/dx", "laplacian(u)"}
    found = dict(zip(np.array(terms.names)[chosen[0]], coefficients(seen, chosen).T, strict=True))
    np.testing.assert_allclose(found["du/dx"], -WINDS[:4], rtol=0.02)
    np.testing.assert_allclose(found["laplacian(u)"], DIFFUSIVITY, rtol=0.05)


@pytest.fixture(scope="module")
def context(folder: TrajectoryFolder) -> Context:
    settings = TrainContext(
        environments=IDS,
        data=data(),
        predictor={"kind": "fno", "width": 4, "modes": [2, 2], "depth": 1, "projection": 4},
        context={
            "maps": ["linear"],
            "dimensions": [2],
            "equations": {"degree": 3, "frames": 5},
            "training": {"steps": 5, "learning_rate": 0.01, "unroll": 1, "batch": 2, "environments": 4},
            "choice": {"steps": 5, "frames": 5},
            "refine": {"iterations": 2, "tempers": [1.0, 0.1]},
        },
        seed=0,
    )
    made = train_context(Run(), settings, folder)
    made.save(folder.path / "context.safetensors")
    return Context.load(folder.path / "context.safetensors")


def test_equations_stand_in_the_place_of_networks_that_forecast_worse(context: Context, tmp_path: Path) -> None:
    described = context.base.metadata["context"]
    assert described["map"] == "sparse-equations" and described["dimensions"] == context.codes.shape[1]
    candidates = described["choice"]["candidates"]
    assert candidates["sparse-equations"]["score"] < candidates["linear-2"]["score"] - 2
    (said,) = context.equations
    assert said.startswith("du/dt = ") and "(-1.2 to -0.4) du/dx" in said and "0.1 laplacian(u)" in said
    posterior = context.infer(carried(0.8, 70, 3, 1)[None])
    assert posterior.likelihood is not None and posterior.likelihood.bounded == FRAMES - 1
    assert context.calibration.crps is not None and context.calibration.usual_residual > 0
    wind = 1.5  # outside
    shown, test = carried(wind, 50, 5, 1)[None], carried(wind, 51, count=2)
    best, ensemble = adapt_context(context, ["new"], shown, 6, 0)
    WeightsFile.of([best, ensemble], context.base.shared).save(tmp_path / "weights.safetensors")
    file = WeightsFile.load(tmp_path / "weights.safetensors")
    for method, place in ((file.methods[0], len(IDS)), (file.methods[1], 0)):
        weights, own = method.weights[place, :1], file.normalisation_of(method)
        forecast = own.invert(file.predictor_of(method).rollout(weights, own.apply(test[None, :, 0]), FRAMES - 1))[0]
        assert float((forecast - test[:, 1:]).square().mean().sqrt()) < 0.02


def test_gaps_in_frames_are_no_obstacle(context: Context) -> None:
    shown = carried(0.7, 60, 5, 1)[None].clone()
    shown[..., ::2] = torch.nan
    found = context.weights(context.infer(shown).best)
    whole = context.weights(context.infer(torch.nan_to_num(carried(0.7, 60, 5, 1)[None])).best)
    assert float((found - whole).abs().max()) < 0.3


def test_the_study_s_own_units_are_known_although_nothing_is_shifted(
    context: Context, folder: TrajectoryFolder
) -> None:
    own = folder.read([one.id for one in IDS], data(), "train", data().trained_frames).double()
    normalisation = context.base.normalisation
    assert normalisation.mean == (0.0,)
    assert normalisation.physical_mean[0] == pytest.approx(float(own.mean()), abs=1e-6)
    assert normalisation.physical_scale == normalisation.scale


def test_what_is_drawn_forecasts_nothing_that_blows_up() -> None:
    """u' = z u: what is drawn around z = 0 with a standard deviation of 2 grows beyond all bounds in five steps."""
    predictor = equation([(0, [("value", 0, 0)])])
    start = torch.ones(1, 1, 1, *GRID)
    windows = Windows(start, start[:, :, None], torch.ones_like(start[:, :, None]))
    likelihood = TemperedLikelihood(lambda codes: codes, predictor, windows, torch.ones(1), 1.0, bounded=5)
    prior = CodePrior(torch.zeros(1), torch.eye(1))
    precision = torch.full((1, 1, 1, 1), 0.25, dtype=torch.double)
    posterior = CodePosterior(torch.zeros(1, 1, 1), precision, torch.zeros(1, 1), torch.ones(1), prior)
    wild = draw_codes("laplace", replace(posterior, likelihood=replace(likelihood, bounded=0)), 32, Draws("cpu", 0))
    drawn = draw_codes("laplace", replace(posterior, likelihood=likelihood), 32, Draws("cpu", 0))
    kept = likelihood.within_bounds(wild)
    assert kept.tolist() == (torch.exp(5 * wild[..., 0]) <= BOUND).tolist() and 5 < int(kept.sum()) < 32
    assert bool(likelihood.within_bounds(drawn).all())
    torch.testing.assert_close(drawn[kept], wild[kept])


def test_frames_far_apart_are_fitted_by_steps_between_them(tmp_path: Path) -> None:
    """Splines through frames, between which waves move on by a third of their length, are not what happened."""
    for number, wind in enumerate((1.8, 2.0, 2.2)):
        axes = [np.arange(float(points)) for points in GRID]
        record = Trajectories(carried(wind, number, 6).numpy(), ("u",), np.arange(6.0), *axes, f"e{number}", {})
        write_trajectories(tmp_path / f"e{number}.nc", record)
    settings = data().model_copy(update={"frames": 6, "trained_frames": 6})
    search = EquationSearch(
        Run(), TrajectoryFolder(tmp_path), ["e0", "e1", "e2"], settings, EquationsSettings(degree=3, frames=5)
    )
    structures = search.structures()
    assert all(known is not None for _, known in structures)
    errors = search.errors(search.context(*structures[0][:1], [0, 1, 2], structures[0][1]), [0, 1, 2])
    assert float(errors.max()) < 0.02


def test_experts_of_a_context_are_networks(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config["context"] = {
        "equations": {"degree": 2},
        "training": {"steps": 2, "learning_rate": 0.01, "unroll": 1, "batch": 1, "environments": 1},
    }
    config["zoo"]["bases"] = [*config["zoo"].get("bases", ["erm", "conditioned"]), "context"]
    with refused("context.equations: found settings", "expected null"):
        parse_study(config)
