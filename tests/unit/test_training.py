"""The training loop: independence of members, divergence, interruption."""

from __future__ import annotations

import pytest
import torch

from weightcast.core.config.training import TrainingSettings
from weightcast.core.training import Resume, fit, learning_rate

SETTINGS = TrainingSettings(steps=150, learning_rate=0.05)


def target(step: int, member: int) -> torch.Tensor:
    return torch.randn(5, generator=torch.Generator().manual_seed(1000 * member + step)) * 0.1 + member


def quadratic(weights: torch.Tensor, members: list[int]):
    def loss(step: int) -> torch.Tensor:
        wanted = torch.stack([target(step, member) for member in members])
        return (weights - wanted).square().mean(1)

    return loss


def test_members_of_a_stack_train_as_they_would_alone():
    together = torch.zeros(3, 5, requires_grad=True)
    fit([together], quadratic(together, [0, 1, 2]), SETTINGS, stacked=True)
    for member in range(3):
        alone = torch.zeros(1, 5, requires_grad=True)
        fit([alone], quadratic(alone, [member]), SETTINGS, stacked=True)
        torch.testing.assert_close(together[member], alone[0], atol=1e-6, rtol=1e-6)
    assert (together.mean(1) - torch.arange(3.0)).abs().max() < 0.3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_diverged_member_is_flagged_and_frozen_and_the_others_go_on(bad):
    weights = torch.zeros(2, 5, requires_grad=True)
    healthy = quadratic(weights, [0, 1])

    def loss(step: int) -> torch.Tensor:
        return healthy(step) * torch.tensor([1.0, bad if step == 10 else 1.0])

    result = fit([weights], loss, SETTINGS, stacked=True, may_diverge=True)

    alone = torch.zeros(1, 5, requires_grad=True)
    fit([alone], quadratic(alone, [0]), SETTINGS, stacked=True)
    assert result.diverged.tolist() == [False, True]
    torch.testing.assert_close(weights[0], alone[0])
    assert torch.isfinite(weights).all()
    stopped = torch.zeros(1, 5, requires_grad=True)
    with pytest.raises(InterruptedError):
        fit([stopped], interrupted(quadratic(stopped, [1]), at=10), SETTINGS, stacked=True)
    torch.testing.assert_close(weights[1], stopped[0])
    assert torch.isnan(result.losses[11:, 1]).all()


def interrupted(loss, at: int):
    def until(step: int) -> torch.Tensor:
        if step == at:
            raise InterruptedError
        return loss(step)

    return until


def test_an_interrupted_training_goes_on_and_ends_in_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr("weightcast.core.training.SAVE_EVERY_SECONDS", 0.0)
    whole = torch.zeros(2, 5, requires_grad=True)
    expected = fit([whole], quadratic(whole, [0, 1]), SETTINGS, stacked=True)

    resume = Resume(tmp_path, "0" * 64)
    first = torch.zeros(2, 5, requires_grad=True)
    with pytest.raises(InterruptedError):
        fit([first], interrupted(quadratic(first, [0, 1]), at=37), SETTINGS, stacked=True, resume=resume)
    steps = []
    second = torch.zeros(2, 5, requires_grad=True)
    loss = quadratic(second, [0, 1])
    result = fit([second], lambda step: steps.append(step) or loss(step), SETTINGS, stacked=True, resume=resume)

    assert steps[0] == 37
    assert torch.equal(second, whole)
    assert torch.equal(result.losses, expected.losses)
    resume.clear()
    assert not list(tmp_path.iterdir())


def test_a_damaged_state_is_dropped_and_the_training_starts_over(tmp_path):
    resume = Resume(tmp_path, "1" * 64)
    resume.path.write_bytes(b"not a state")
    weights = torch.zeros(1, 5, requires_grad=True)
    fit([weights], quadratic(weights, [1]), SETTINGS, stacked=True, resume=resume)
    expected = torch.zeros(1, 5, requires_grad=True)
    fit([expected], quadratic(expected, [1]), SETTINGS, stacked=True)

    assert torch.equal(weights, expected)


def test_learning_rate_warms_up_and_decays_to_a_hundredth():
    settings = TrainingSettings(steps=1000, learning_rate=2.0)
    rates = [learning_rate(step, settings) for step in range(1000)]

    assert rates[0] == pytest.approx(2.0 / 50)
    assert max(rates) == pytest.approx(2.0, rel=0.01)
    assert rates[-1] == pytest.approx(0.02, rel=0.01)
