"""What `weightcast check` counts and how it adds up; how it says so."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable

import pytest
import torch
from tiny_study import ROOT, default_config
from torch.func import vmap
from torch.nn import functional as F

from weightcast.cli import simulation_time, step_work, timing
from weightcast.cli.cost import estimate_work
from weightcast.cli.cost_lines import cost_lines
from weightcast.cli.gpu_lines import gpu_lines
from weightcast.cli.operations import OperationCounter
from weightcast.cli.step_times import GeneratorStepTimes, StepTimes
from weightcast.cli.step_work import work_of_a_batch, work_of_a_step
from weightcast.cli.work import Work
from weightcast.core.config.training import TrainingSettings
from weightcast.core.environment_table import read_environments
from weightcast.core.training import fit
from weightcast.environments.commands.untrained import untrained_predictor
from weightcast.environments.config.study import parse_study


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


# --- parts of a study


def estimated(steps: int = 1, batch: int = 1) -> dict[str, Work]:
    """Of the default study, its experts trained that many times longer and on larger batches."""
    config = copy.deepcopy(default_config())
    for name in ("training", "training_erm"):
        config["zoo"][name]["steps"] *= steps
        config["zoo"][name]["batch"] *= batch
    study = parse_study(config)
    generator = GeneratorStepTimes(Work(1, 10), Work(2, 20), Work(3, 30), Work(4, 40))
    times = StepTimes(Work(1, 5), dict.fromkeys(study.generator.arms, generator), Work(1))
    return estimate_work(study, read_environments(ROOT / study.environments), times)


def test_parts_of_the_default_study() -> None:
    parts = estimated()
    assert parts["simulation"] == Work(42)
    # Frames: steps x environments x batch x unroll of ERM, FiLM, FiLM at matched compute, hypernetwork.
    pooled = (1000 + 3000 + 5400 + 1500) * 8 * 4 * 2
    assert parts["bases"] == Work(pooled, 5 * pooled)
    experts = (24 * 2 + 18) * (250 + 400) * 2 * 4
    assert parts["experts"] == Work(experts, 5 * experts)
    generator = 3 * (2 * (400 * 1 + 600 * 2) + 400 * 3)
    assert parts["generator"] == Work(generator, 10 * generator)
    generated = 3 * 42 * 3 * 4  # seeds; environments; two arms, one of them once more before it is tuned
    assert parts["generation"] == Work(generated, 10 * generated)


def test_work_grows_with_steps_and_batch() -> None:
    once = estimated()["experts"]
    assert estimated(steps=3)["experts"] == estimated(batch=3)["experts"] == once * 3


# --- steps


def training(batch: int) -> Callable[[int], object]:
    """Of a linear map, with products besides, before the first step and after the last one."""
    weights = torch.zeros(6, 3, requires_grad=True)

    def train(steps: int) -> object:
        besides = torch.ones(20, 20) @ torch.ones(20, 20)
        examples = torch.ones(batch, 6)
        settings = TrainingSettings(steps=steps, learning_rate=0.1)
        fit([weights], lambda step: (examples @ weights - 1).square().mean(), settings)
        return besides @ besides

    return train


@pytest.mark.parametrize("longest", [0.0, 100.0])  # as a long step, as a short one
def test_operations_of_a_step(longest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_work, "LONG", longest)
    monkeypatch.setattr(timing, "BUDGET", 0.0)
    for batch in (1, 5):
        work = work_of_a_step(training(batch))
        assert work.operations == 2 * (2 * batch * 6 * 3)  # forward, and the gradient of the weights
        assert work.seconds > 0
    assert not sys.modules["torch.optim.optimizer"]._global_optimizer_post_hooks  # nothing is left behind


@pytest.mark.parametrize("few", [2, 4])
def test_large_batches_follow_a_straight_line(few: int) -> None:
    measured: list[int] = []

    def work_of(batch: int) -> Work:
        measured.append(batch)
        return Work(3.0 + 2.0 * batch, 7.0 + 10.0 * batch)

    assert work_of_a_batch(work_of, 16, few) == Work(3.0 + 2.0 * 16, 7.0 + 10.0 * 16)
    assert measured == [1, few]


def test_small_batches_are_measured_as_they_are() -> None:
    assert work_of_a_batch(lambda batch: Work(0.1 + 0.01 * batch**2, batch), 16) == Work(0.1 + 0.01 * 256, 16)


def test_a_disturbed_batch_is_no_free_batch() -> None:
    work = work_of_a_batch(lambda batch: Work(9.0 if batch == 1 else 8.0, batch), 3)
    assert work == Work(9.0 + 2 * 4.0, 3)


# --- simulations


def test_long_simulations_follow_a_straight_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spin-up of 7 and then 0.5 a frame, or twice as much; three environments of the table, four trajectories."""
    study = parse_study(default_config())
    table = read_environments(ROOT / study.environments)
    last = table.environments[-1].id
    monkeypatch.setattr(
        simulation_time,
        "_seconds",
        lambda system, settings, environment, seed: (
            settings["trajectories"] * (7 + 0.5 * settings["frames"]) * (1 + (environment.id == last))
        ),
    )
    one = (7 + 0.5 * study.data.frames) * study.data.trajectories.total
    assert simulation_time.simulation_seconds(study, table) == pytest.approx(one * (1 + 1 + 2) / 3)


# --- words


def test_small_costs_are_in_minutes() -> None:
    assert cost_lines({"bases": 90.0, "experts": 1200.0}) == [
        "about 22 core-minutes on this machine",
        "   1.5 bases",
        "    20 experts",
    ]


def test_large_costs_are_in_hours() -> None:
    assert cost_lines({"bases": 90 * 3600.0, "experts": 3600.0 * 3000}) == [
        "about 3,090 core-hours (129 days of a core) on this machine",
        "    90 bases",
        " 3,000 experts",
    ]


def test_projection_on_a_gpu() -> None:
    parts = {"simulation": Work(7200.0), "experts": Work(36_000.0, 1.8e15), "bases": Work(36_000.0, 1.8e15)}
    lines = gpu_lines(parts, rate=0.5)
    assert lines[0] == "about 2.0 GPU-hours: a projection, not a measurement"
    assert lines[1] == "= 3.6e+15 floating-point operations at 0.5 TFLOP/s, assumed: --gpu-rate"
    assert lines[2].endswith("did them at 0.05 TFLOP/s")  # 3.6e15 in 72,000 s
    assert "2.0 core-hours" in lines[3]
    assert "30 % of an NVIDIA A100's 19.5" in gpu_lines(parts)[1]


def test_small_studies_are_projected_on_demand_alone() -> None:
    parts = {"bases": Work(60.0, 1e12)}
    assert gpu_lines(parts) == []
    assert gpu_lines(parts, rate=1.0)
