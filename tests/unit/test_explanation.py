"""The symbolic explanation: rows from weights, truth beside them, and what the report makes of them."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from blank_figures import leave_blank
from refusals import refused
from scipy.linalg import expm
from synthetic_study import build_report, environment_table, write_study
from torch import nn

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.nets.build import build_predictor
from weightcast.core.report.number_formats import MISSING
from weightcast.core.run import Run
from weightcast.core.tables import EXPLANATION_COLUMNS, read_explanation, write_table
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.explain import ExplainSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.explain import known_terms as known
from weightcast.environments.explain.comparison import accuracy, median_coefficients
from weightcast.environments.explain.predictor_equations import TrainingStates, equation_rows, with_truth
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.plots.coefficients import ROW, plot_coefficients
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.report import figures, unknown
from weightcast.environments.report.explanation import FAITHFUL, explain
from weightcast.environments.report.inputs import ResultFiles, read_results
from weightcast.environments.report.page import render_page
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.runner import run_job
from weightcast.trajectories import Trajectories, write_trajectories

CHANNELS = ["q", "p"]
FRAME_STEP = 0.4
SPEEDS = {"slow": 0.5, "middle": 1.0, "fast": 1.5, "between": 0.75}
TABLE = EnvironmentTable(
    tuple(
        Environment(name, {"speed": speed}, "interpolation" if name == "between" else "visible")
        for name, speed in SPEEDS.items()
    ),
    ("speed",),
    Path("table.csv"),
)
DATA = DataSettings(
    source="netcdf",
    directory="mine",
    channels=CHANNELS,
    grid=(1, 1),
    frames=9,
    trained_frames=9,
    trajectories={"train": 4, "validation": 1, "test": 1},
)


class LinearStep(nn.Module):
    """x -> x + A x on a single point: the exact step of a linear system."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames + self.linear(frames.flatten(1))[..., None, None]


def rotation(speed: float) -> np.ndarray:
    """One step of q' = speed p, p' = -speed q."""
    return expm(FRAME_STEP * np.array([[0.0, speed], [-speed, 0.0]]))


def write_rotations(folder: Path) -> Path:
    """Six trajectories of each environment, from starts within a unit square around the origin."""
    for environment in TABLE:
        speed = environment.parameters["speed"]
        frames = [np.random.default_rng(0).uniform(-1, 1, (6, 2))]
        for _ in range(8):
            frames.append(frames[-1] @ rotation(speed).T)
        values = np.stack(frames, axis=1).astype(np.float32)[..., None, None]
        time, point = FRAME_STEP * np.arange(9), np.zeros(1)
        write_trajectories(
            folder / f"{environment.id}.nc",
            Trajectories(values, tuple(CHANNELS), time, point, point, environment.id, {"speed": speed}),
        )
    return folder


def linear_weights(network: nn.Module, step: np.ndarray, normalisation: Normalisation) -> torch.Tensor:
    """Weights [weight] of a network that makes an affine step in physical units, between its normalisations."""
    mean, scale = np.array(normalisation.mean), np.array(normalisation.scale)
    change = step - np.eye(2)
    network.linear.weight.data = torch.tensor(change * scale / scale[:, None], dtype=torch.float32)
    network.linear.bias.data = torch.tensor(change @ mean / scale, dtype=torch.float32)
    return StackedPredictor(network).graph.flatten(network.state_dict())


# --- rows ---


def test_starts_and_range_are_of_the_visible_training_trajectories_alone(tmp_path):
    write_rotations(tmp_path)
    (tmp_path / "between.nc").unlink()
    folder = TrajectoryFolder(tmp_path)
    states = TrainingStates.read(folder, TABLE, DATA, count=7, seed=0)
    firsts = np.random.default_rng(0).uniform(-1, 1, (6, 2))[:4].astype(np.float32)  # training: the first four
    assert states.starts.shape == (7, 2)
    assert {tuple(row) for row in states.starts.tolist()} <= {tuple(row) for row in firsts.tolist()}
    assert states.frame_step == pytest.approx(FRAME_STEP)
    assert (states.low < states.starts.amin(0)).all() and (states.high > states.starts.amax(0)).all()
    assert len(TrainingStates.read(folder, TABLE, DATA, count=99, seed=0).starts) == 12
    assert torch.equal(states.starts, TrainingStates.read(folder, TABLE, DATA, count=7, seed=0).starts)


def test_each_predictor_gets_its_own_equations(tmp_path):
    pytest.importorskip("pysindy", reason="the extra `symbolic` is not installed")
    states = TrainingStates.read(TrajectoryFolder(write_rotations(tmp_path)), TABLE, DATA, count=12, seed=0)
    normalisation, network = Normalisation((0.3, -0.2), (2.0, 0.5)), LinearStep()
    speeds = np.array([[0.6, 0.9], [1.2, 1.4]])  # [environment, sample]
    weights = [[linear_weights(network, rotation(speed), normalisation) for speed in row] for row in speeds]
    method = MethodWeights("film", 3, ["between", "slow"], torch.stack([torch.stack(row) for row in weights]), 0, 0, 0)
    rows = pd.DataFrame(
        equation_rows(
            method, StackedPredictor(network), normalisation, states, CHANNELS, ExplainSettings(degree=1), 8, Run()
        )
    )
    assert set(rows["term"]) == {"1", "q", "p"} and set(rows["seed"]) == {3}
    found = rows[rows["coefficient"] != 0].set_index(["environment", "sample", "equation"])
    assert len(found) == 8
    for environment, row in zip(method.environments, speeds, strict=True):
        for sample, speed in enumerate(row):
            for equation, term, sign in (("q", "p", 1), ("p", "q", -1)):
                entry = found.loc[(environment, sample, equation)]
                assert entry["term"] == term
                assert entry["coefficient"] == pytest.approx(sign * speed, rel=1e-4)


def test_truth_beyond_the_degree_is_missing_and_unknown_truth_is_nan():
    row = {"method": "film", "environment": "a", "seed": 0, "sample": 0, "equation": "x", "residual": 0.1}
    rows = [row | {"term": "1", "coefficient": 0.5}, row | {"term": "x", "coefficient": -2.0}]
    rows += [entry | {"environment": "b"} for entry in rows]
    completed = pd.DataFrame(with_truth(rows, {"a": {"x": {"x": -1.9, "x^3": 1.0}}, "b": None}))
    of_a = completed[completed["environment"] == "a"]
    assert of_a[["term", "coefficient", "truth"]].values.tolist() == [["1", 0.5, 0.0], ["x", -2.0, -1.9], ["x^3", 0, 1]]
    assert completed.loc[completed["environment"] == "b", "truth"].isna().all()


def test_true_terms_are_named_in_the_order_of_the_channels(monkeypatch):
    def terms(parameters, settings):
        return {"prey": {"predator prey": -parameters["beta"], "prey": settings["alpha"]}, "predator": {"1 ": 2}}

    system = SimpleNamespace(channels=("prey", "predator"), terms=terms)
    monkeypatch.setattr(known, "SYSTEM_NAMES", ("mine", "other"))
    monkeypatch.setattr(
        known, "load_system", {"mine": system, "other": SimpleNamespace(channels=("u",), terms=None)}.get
    )
    environment, settings = Environment("a", {"beta": 0.7}, "visible"), {"alpha": 0.5}
    assert known.known_terms("mine", environment, settings, ["prey", "predator"]) == {
        "prey": {"prey predator": -0.7, "prey": 0.5},
        "predator": {"1": 2.0},
    }
    assert "predator prey" in known.known_terms("mine", environment, settings, ["predator", "prey"])["prey"]
    assert known.known_terms("mine", environment, settings, ["prey"]) is None
    assert known.known_terms("other", environment, settings, ["u"]) is None
    assert known.known_terms("netcdf", environment, settings, ["u"]) is None


def test_section_is_for_states_without_a_grid():
    assert ExplainSettings().misfit((1, 1)) is None
    assert "1 x 8" in ExplainSettings().misfit((1, 8))


def test_stage_writes_the_table(tmp_path):
    """A perceptron so weakly driven that it is linear, as the rotation is."""
    pytest.importorskip("pysindy", reason="the extra `symbolic` is not installed")
    trajectories = write_rotations(tmp_path / "trajectories")
    architecture = {"kind": "mlp", "channels": 2, "width": 2, "depth": 1, "activation": "tanh", "residual": True}
    network, small, weights = build_predictor(architecture), 1e-3, []
    for environment in TABLE:
        change = rotation(environment.parameters["speed"]) - np.eye(2)
        for parameter, values in zip(
            network.parameters(), (small * np.eye(2), np.zeros(2), change / small, np.zeros(2)), strict=True
        ):
            parameter.data = torch.tensor(values, dtype=torch.float32)
        weights.append(StackedPredictor(network).graph.flatten(network.state_dict()))
    shared = {"architecture": architecture, "normalisation": {"mean": [0, 0], "scale": [1, 1]}}
    method = MethodWeights("film", 0, list(TABLE.ids), torch.stack(weights)[:, None], 1.0, 0.0, 18)
    WeightsFile.of([method], shared).save(tmp_path / "bases.safetensors")
    settings = {"study": "tiny", "data": DATA.model_dump(mode="json"), "system": {}, "explain": {}, "seed": 0}
    settings["environments"] = [asdict(environment) for environment in TABLE]

    def run(name: str) -> None:
        job = {
            "stage": "distil",
            "settings": settings | {"methods": [name]},
            "inputs": {"weights": [tmp_path / "bases.safetensors"], "trajectories": trajectories},
            "outputs": {"output": tmp_path / "explanation.csv"},
        }
        run_job(json.dumps(job, default=str))

    with refused("explain.methods", "film"):
        run("no-such-method")
    assert not (tmp_path / "explanation.csv").exists()
    run("film")
    table = read_explanation(tmp_path / "explanation.csv")
    assert len(table) == 4 * 2 * 6
    assert set(table["split"]) == {"visible", "interpolation"} and table["truth"].isna().all()
    found = table[(table["environment"] == "between") & (table["coefficient"] != 0)]
    assert found[["equation", "term"]].values.tolist() == [["q", "p"], ["p", "q"]]
    assert found["coefficient"].tolist() == pytest.approx([0.75, -0.75], rel=1e-3)


# --- comparison ---


def explanation(false_seed: int | None = None, lost: str | None = None, error: float = 0.02) -> pd.DataFrame:
    """Lotka-Volterra-like: x' = 0.5 x - beta x y, with coefficients off by ``error`` outside the range, half inside."""
    rows = []
    for name in ("film", "generator-end-to-end"):
        for _, environment in environment_table().iterrows():
            for seed in range(3 if name.startswith("generator") else 1):
                off = error * (1.0 if environment["role"] == "extrapolation" else 0.5) * (-1) ** seed
                truth = {"1": 0.0, "x": 0.5, "x^2": 0.0, "x y": -environment["beta"]}
                for term, value in truth.items():
                    coefficient = value * (1 + off)
                    if term == "x^2" and seed == false_seed:
                        coefficient = 0.01
                    if term == "x" and environment["id"] == lost:
                        coefficient = 0.0
                    residual = 0.2 if environment["id"] == lost else 0.01
                    cell = ("synthetic", name, environment["role"], environment["id"], seed, 0, "x", term)
                    rows.append((*cell, coefficient, value, residual))
    return pd.DataFrame(rows, columns=list(EXPLANATION_COLUMNS))


def test_accuracy_counts_over_all_predictors():
    compared = accuracy(explanation(false_seed=2, lost="beta1.40-D0.2")).set_index(["method", "split"])
    inside = compared.loc[("generator-end-to-end", "interpolation")]
    count = (environment_table()["role"] == "interpolation").sum()
    assert (inside["predictors"], inside["false_terms"], inside["missing_terms"]) == (3 * count, count, 0)
    assert inside["largest_error"] == pytest.approx(0.01) and inside["median_error"] == pytest.approx(0.01)
    outside = compared.loc[("film", "extrapolation")]
    assert (outside["false_terms"], outside["missing_terms"], outside["largest_error"]) == (0, 1, 1)
    assert outside["largest_residual"] == 0.2 and outside["median_residual"] == 0.01
    unknown = accuracy(explanation().assign(truth=math.nan)).iloc[0]
    assert np.isnan([unknown["false_terms"], unknown["missing_terms"], unknown["largest_error"]]).all()


def test_medians_are_over_seeds_with_their_spread():
    table = median_coefficients(explanation(false_seed=2)).set_index(["method", "environment", "term"])
    generated = table.loc[("generator-end-to-end", "beta1.40-D0.2")]
    assert generated.loc["x", "coefficient"] == pytest.approx(0.51)  # two of three seeds
    assert generated.loc["x", "spread"] == pytest.approx(np.std([0.51, 0.49, 0.51], ddof=1))
    assert generated.loc["x^2", "coefficient"] == 0.0  # one of three seeds
    assert math.isnan(table.loc[("film", "beta1.40-D0.2", "x"), "spread"])


# --- the report ---


@pytest.fixture(autouse=True)
def other_figures_are_quick(monkeypatch):
    """Figures that other tests look at are not rendered."""
    leave_blank(monkeypatch, figures, unknown)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study's results and table of environments, without rollouts."""
    results, environments = write_study(tmp_path_factory.mktemp("study"))
    (results / "report" / "rollouts.nc").unlink()
    return results, environments


@pytest.fixture
def study(written, tmp_path):
    """The same, to be added to."""
    shutil.copytree(written[0], tmp_path / "results")
    return tmp_path / "results", written[1]


def build(study: tuple[Path, Path], table: pd.DataFrame) -> str:
    results, environments = study
    write_table(table, results / "report" / "explanation.csv")
    build_report(results, environments, results / "report.html", results / "figures")
    return (results / "report.html").read_text(encoding="utf-8")


def test_report_shows_equations_counts_and_coefficients(study):
    page = build(study, explanation(false_seed=0, lost="beta1.40-D0.2"))
    assert '<h2 id="explanation">Symbolic explanation</h2>' in page
    assert (study[0] / "figures" / "coefficients.svg").read_bytes().startswith(b"<?xml")
    assert "dx/dt = 0.500 x \N{MINUS SIGN} 1.40 x · y" in page  # the truth
    assert "dx/dt = \N{MINUS SIGN}(1.43 ± 0.03) x · y" in page  # a term is lost
    assert page.count('<span class="mark">not faithful</span>') == 1 and FAITHFUL < 0.2
    assert 'data-value="1.0">100 %</td>' in page
    assert "Left out: report/explanation.csv" not in page


def test_without_known_truth_there_are_equations_and_residuals(study):
    results = replace(read_results(ResultFiles.within(*study)), explanation=explanation().assign(truth=math.nan))
    shown = explain(results, "generator-paper")  # not distilled: another generator is shown
    assert shown.method == "Generated: end-to-end"
    assert shown.equations[0].distilled.startswith("dx/dt = (0.50") and shown.equations[0].truth == MISSING
    texts = [cell.text for cell in shown.tables[0].rows[0].cells]
    assert texts[:4] == [MISSING] * 4 and texts[4:6] == ["1.00 %"] * 2


def test_report_misses_the_explanation_only_where_the_configuration_asks_for_it(study):
    results, environments = study
    assert explain(read_results(ResultFiles.within(results, environments)), None) is None
    assert "explanation" not in read_results(ResultFiles.within(results, environments)).missing
    (results / "config.yaml").write_text((results / "config.yaml").read_text() + "explain: {degree: 2}\n")
    asked = render_page(read_results(ResultFiles.within(results, environments)))[0]
    assert "Left out: report/explanation.csv was not computed for this study." in asked


def test_report_refuses_an_unknown_environment_and_an_empty_table(study):
    with refused("report/explanation.csv", "nowhere"):
        build(study, explanation().replace("beta1.40-D0.2", "nowhere"))
    with refused("explanation.csv", "no rows"):
        build(study, explanation()[:0])


def test_without_parameters_coefficients_stand_in_the_order_of_the_table(study):
    table = median_coefficients(explanation().query("method == 'film'"))
    figure = plot_coefficients(table, environment_table()[["id", "role"]], [], "#d55e00")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in panels] == [ROW] * 2
    assert not any(axes.patches for axes in panels)
    environment_table()[["id", "role"]].to_csv(study[0] / "environments.csv", index=False)
    results = read_results(ResultFiles.within(study[0], study[0] / "environments.csv"))
    shown = explain(replace(results, explanation=explanation()), None)
    assert "no parameters are known" in shown.figure.caption and "grey ground" not in shown.figure.caption
    assert {row.parameters for row in shown.equations} == {MISSING}


def test_panels_have_the_parameter_that_the_truth_follows():
    table = median_coefficients(explanation().query("method == 'film'"))
    figure = plot_coefficients(table, environment_table(), ["D", "beta"], "#d55e00")
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}
    assert set(panels) == {"dx/dt\nx", "dx/dt\nx · y"}  # not the false and absent ones
    assert panels["dx/dt\nx · y"].get_xlabel() == "beta"
    assert panels["dx/dt\nx"].get_xlabel() == "D"  # constant: the first parameter
    line = panels["dx/dt\nx · y"].lines[0]
    assert np.allclose(line.get_ydata(), -np.array(line.get_xdata())) and line.get_linestyle() == "-"
    low, high = panels["dx/dt\nx"].get_ylim()
    assert high - low >= 0.1


def test_a_truth_of_several_parameters_is_no_line():
    environments = environment_table()
    product = dict(zip(environments["id"], environments["beta"] * environments["D"], strict=True))
    table = explanation().query("method == 'film' and term == 'x y'")
    table = table.assign(truth=table["environment"].map(product))
    figure = plot_coefficients(median_coefficients(table), environments, ["beta", "D"], "#d55e00")
    assert figure.axes[0].get_xlabel() == "D"  # it varies by more
    assert figure.axes[0].lines[0].get_linestyle() == "None"
