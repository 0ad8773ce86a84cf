"""The stage ``train_context`` on linear systems: what it makes of frames of unnamed environments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.tables import OPENNESS_COLUMNS
from weightcast.core.training import Resume, losses_of
from weightcast.environments.code_priors import MixturePrior
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.context import PRIOR_WIDENED, Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import DescribePosteriors, ShowObserved, TrainContext
from weightcast.environments.left_out import left_out_environments, number_of_judges
from weightcast.environments.map_errors import forecast_errors
from weightcast.environments.observe import observe
from weightcast.environments.second_order_training import shorter_windows
from weightcast.environments.stages.adapt_to_frames import adapt_context
from weightcast.environments.stages.describe_posteriors import describe_posteriors
from weightcast.environments.stages.show_observed import show_observed
from weightcast.environments.stages.train_context import _Training, train_context
from weightcast.environments.weights_table import WeightsFile
from weightcast.trajectories import Trajectories, write_trajectories

FRAMES, TRAJECTORIES = 11, 6
VISIBLE = np.linspace(0.2, 0.8, 8)
UNSEEN = np.array([0.33, 0.62])


def states(rate: float, seed: int) -> np.ndarray:
    """Rotations by an angle a frame: [trajectory, frame, channel, 1, 1]."""
    random = np.random.default_rng(seed)
    turn = np.array([[np.cos(rate), -np.sin(rate)], [np.sin(rate), np.cos(rate)]])
    frames = [random.standard_normal((TRAJECTORIES, 2))]
    for _ in range(FRAMES - 1):
        frames.append(frames[-1] @ turn.T)
    return np.stack(frames, 1)[..., None, None].astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> TrajectoryFolder:
    """One file an environment; nobody is told the rates."""
    path, axis = tmp_path_factory.mktemp("rotations"), np.zeros(1)
    for number, rate in enumerate(VISIBLE):
        values = states(rate, number)
        record = Trajectories(values, ("p", "q"), np.arange(float(FRAMES)), axis, axis, f"e{number}", {})
        write_trajectories(path / f"e{number}.nc", record)
    return TrajectoryFolder(path)


def settings(steps: int = 200, polish: dict[str, Any] | None = None, **context: Any) -> TrainContext:
    training = {"steps": steps, "learning_rate": 0.01, "unroll": 2, "last_unroll": 5, "batch": 8, "environments": 8}
    return TrainContext(
        environments=tuple(Environment(f"e{number}", {}, "visible") for number in range(len(VISIBLE))),
        data={
            "source": "netcdf",
            "channels": ["p", "q"],
            "grid": (1, 1),
            "frames": FRAMES,
            "trained_frames": FRAMES,
            "trajectories": {"train": 4, "validation": 1, "test": 1},
        },
        predictor={"kind": "mlp", "width": 8, "depth": 1, "activation": "tanh"},
        context={
            "maps": ["linear"],
            "dimensions": [1],
            "training": training,
            "choice": {"steps": steps, "frames": 6},
            "polish": polish,
            **context,
        },
        seed=0,
    )


POLISH = {"iterations": 5, "penalties": [1e-2, 1e-4], "choosing_iterations": 3}
ONE_TEMPER = {"tempers": [1.0]}
"""Where nothing is asked of how far a posterior is believed, which takes longer to settle than a short training."""


@pytest.fixture(scope="module")
def trained(folder) -> Context:
    return train_context(Run(), settings(polish=POLISH), folder)


def test_environments_that_were_not_seen_are_recovered_from_a_few_frames(trained) -> None:
    shown = torch.stack([torch.from_numpy(states(rate, 50)[:1, :5]) for rate in UNSEEN])
    test = torch.stack([torch.from_numpy(states(rate, 60)) for rate in UNSEEN])
    normalised = trained.base.normalisation.apply(test)
    posterior = trained.infer(shown)
    found = forecast_errors(trained.weights(posterior.best), trained.base.predictor, normalised)
    of_the_mean = trained.weights(trained.prior.mean[None]).expand(2, -1)
    known_nothing = forecast_errors(of_the_mean, trained.base.predictor, normalised)
    assert (found < 0.2 * known_nothing).all(), (found, known_nothing)
    assert float(posterior.spread.max()) < 0.5


def test_codes_are_in_the_order_of_the_rates(trained) -> None:
    """Nobody named them: the one number of a code is the rate, but for its scale and sign."""
    ranks = trained.codes[:, 0].argsort().argsort().double()
    rates = torch.arange(len(VISIBLE), dtype=torch.float64)
    assert abs(float(torch.corrcoef(torch.stack([ranks, rates]))[0, 1])) > 0.99


def test_a_context_survives_its_file(trained, tmp_path: Path) -> None:
    trained.save(tmp_path / "context.safetensors")
    again = Context.load(tmp_path / "context.safetensors")
    shown = torch.from_numpy(states(0.5, 70)[None, :1, :4])
    torch.testing.assert_close(again.infer(shown).best, trained.infer(shown).best)
    assert again.calibration == trained.calibration and again.environments == trained.environments
    masked = shown.clone()
    masked[..., 1:, :1, :, :] = torch.nan
    assert torch.isfinite(again.sample(again.infer(masked), 4, 0)).all()


@pytest.mark.parametrize("prior", ["auto", "diffusion"])
def test_prior_and_draws_are_chosen_on_environments_left_out(folder, tmp_path: Path, prior: str) -> None:
    few = {"smoothings": [0.2], "parts": [1, 2], "folds": 2, "training": {"steps": 20, "learning_rate": 0.01}}
    refine = {"draw": "auto", "tempers": [1.0, 0.1]}
    made = train_context(Run(), settings(60, prior=prior, code_diffusion=few, refine=refine), folder)
    chosen = made.base.metadata["context"]["choice"]["prior"]
    assert chosen in (("gaussian", "mixture", "diffusion") if prior == "auto" else (prior,))
    assert isinstance(made.prior, MixturePrior) == (chosen != "gaussian")
    assert made.calibration.draw in ("laplace", "weighted", "langevin") and made.calibration.crps is not None
    made.save(tmp_path / "context.safetensors")
    again = Context.load(tmp_path / "context.safetensors")
    shown = torch.from_numpy(states(0.5, 70)[None, :1, :4])
    torch.testing.assert_close(again.infer(shown).log_weights, made.infer(shown).log_weights)
    drawn = again.sample(again.infer(shown), 4, 0)
    assert torch.equal(drawn, made.sample(made.infer(shown), 4, 0)) and torch.isfinite(drawn).all()
    assert torch.isfinite(again.sample(again.infer(shown[:, :, :1]), 4, 0)).all()  # a single frame leaves the prior


def test_an_interrupted_stage_goes_on_and_ends_in_the_same_context(folder, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("weightcast.core.training.SAVE_EVERY_SECONDS", 0.0)
    polish = POLISH | {"iterations": 1, "choosing_iterations": 1}
    short = settings(12, polish=polish, maps=["output", "linear"], refine=ONE_TEMPER)
    whole = train_context(Run(), short, folder)
    resume = Resume(tmp_path, "0" * 64)
    calls: list[str] = []

    class Interrupted(Run):
        def fit(self, parameters, loss, training, *, name, **more):
            calls.append(name)

            (only,) = losses_of(loss)

            def until(step: int) -> torch.Tensor:
                if len(calls) == 3 and step == 7:
                    raise InterruptedError
                return only(step)

            return super().fit(parameters, until, training, name=name, **more)

    with pytest.raises(InterruptedError):
        train_context(Interrupted(resume=resume), short, folder)
    assert list(tmp_path.iterdir())
    run = Run(resume=resume)
    again = train_context(run, short, folder)
    assert torch.equal(again.codes, whole.codes)
    for name, tensor in whole.base.weight_map.state_dict().items():
        assert torch.equal(again.base.weight_map.state_dict()[name], tensor), name
    assert again.calibration == whole.calibration
    run.finish()
    assert not list(tmp_path.iterdir())


def test_windows_that_grow_find_what_few_first_order_steps_do_not(folder) -> None:
    """Few steps leave the rotations unlearned; windows of one step are a regression, and 3 iterations of it do more."""
    begin = [{"steps": 1, "iterations": 3}, {"steps": 4, "iterations": 2}]
    short = {"iterations": 1, "penalties": [1e-4], "choosing_iterations": 1}
    found = {}
    for name, polish in (("whole", short), ("begin", short | {"begin": begin})):
        made = train_context(Run(), settings(10, polish=polish, refine=ONE_TEMPER), folder)
        frames = torch.stack([torch.from_numpy(states(rate, 90)) for rate in VISIBLE])
        normalised = made.base.normalisation.apply(frames)
        found[name] = forecast_errors(made.weights(made.codes), made.base.predictor, normalised).median()
    assert found["begin"] < 0.5 * found["whole"], found


def test_folds_leave_out_others_each_time(folder) -> None:
    """Candidates are judged by more environments, and the choice says by which."""
    choice = {"steps": 10, "frames": 6, "folds": 3}
    made = train_context(Run(), settings(10, choice=choice, polish=POLISH, refine=ONE_TEMPER), folder)
    choice = made.base.metadata["context"]["choice"]
    assert len(set(choice["edge"])) == 3
    assert len(choice["polish"]["errors"]) == 2
    codes = torch.linspace(-1.0, 1.0, 8)[:, None]
    folds = left_out_environments(codes, 2, Draws("cpu", "folds"), 3)
    assert [fold.edge for fold in folds] in ([[0], [7], [1]], [[0], [7], [6]], [[7], [0], [1]], [[7], [0], [6]])
    assert [fold.edge for fold in left_out_environments(codes, 2, Draws("cpu", "folds"))] == [folds[0].edge]
    assert len({fold.inside[0] for fold in folds}) == 3
    for fold in folds:
        assert not set(fold.edge) & set(fold.inside)
        assert sorted([*fold.judges, *fold.others(8)]) == list(range(8))
    assert len(left_out_environments(codes, 2, Draws("cpu", "folds"), 50)) == 4  # as far as there are environments


@pytest.mark.parametrize(
    ("errors", "doubt"),
    [((1.0, 0.98, 0.97, 0.96), 1.0), ((1.0, 0.9, 0.7, 0.69), 10.0), ((0.1, 0.3, 0.9, 2.0), 1.0)],
)
def test_a_window_is_doubted_as_far_as_left_out_environments_gain_by_it(
    errors: tuple[float, ...], doubt: float
) -> None:
    training, doubts = object.__new__(_Training), [1.0, 3.0, 10.0, 30.0]
    training.settings = settings(10, choice={"doubts": doubts})
    given = dict(zip(doubts, errors, strict=True))
    training.errors = lambda trained, rows: torch.tensor([given[training.doubt], 2 * given[training.doubt]])
    assert training.choose_doubt(None, [0, 1]) == training.doubt == doubt


def test_more_frames_than_are_trained_may_be_shown(folder) -> None:
    told = settings(10, choice={"steps": 10, "frames": 9})
    told = told.model_copy(update={"data": told.data.model_copy(update={"trained_frames": 5})})
    training = _Training(Run(), told, folder)
    assert training.frames.shape[2] == 5
    shown = training.shown([1])
    assert shown.shape[:3] == (1, 1, 9)
    expected = training.normalisation.apply(torch.from_numpy(states(VISIBLE[1], 1)[:1, :9]))
    torch.testing.assert_close(shown[0], expected)
    torch.testing.assert_close(shown[:, :, :5], training.frames[[1]][:, :1])


def test_many_environments_are_judged_by_a_few_of_them() -> None:
    codes = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    (fold,) = left_out_environments(codes, number_of_judges(0.25, 400), Draws("cpu", "folds"))
    assert (len(fold.edge), len(fold.inside)) == (16, 16)


def test_windows_share_the_frames_where_they_meet() -> None:
    frames = torch.arange(12.0).view(1, 2, 6)
    found = shorter_windows(frames, 2)
    assert found.tolist() == [[[0, 1, 2], [6, 7, 8], [2, 3, 4], [8, 9, 10]]]
    assert torch.equal(shorter_windows(frames, 5), frames)


def test_what_frames_leave_open_shrinks_with_what_is_seen(trained, folder) -> None:
    """Of one frame the whole prior is left, wider than the visible environments; of clean ones next to nothing."""
    cases = (ObservedCase(frames=1), ObservedCase(frames=5))
    rows = [Environment("e3", {}, "interpolation")]
    told = DescribePosteriors(
        environments=tuple(rows), data=settings().data, cases=cases, logarithmic_parameters=[], seed=0
    )
    found = describe_posteriors(Run(), told, trained, folder).frame
    assert list(found) == list(OPENNESS_COLUMNS) and set(found["environment"]) == {"e3"}
    spread = found.pivot(index="quantity", columns="case", values="spread")
    directions = spread[spread.index.str.startswith("direction")]
    np.testing.assert_allclose(directions["1-frames"], PRIOR_WIDENED, rtol=0.3)  # few environments: shrunk correlations
    assert (directions["5-frames"] < 0.5 * directions["1-frames"]).all()


def test_what_the_report_shows_is_what_was_scored(trained, folder, tmp_path: Path) -> None:
    """Frames, forecast and codes of a shown environment: truth within a band that is drawn around the mean."""
    case, data = ObservedCase(frames=5, noise=0.01), settings().data
    row = Environment("e3", {}, "interpolation")
    whole = folder.read(["e3"], data, "train", 5)
    methods = adapt_context(trained, ["e3"], observe(whole, case, ["e3"], 0), 8, derive_seed(0, "ensemble"))
    weights = WeightsFile.of(methods, trained.base.shared | {"case": case.model_dump()})
    told = ShowObserved(environments=(row,), data=data, case=case, members=8, steps=10, seed=0)
    shown = show_observed(Run(), told, weights, trained, folder).dataset
    truth, mean, low, high = shown["forecast"].transpose("statistic", ...).values
    np.testing.assert_array_equal(truth[0], folder.read(["e3"], data, "test")[0, 0, 1:].numpy())
    assert (low <= mean).all() and (mean <= high).all() and (low < high).all()
    assert np.sqrt(((mean - truth) ** 2).mean()) < 0.2 * truth.std()
    np.testing.assert_allclose(shown["shown"].values[0], whole[0, 0].numpy(), atol=0.1)
    assert shown["traversal"].dims[:2] == ("axis", "deviation") and np.isfinite(shown["traversal"]).all()
    assert list(shown["visible"].values) == trained.environments and shown.sizes["member"] == 8
