"""What `weightcast check` plans, measures and adds up; how it says so."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from refusals import refused
from tiny_study import ROOT, default_config
from torch.func import vmap
from torch.nn import functional as F

from weightcast.core.config.training import TrainingSettings
from weightcast.core.environment_table import Environment, EnvironmentTable, read_environments
from weightcast.core.job import Job
from weightcast.core.training import VALIDATIONS
from weightcast.cost import measure, simulation
from weightcast.cost.environments import EnvironmentsPart, few_environments, is_large, shortened
from weightcast.cost.forecast import Forecast, benchmark_seconds
from weightcast.cost.jobs import PlannedJob, parse_dry_run, planned_jobs
from weightcast.cost.measure import MeasuredRun, Work
from weightcast.cost.operations import OperationCounter
from weightcast.cost.rehearsal import Told, alike, kinds_of, of_environments, of_size
from weightcast.cost.words import cost_lines, gpu_lines
from weightcast.environments.commands.untrained import untrained_predictor
from weightcast.environments.config.load import load_study, parse_study
from weightcast.environments.jobs import Plan
from weightcast.environments.weights_table import MethodWeights, WeightsFile


def operations(compute: Callable[[], object]) -> int:
    with OperationCounter() as counter:
        compute()
    return counter.operations


# --- counting


def test_a_product_of_matrices() -> None:
    assert operations(lambda: torch.ones(3, 5) @ torch.ones(5, 7)) == 2 * 3 * 5 * 7


def test_a_product_over_members_and_its_gradients() -> None:
    left, right = torch.ones(4, 3, 5, requires_grad=True), torch.ones(4, 5, 7, requires_grad=True)
    product = 4 * 2 * 3 * 5 * 7
    assert operations(lambda: vmap(torch.mm)(left, right)) == product
    assert operations(lambda: vmap(torch.mm)(left, right).sum().backward()) == 3 * product


def test_elementwise_functions_count_as_nothing() -> None:
    assert operations(lambda: F.gelu(torch.ones(10)).sum()) == 0


def test_attention_on_the_cpu() -> None:
    query = torch.ones(2, 4, 10, 8, requires_grad=True)
    product = 2 * 4 * 2 * 10 * 10 * 8
    assert operations(lambda: F.scaled_dot_product_attention(query, query, query)) == 2 * product
    # Backward: the scores again, and two products for each of the two.
    whole = operations(lambda: F.scaled_dot_product_attention(query, query, query).sum().backward())
    assert whole == (2 + 5) * product


def test_a_predictor_grows_with_its_batch() -> None:
    predictor = untrained_predictor(parse_study(default_config()))
    weights = predictor.graph.read(predictor.module).repeat(2, 1)
    one, three = (operations(lambda n=n: predictor(weights, torch.ones(2, n, 2, 24, 24))) for n in (1, 3))  # type: ignore[misc]
    assert three == 3 * one > 0


# --- trainings that stop after a few steps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until it is put forward."""
    now = [0.0]
    monkeypatch.setattr(measure.time, "process_time", lambda: now[0])
    return now


def trained(run: MeasuredRun, steps: int, name: str = "training", members: int = 6, **more: Any) -> list[int]:
    """The steps of which a training looked at the loss."""
    weights, looked = torch.zeros(members, 3, requires_grad=True), []

    def loss(step: int) -> torch.Tensor:
        looked.append(step)
        return (torch.ones(5, members) @ weights - 1).square().mean()

    run.fit(
        [weights],
        loss,
        TrainingSettings(steps=steps, learning_rate=0.1, keep=more.pop("keep", "last")),
        name=name,
        **more,
    )
    return looked


@pytest.mark.parametrize("step", [0.001, 0.02, 0.5])
def test_a_training_grows_in_proportion_to_its_steps(step: float, clock: list[float]) -> None:
    spent: list[float] = []

    def train(steps: int) -> float:
        run, first = MeasuredRun(budget=0.3), True
        weights = torch.zeros(3, requires_grad=True)

        def loss(_: int) -> torch.Tensor:
            nonlocal first
            clock[0] += step + 0.7 * first  # the first time takes longer
            first = False
            return weights.square().mean()

        run.fit([weights], loss, TrainingSettings(steps=steps, learning_rate=0.1), name="training")
        spent.append(run.spent)
        return run.trained.seconds

    assert train(1000) == pytest.approx(1000 * step)
    assert train(3000) == pytest.approx(3000 * step)
    assert max(spent) < 0.3 + 0.7 + 5 * step


def test_operations_of_a_training() -> None:
    run = MeasuredRun(budget=0.0)
    trained(run, 100)
    assert run.trained.operations == 100 * 2 * (2 * 5 * 6 * 3)  # forward, and the gradient of the weights
    assert run.trained.counted == run.trained.seconds > 0
    assert not sys.modules["torch.optim.optimizer"]._global_optimizer_post_hooks  # nothing is left behind


def test_steps_are_spread_over_the_whole_training() -> None:
    looked = trained(MeasuredRun(budget=0.3), 1000)
    assert max(looked) > 900
    assert len(looked) < 100


def test_trainings_alike_are_timed_once() -> None:
    run = MeasuredRun(budget=0.0)
    assert trained(run, 10, "tried, 20 steps at 1e-3")
    before = run.trained.operations
    assert not trained(run, 30, "tried, 100 steps at 0.01")
    assert run.trained.operations == 4 * before
    assert trained(run, 10, "tried, 20 steps at 1e-3", members=7)  # of another size
    assert trained(run, 10, "another")


def test_validations_count_as_often_as_they_are(clock: list[float]) -> None:
    def validation() -> torch.Tensor:
        clock[0] += 2.0
        return torch.ones(())

    run = MeasuredRun(budget=0.0)
    trained(run, 1000, validation=validation, keep="best")
    assert run.trained.seconds == 2.0 * VALIDATIONS
    run = MeasuredRun(budget=0.0)
    trained(run, 3, validation=validation)
    assert run.trained.seconds == 2.0 * 3


def test_a_part_of_a_stack_grows_by_its_trainings_name() -> None:
    run, whole = MeasuredRun(budget=0.0, grows={"unseen": 3.0}), MeasuredRun(budget=0.0)
    trained(run, 10, "tuned, unseen")
    trained(whole, 10, "tuned, unseen")
    assert run.trained.operations == 3 * whole.trained.operations
    trained(run, 10, "tuned, visible")
    assert run.trained.operations == 4 * whole.trained.operations


def test_a_long_step_is_not_repeated(clock: list[float]) -> None:
    def loss(step: int) -> torch.Tensor:
        clock[0] += 30.0
        return weights.square().mean()

    weights, run = torch.zeros(3, requires_grad=True), MeasuredRun()
    run.fit([weights], loss, TrainingSettings(steps=7, learning_rate=0.1), name="training")
    assert run.spent == 30.0
    assert run.trained.seconds == 7 * 30.0


def test_iterations_of_one_size_are_done_once_and_counted_each_time(clock: list[float]) -> None:
    def iterate(count: int, sizes: tuple[int, ...] | None) -> int:
        with run.iterations(count, "polish", sizes) as done:
            clock[0] += 3.0 * done
        return done

    run = MeasuredRun(grows={"polish": 2.0})
    assert [iterate(10, (5, 7)), iterate(20, (5, 7)), iterate(10, (5, 8))] == [1, 0, 1]
    assert run.trained.seconds == 2.0 * 3.0 * (10 + 20 + 10)
    assert run.spent == 2 * 3.0
    run = MeasuredRun()
    assert [iterate(9, None), iterate(9, None)] == [1, 1]  # the look at the start is one more
    assert run.trained.seconds == 2 * 3.0 / 2 * (9 + 1)


def test_what_hardly_trained_networks_do_stops_nothing() -> None:
    weights, run = torch.zeros(3, requires_grad=True), MeasuredRun(budget=0.0)
    result = run.fit([weights], lambda step: weights.sum() / 0.0, TrainingSettings(steps=9, learning_rate=1), name="t")
    assert result.curve()
    assert result.seconds == run.trained.seconds


@pytest.mark.parametrize("few", [2, 4])
def test_large_batches_follow_a_straight_line(few: int) -> None:
    told = [Told(settings=None, size=size, whole=16) for size in (1, few)]  # type: ignore[arg-type]
    works = [Work(3.0 + 2.0 * one.size, 7.0 + 10.0 * one.size) for one in told]
    assert of_size(told, works) == Work(3.0 + 2.0 * 16, 7.0 + 10.0 * 16)


def test_a_disturbed_batch_is_no_free_batch() -> None:
    told = [Told(settings=None, size=size, whole=3) for size in (1, 2)]  # type: ignore[arg-type]
    assert of_size(told, [Work(9.0), Work(8.0)]).seconds == 9.0 + 2 * 4.0
    # Counted seconds are a part of all: they cannot grow faster.
    disturbed = of_size(told, [Work(5.0, 1.0, 2.0), Work(8.0, 2.0, 7.0)])
    assert 0 < disturbed.counted < disturbed.seconds


def test_many_environments_follow_a_straight_line() -> None:
    """Three seconds at any rate, and half a second for each."""
    assert of_environments((3.0 + 0.5 * 4, 3.0 + 0.5 * 12), (4, 12, 2000)) == pytest.approx(3.0 + 0.5 * 2000)
    assert of_environments((2.1, 2.0), (4, 12, 2000)) == 2.0  # a disturbed measurement is no saving


def test_long_simulations_follow_a_straight_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spin-up of 7 and then 0.5 a frame, or twice as much; three environments of the table, four trajectories."""
    study = parse_study(default_config())
    table = read_environments(ROOT / study.environments)
    last = table.environments[-1].id
    monkeypatch.setattr(
        simulation,
        "_seconds",
        lambda system, settings, environment, seed: (
            settings["trajectories"] * (7 + 0.5 * settings["frames"]) * (1 + (environment.id == last))
        ),
    )
    one = (7 + 0.5 * study.data.frames) * study.data.trajectories.total
    assert simulation.simulation_seconds(study, table) == pytest.approx(one * (1 + 1 + 2) / 3)


# --- which jobs there are, and which are of a kind


def job(stage: str, *inputs: str, output: str, benchmark: Path | None = None, **of: str) -> PlannedJob:
    return PlannedJob(stage, Job(stage, of, {"inputs": list(inputs)}, {"output": output}, config="c.yaml"), benchmark)


def test_jobs_are_read_from_a_dry_run() -> None:
    told = {"stage": "train_vae", "of": {"arm": "it's"}, "inputs": {"zoo": "z"}, "outputs": {"output": "v"}}
    command = json.dumps(told | {"config": "c.yaml"}).replace("'", "'\"'\"'")
    text = (
        "Job stats:\njob  count\nrule none:\n\n[Sat]\nrule train_vae:\n    input: a, b\n    output: v\n"
        f"    benchmark: b.tsv\nShell command: python 'a b/run_stage.py' '{command}' > v.log 2>&1\n\n"
        "[Sat]\nlocalrule all:\n    input: v\n"
    )
    (planned,) = parse_dry_run(text)
    assert (planned.rule, planned.benchmark) == ("train_vae", Path("b.tsv"))
    assert planned.job == Job(config="c.yaml", **told)


@pytest.fixture(scope="module")
def default_jobs() -> list[PlannedJob]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return planned_jobs([Path("config.yaml")])


def test_jobs_of_the_default_study(default_jobs: list[PlannedJob], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {rule: sum(planned.rule == rule for planned in default_jobs) for rule in ("train_vae", "train_experts")}
    assert counts == {"train_vae": 2 * 3, "train_experts": 2 * (4 + 3)}
    assert sum(planned.rule == "simulate_environments" for planned in default_jobs) == 42
    # Whatever takes long enough to be noted is noted beside its output.
    noted = {planned.rule for planned in default_jobs if planned.benchmark is not None}
    assert {"train_experts", "train_vae", "evaluate_weights", "regress_weights"} <= noted


def test_jobs_that_differ_in_seeds_and_environments_alone_are_of_a_kind(
    default_jobs: list[PlannedJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    study = parse_study(default_config())
    kinds = kinds_of(default_jobs, Plan(study, read_environments(study.environments)))
    of = {rule: {kinds[planned] for planned in default_jobs if planned.rule == rule} for rule in ("train_vae", "all")}
    assert len(of["train_vae"]) == 2  # arms, not seeds
    experts = [kinds[planned] for planned in default_jobs if planned.job.stage == "train_experts"]
    assert len(set(experts)) == 4  # of two bases, visible or not
    assert len({kinds[planned] for planned in default_jobs if planned.job.stage == "train_base"}) == 4


def test_settings_alike() -> None:
    rows = [{"id": "a", "role": "visible"}, {"id": "b", "role": "extrapolation"}]
    told = {"seed": 1, "environments": rows, "fold": "without-3", "flow": {"seeds": [4], "width": 8}}
    other = {"seed": 2, "environments": rows[::-1], "fold": "without-5", "flow": {"seeds": [5], "width": 8}}
    assert alike(told) == alike(other)
    assert alike(told) != alike(told | {"flow": {"seeds": [4], "width": 9}})
    assert alike(told) != alike(told | {"fold": "all"})


def test_a_study_that_cannot_be_planned_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text((ROOT / "config.yaml").read_text())
    with refused("my.yaml", "data/lambda-omega.csv"):
        planned_jobs([Path("my.yaml")])
    assert [path.name for path in tmp_path.iterdir()] == ["my.yaml"]


def test_a_study_whose_table_lies_beside_the_folder_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A complete run is planned in a folder of links, from which ../ must lead where it leads from here."""
    for name in ("work", "tables"):
        (tmp_path / name).mkdir()
    (tmp_path / "tables/some.csv").write_bytes((ROOT / "data/lambda-omega.csv").read_bytes())
    monkeypatch.chdir(tmp_path / "work")
    text = (ROOT / "config.yaml").read_text()
    Path("my.yaml").write_text(text.replace("environments: data/lambda-omega.csv", "environments: ../tables/some.csv"))
    assert any(planned.rule == "train_erm" for planned in planned_jobs([Path("my.yaml")]))
    assert [path.name for path in Path().iterdir()] == ["my.yaml"]


def test_parts_of_studies() -> None:
    study = parse_study(default_config())
    table = read_environments(ROOT / study.environments)
    few = few_environments(study, table)
    assert len(few.visible) == 8  # as many as a step looks at
    assert {environment.role for environment in few} == {"visible", "interpolation", "extrapolation"}
    assert not is_large(study)
    large = load_study(ROOT / "config" / "paper" / "navier-stokes.yaml")
    assert is_large(large)
    assert shortened(large).data.frames == 12


# --- adding up


def forecast_of(*seconds: float, operations: float = 0.0, **more: Any) -> Forecast:
    """Of jobs in two chains: each reads what the one before the one before it wrote."""
    jobs = [job(f"stage-{place % 2}", f"{place - 2}", output=f"{place}") for place in range(len(seconds))]
    work = [Work(one, operations * (place > 0), one * (place > 0)) for place, one in enumerate(seconds)]
    return Forecast(jobs, work, **({"left": [True] * len(jobs), "known": 0, "failed": []} | more))


def test_cores_share_the_jobs_but_some_wait_for_others() -> None:
    found = forecast_of(1.0, 10.0, 2.0, 20.0, 3.0)
    assert found.seconds == 36.0
    assert found.longest_chain == 30.0
    assert (found.on_cores(1), found.on_cores(2)) == (36.0, 30.0)
    assert found.stages() == {"stage-0": (3, Work(6.0, 0.0, 5.0)), "stage-1": (2, Work(30.0, 0.0, 30.0))}


def test_seconds_that_snakemake_noted(tmp_path: Path) -> None:
    path = tmp_path / "b.tsv"
    assert benchmark_seconds(path) is None
    path.write_text("s\th:m:s\tmax_rss\n")
    assert benchmark_seconds(path) is None
    path.write_text("s\th:m:s\tmax_rss\n92.49\t0:01:32\t558.86\n")
    assert benchmark_seconds(path) == 92.49


# --- words


def test_small_costs_are_in_minutes() -> None:
    assert cost_lines(forecast_of(90.0, 1200.0), cores=2) == [
        "about 22 core-minutes on this machine",
        "at least 20 minutes on 2 cores; the longest chain of jobs takes 20",
        "    20 stage-1 (1 job)",
        "   1.5 stage-0 (1 job)",
    ]


def test_large_costs_are_in_hours() -> None:
    lines = cost_lines(forecast_of(90 * 3600.0, 3600.0 * 3000), cores=2)
    assert lines[0] == "about 3,090 core-hours (129 days of a core) on this machine"
    assert lines[2:] == [" 3,000 stage-1 (1 job)", "    90 stage-0 (1 job)"]


def test_what_is_left_known_and_not_known_is_said() -> None:
    lines = cost_lines(forecast_of(60.0, 120.0, left=[False, True], known=1, failed=["distil: why"]), cores=1)
    assert "of which 2.0 core-minutes are left to do, by 1 jobs" in lines
    assert "what 1 jobs took is known from earlier runs" in lines
    assert lines[-1] == "note: not forecast but for their start: distil: why"


def test_projection_on_a_gpu() -> None:
    found = forecast_of(7200.0, 36_000.0, 36_000.0, operations=1.8e15)
    lines = gpu_lines(found, rate=0.5)
    assert lines[0] == "about 2.0 GPU-hours of training: a projection, not a measurement"
    assert lines[1] == "= 3.6e+15 floating-point operations at 0.5 TFLOP/s, assumed: --gpu-rate"
    assert lines[2].endswith("did them at 0.05 TFLOP/s")  # 3.6e15 in 72,000 s
    assert "2.0 core-hours" in lines[3]
    assert "30 % of an NVIDIA A100's 19.5" in gpu_lines(found)[1]


def test_small_studies_are_projected_on_demand_alone() -> None:
    found = forecast_of(1.0, 60.0, operations=1e12)
    assert gpu_lines(found) == []
    assert gpu_lines(found, rate=1.0)


# --- many environments


@pytest.fixture
def part(tmp_path: Path) -> EnvironmentsPart:
    """Of a study with 300 environments."""
    study = parse_study(yaml.safe_load((ROOT / "tests/workflow/mini-ode.yaml").read_text()))
    rows = [
        Environment(f"e{number}", {"beta": 1.0, "delta": number}, "interpolation" if number % 10 == 5 else "visible")
        for number in range(300)
    ]
    return EnvironmentsPart(Plan(study, EnvironmentTable(tuple(rows), ("beta", "delta"), tmp_path / "t.csv")), tmp_path)


def test_a_job_of_many_environments_is_rehearsed_with_fewer_too(part: EnvironmentsPart) -> None:
    equations = job("find_equations", output="equations.safetensors")
    (told,) = part.told(equations)
    fewer = part.fewer(equations, told, {})
    assert fewer is not None
    here = len(told.settings.environments)  # type: ignore[attr-defined]
    assert fewer.environments == (here // 3, here, 270)
    ids = [row.id for row in fewer.settings.environments]  # type: ignore[attr-defined]
    assert len(ids) == here // 3
    assert set(fewer.settings.choosing) <= set(ids)  # type: ignore[attr-defined]
    drawn = job("show_environments", output="environments.png")
    assert part.fewer(drawn, *part.told(drawn), {}) is None  # as many as ever


def test_tables_of_all_environments_are_rehearsed_with_many(part: EnvironmentsPart, tmp_path: Path) -> None:
    table = pd.DataFrame({"environment": ["e0", "e1"], "value": [1.0, float("inf")]})
    table.to_csv(tmp_path / "errors.csv", index=False)
    summary = job("summarise", output="summary.csv")
    copied = part.inputs(summary, {"evaluations": [str(tmp_path / "errors.csv")], "costs": "costs.json"})
    assert copied["costs"] == "costs.json"
    many = pd.read_csv(copied["evaluations"][0])
    copies = 240 // len(part.few.table)
    assert len(many) == many.environment.nunique() == 2 * copies
    assert many.value[np.isfinite(many.value)].nunique() == copies  # no ties
    assert many.value[np.isfinite(many.value)].to_numpy() == pytest.approx(1.0, abs=0.05)
    (told,) = part.told(summary)
    assert told.grows * copies * len(part.few.table) == pytest.approx(300)


def test_later_jobs_read_of_these_tables_what_is_of_the_part(part: EnvironmentsPart, tmp_path: Path) -> None:
    summary, ids = job("summarise", output="metrics.csv"), part.few.table.ids
    table = pd.DataFrame({"environment": ids, "value": np.linspace(1.0, 2.0, len(ids))})
    table.to_csv(tmp_path / "errors.csv", index=False)
    many = part.inputs(summary, {"evaluations": [str(tmp_path / "errors.csv")]})["evaluations"][0]
    (tmp_path / "costs.csv").write_text("method,seconds\nfilm,1.0\n")
    part.keep(summary, {"metrics": Path(many), "costs": tmp_path / "costs.csv"})
    assert list(pd.read_csv(many).environment) == list(ids)
    assert (tmp_path / "costs.csv").read_text() == "method,seconds\nfilm,1.0\n"


def test_predictors_from_frames_of_one_environment_stand_for_those_of_all(
    part: EnvironmentsPart, tmp_path: Path
) -> None:
    visible, unseen = part.few.table.visible[0].id, [row.id for row in part.few.table.unseen]
    weights = torch.randn(2, 3, 5)
    shares = torch.rand(2, 3)
    method = MethodWeights("context", 0, [visible, unseen[0]], weights, 1.0, 0.5, 20, shares=shares)
    WeightsFile.of([method], {"note": "kept"}).save(tmp_path / "case.safetensors")
    case = part.plan.study.evaluation.observed[0].name
    part.keep(job("adapt_to_frames", output="case.safetensors", case=case), {"output": tmp_path / "case.safetensors"})
    read = WeightsFile.load(tmp_path / "case.safetensors")
    (kept,) = read.methods
    assert kept.environments == unseen
    torch.testing.assert_close(kept.weights, weights[1:].expand(len(unseen), -1, -1))
    torch.testing.assert_close(kept.shares, shares[1:].expand(len(unseen), -1))
    assert read.metadata["note"] == "kept"


def test_a_calibration_grows_with_the_environments_that_judge(part: EnvironmentsPart) -> None:
    context = job("train_context", output="context.safetensors")
    (told,) = part.told(context)
    here = len(told.settings.environments)  # type: ignore[attr-defined]
    assert told.trainings["calibration"] == 32 / max(1, round(0.25 * here))
    assert told.trainings["judge"] == told.trainings["calibration"]


def test_a_second_order_training_grows_with_its_environments_but_for_what_weights_cost(part: EnvironmentsPart) -> None:
    (told,) = part.told(job("train_context", output="context.safetensors"))
    environments = len(part.plan.table.visible) / len(told.settings.environments)  # type: ignore[attr-defined]
    assert 1.0 < told.trainings["polish"] <= environments
    few = EnvironmentsPart(part.few, part.folder / "again")
    (same,) = few.told(job("train_context", output="context.safetensors"))
    assert same.trainings["polish"] == 1.0
