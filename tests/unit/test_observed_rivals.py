"""Rivals that see the same few frames: retrieval, weighted experts, codes without a prior, fine-tuning."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.methods import CODE_ADAPTATION, FINETUNE_LORA, OBSERVED, RETRIEVED, WEIGHTED_EXPERTS, method
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.environments.baselines.code_adaptation import adapt_codes
from weightcast.environments.baselines.observed_finetuning import LowRank, finetune_windows, judge_budgets
from weightcast.environments.baselines.retrieval import (
    choose_weighting,
    expert_misfits,
    expert_shares,
    weightiest,
)
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.baselines import FinetuneSettings
from weightcast.environments.config.weight_map import LinearMap
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import WeightMap, build_weight_map
from weightcast.environments.windows import Windows

ARCHITECTURE = {"kind": "mlp", "channels": 2, "width": 6, "depth": 1, "activation": "silu", "integrator": "rk4"}
VISIBLE = torch.linspace(-1.5, 1.5, 6)[:, None]


@pytest.fixture(scope="module")
def family() -> tuple[StackedPredictor, WeightMap]:
    """Weights that are linear in one code."""
    module = build_predictor(ARCHITECTURE, seed=1)
    predictor = StackedPredictor(module)
    torch.manual_seed(0)
    weight_map = build_weight_map(
        LinearMap(), CodeCondition(VISIBLE.clone()), predictor.graph.read(module), predictor.graph
    )
    return predictor, weight_map.requires_grad_(False)


def frames_of(predictor: StackedPredictor, weights: Tensor, count: int = 6) -> Tensor:
    """[environment, 1, frame, channel, 1, 1], from a start of each environment's own."""
    first = torch.randn(len(weights), 1, 2, 1, 1, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return torch.cat([first[:, :, None], predictor.rollout(weights, first, count - 1)], dim=2)


def windows_of(frames: Tensor, unroll: int | None = None) -> Windows:
    return Windows.of(frames, torch.nan_to_num(frames), unroll, 16)


def test_frames_of_a_visible_environment_are_given_to_its_expert(family) -> None:
    predictor, weight_map = family
    experts = weight_map(VISIBLE)
    windows = windows_of(frames_of(predictor, experts[[4, 1]]))
    misfits = expert_misfits(experts, predictor, windows)
    assert misfits.shape == (2, 6) and misfits.argmin(1).tolist() == [4, 1]
    shares = expert_shares(misfits, windows.counts, temper=1.0)
    torch.testing.assert_close(shares.sum(1), torch.ones(2))
    assert shares[0, 4] > 0.99 and shares[1, 1] > 0.99
    chosen, kept = weightiest(shares, 3)
    assert chosen[:, 0].tolist() == [4, 1]
    torch.testing.assert_close(kept.sum(1), torch.ones(2))
    flat = expert_shares(misfits, windows.counts, temper=1e-9)
    torch.testing.assert_close(flat, torch.full((2, 6), 1 / 6), atol=1e-3, rtol=0)


def test_experts_whose_rollouts_are_not_finite_get_nothing() -> None:
    misfits = torch.tensor([[1.0, torch.inf], [torch.inf, torch.inf]])
    shares = expert_shares(misfits, torch.tensor([4.0, 4.0]), 1.0)
    assert shares.tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_a_single_frame_leaves_experts_alike(family) -> None:
    predictor, weight_map = family
    experts = weight_map(VISIBLE)
    shares = expert_shares(torch.zeros(2, 6), torch.zeros(2), 1.0)
    chosen, kept = weightiest(shares, 3)
    assert chosen.tolist() == [[0, 2, 5]] * 2
    torch.testing.assert_close(kept, torch.full((2, 3), 1 / 3))
    judged = frames_of(predictor, experts[[1]])
    found = choose_weighting(experts, list("abcdef"), predictor, None, ["b"], judged, 3)
    assert len(found.model_error) == 5 and len(found.model_error[0]) == 2


def test_the_temper_is_chosen_without_an_environments_own_experts(family) -> None:
    """With its own expert left out of two, the other alone is left whatever the temper, and its error is noted."""
    predictor, weight_map = family
    experts = weight_map(VISIBLE[:2])
    frames = frames_of(predictor, experts[[0]])
    found = choose_weighting(experts, ["a", "b"], predictor, windows_of(frames), ["a"], frames, 4)
    start = frames[:, :, 0]
    error = (predictor.rollout(experts[[1]], start, 5) - frames[:, :, 1:]).square()[0, 0, :, :, 0, 0].sqrt()
    torch.testing.assert_close(torch.tensor(found.model_error), error, rtol=1e-3, atol=1e-6)


def test_code_adaptation_reaches_the_optimum_without_a_prior(family) -> None:
    predictor, weight_map = family
    true = torch.tensor([[0.4], [2.5]])  # the second far outside of the visible codes, where a prior would pull
    windows = windows_of(frames_of(predictor, weight_map(true)))
    codes = adapt_codes(weight_map, predictor, VISIBLE, windows, 2, 20)
    torch.testing.assert_close(codes, true, rtol=1e-3, atol=1e-3)
    # Noisy frames: no code near it leaves less.
    noisy = frames_of(predictor, weight_map(true)) + 0.1 * torch.randn(
        2, 1, 6, 2, 1, 1, generator=torch.Generator().manual_seed(5)
    )
    windows = windows_of(noisy)
    codes = adapt_codes(weight_map, predictor, VISIBLE, windows, 2, 20)

    def cost(codes: Tensor) -> Tensor:
        return windows.residuals(weight_map(codes), torch.arange(2), predictor).square().sum(1)

    for step in (-0.03, 0.03):
        assert (cost(codes + step) >= cost(codes)).all()
    blind = adapt_codes(weight_map, predictor, VISIBLE, None, 2, 20)
    torch.testing.assert_close(blind, VISIBLE.mean(0).expand(2, -1))


def test_a_low_rank_addition_begins_at_zero_and_has_its_rank(family) -> None:
    predictor, weight_map = family
    start = weight_map(torch.tensor([[-1.0], [1.0]]))
    added = LowRank(predictor.graph, start, 1, Draws("cpu", 0))
    torch.testing.assert_close(added.weights(), start)
    windows = windows_of(frames_of(predictor, weight_map(torch.tensor([[0.3], [0.6]]))), unroll=1)
    tuned, _ = finetune_windows(Run(), start, windows, predictor, 20, 0.02, "lora unseen", rank=1)
    for layer in predictor.graph.tokens(tuned - start):
        singular = torch.linalg.svdvals(layer.double())
        assert (singular[:, 0] > 1e-4).all() and (singular[:, 1:] < 1e-5 * (1 + singular[:, :1])).all()
    of = torch.arange(2)
    before, after = (windows.residuals(weights, of, predictor).square().sum(1) for weights in (start, tuned))
    assert (after < before).all()


@pytest.mark.parametrize("rank", [None, 2])
def test_what_is_hidden_does_not_matter(family, rank: int | None) -> None:
    predictor, weight_map = family
    frames = frames_of(predictor, weight_map(torch.tensor([[0.3]])))
    results = []
    for hidden in (0.0, 7.0):
        spoilt = frames.clone()
        spoilt[:, :, :, 1] = hidden
        spoilt = torch.where(torch.arange(2)[:, None, None] == 1, torch.nan, spoilt)
        windows = windows_of(spoilt, unroll=1)
        tuned, _ = finetune_windows(Run(), weight_map(VISIBLE[:1]), windows, predictor, 5, 0.01, "tuning", rank)
        results.append((tuned, expert_misfits(weight_map(VISIBLE), predictor, windows)))
    torch.testing.assert_close(results[0], results[1])
    assert windows.counts.tolist() == [5.0]


def test_an_environment_is_fine_tuned_alike_alone_and_among_others(family) -> None:
    predictor, weight_map = family
    frames = frames_of(predictor, weight_map(torch.tensor([[0.3], [0.9]])))
    start = weight_map(VISIBLE[:2])
    both, alone = (
        finetune_windows(Run(), start[:count], windows_of(frames[:count], 1), predictor, 5, 0.01, "lora", 2)[0]
        for count in (2, 1)
    )
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-6)


def test_the_rate_of_least_error_is_chosen_for_each_number_of_steps() -> None:
    class Spent:
        seconds = 2.0

    settings = FinetuneSettings(steps=[10, 20, 10], learning_rates=[0.1, 0.2])
    ten, twenty = judge_budgets(
        settings,
        lambda steps, rate: (torch.tensor([steps, rate]), Spent()),
        lambda weights: float((weights - torch.tensor([20.0, 0.1])).abs().sum()),
    )
    assert (ten.steps, ten.learning_rate, ten.seconds) == (10, 0.1, 4.0)
    assert (twenty.steps, twenty.learning_rate, twenty.seconds) == (20, 0.1, 4.0)
    assert twenty.error < ten.error


def test_each_number_of_steps_is_a_method() -> None:
    few = method("finetune-lora-observed-20")
    assert few.family == "baseline" and not few.told_parameters
    assert few.label == "ERM, LoRA on the frames, 20 steps" and few.description.endswith("frames alone; 20 steps")
    assert method("finetune-film-observed-100").label == "FiLM, fine-tuned on the frames, 100 steps"
    assert not method("finetune-erm-observed-5").told_parameters


def test_rivals_are_told_no_parameters() -> None:
    names = [
        RETRIEVED,
        WEIGHTED_EXPERTS,
        CODE_ADAPTATION,
        *(name + OBSERVED for name in ("finetune-erm", "finetune-film", FINETUNE_LORA)),
    ]
    for name in names:
        assert method(name).family == "baseline" and not method(name).told_parameters
