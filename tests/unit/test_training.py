"""The training loop: independence of members, divergence, interruption."""

from __future__ import annotations

import json
import weakref
from functools import partial

import pytest
import torch
from refusals import refused

from weightcast.core.config.training import TrainingSettings
from weightcast.core.share import Share
from weightcast.core.training import Fit, Resume, TrainingDiverged, fit, learning_rate

SETTINGS = TrainingSettings(steps=150, learning_rate=0.05)


def target(step: int, member: int) -> torch.Tensor:
    return torch.randn(5, generator=torch.Generator().manual_seed(1000 * member + step)) * 0.1 + member


def quadratic(weights: torch.Tensor, members: list[int]):
    def loss(step: int) -> torch.Tensor:
        wanted = torch.stack([target(step, member) for member in members])
        return (weights - wanted).square().mean(1)

    return loss


def test_a_loss_in_pieces_is_their_sum() -> None:
    """A mean over seven rows, whole and in pieces of two: the same losses and weights, and one piece's graph at a
    time."""
    rows = torch.randn(7, 5, generator=torch.Generator().manual_seed(3))
    alive: list[weakref.ref[torch.Tensor]] = []

    def trained(most: int | None) -> tuple[torch.Tensor, Fit]:
        weights = torch.zeros(5, requires_grad=True)

        def loss(share: Share, step: int) -> torch.Tensor:
            assert not any(one() is not None for one in alive)
            graph = (weights - share.take(rows) * (1 + step / 100)).square()
            alive.append(weakref.ref(graph))
            return share.weight * graph.mean()

        pieces = Share.all_of(7).pieces(most)
        assert len(pieces) == (1 if most is None else 4) and sum(map(len, pieces)) == 7
        return weights, fit([weights], [partial(loss, piece) for piece in pieces], SETTINGS)

    (whole, at_once), (parts, in_turn) = trained(None), trained(2)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(in_turn.losses, at_once.losses)


@pytest.mark.parametrize(("rows", "most", "sizes"), [(7, 3, [2, 2, 3]), (4, 9, [4]), (3, 1, [1, 1, 1])])
def test_pieces_differ_by_a_row_at_most(rows: int, most: int, sizes: list[int]) -> None:
    share = Share(5, 5 + rows, 20)
    pieces = share.pieces(most)
    assert sorted(map(len, pieces)) == sizes
    assert [piece.first for piece in pieces] + [share.end] == [share.first] + [piece.end for piece in pieces]
    assert {piece.whole for piece in pieces} == {20}


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


# --- divergence of what is trained alone


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("of", ["loss", "gradient"])
def test_a_training_that_diverges_is_refused_in_one_line(bad, of, tmp_path):
    weights = torch.ones(4, requires_grad=True)

    def loss(step: int) -> torch.Tensor:
        value = (weights - 3.0).square().mean()
        if step == 6 and of == "gradient":
            weights.register_hook(lambda gradient: gradient * bad)
        return value * bad if step == 6 and of == "loss" else value

    with refused("vae", "step 7 of 150", "not finite", "learning rate 0.05"):
        fit([weights], loss, SETTINGS, label="vae")
    with pytest.raises(TrainingDiverged):
        fit([weights], lambda step: weights.sum() * bad, SETTINGS, label="vae", resume=Resume(tmp_path, "2" * 64))
    assert torch.isfinite(weights).all()
    assert not list(tmp_path.iterdir())


def test_a_stack_that_may_not_diverge_says_which_members_did():
    weights = torch.zeros(3, 5, requires_grad=True)
    healthy = quadratic(weights, [0, 1, 2])
    with refused("training", "step 1 of 150", "of 0, 2 among 3 members"):
        fit(
            [weights],
            lambda step: healthy(step) * torch.tensor([float("nan"), 1.0, float("inf")]),
            SETTINGS,
            stacked=True,
        )


# --- averages, the best, validation


def chosen(**options) -> TrainingSettings:
    return TrainingSettings(steps=40, learning_rate=0.05, **options)


def trained(settings: TrainingSettings, members: list[int] | None = None, **options) -> tuple[torch.Tensor, Fit]:
    """Quadratic targets, stacked; validated on the targets without their noise."""
    members = [0, 1] if members is None else members
    weights = torch.zeros(len(members), 5, requires_grad=True)
    options = {"validation": lambda: distance(weights, members)} | options
    result = fit([weights], quadratic(weights, members), settings, stacked=True, **options)
    return weights.detach(), result


def distance(weights: torch.Tensor, members: list[int]) -> torch.Tensor:
    return (weights.detach() - torch.tensor(members)[:, None]).square().mean(1)


def path_of(settings: TrainingSettings, members: list[int]) -> torch.Tensor:
    """The weights after each step [step, member, weight]."""
    weights, path = torch.zeros(len(members), 5, requires_grad=True), []
    loss = quadratic(weights, members)

    def noting(step: int) -> torch.Tensor:
        path.append(weights.detach().clone())
        return loss(step)

    fit([weights], noting, settings, stacked=True)
    return torch.stack([*path[1:], weights.detach().clone()])


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_an_average_is_the_exponential_moving_average_of_the_weights(decay):
    path = path_of(chosen(), [0, 1])
    expected = torch.zeros(2, 5)
    for step, weights in enumerate(path):
        share = max(1 - decay, 1 / (step + 1))  # which begins as the plain mean, so that the start is forgotten
        expected = (1 - share) * expected + share * weights

    averaged, _ = trained(chosen(average=decay))

    torch.testing.assert_close(averaged, expected, rtol=1e-5, atol=1e-6)
    if decay == 0.999:
        torch.testing.assert_close(averaged, path.mean(0), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(averaged, path[-1], atol=1e-4)


def test_validation_changes_nothing_of_what_is_trained():
    unseen, before = trained(chosen(), validation=None)
    seen, after = trained(chosen())
    averaged, _ = trained(chosen(average=0.9), validation=None)
    with_both, validated = trained(chosen(average=0.9))

    assert torch.equal(seen, unseen)
    assert torch.equal(with_both, averaged)
    assert torch.equal(after.losses, before.losses)
    assert before.validation.shape == (0, 2) and before.validated_steps == []
    assert after.validated_steps == list(range(2, 41, 2)) and after.validation.shape == (20, 2)
    torch.testing.assert_close(after.validation[-1], distance(seen, [0, 1]))
    torch.testing.assert_close(validated.validation[-1], distance(averaged, [0, 1]))  # the average is what is validated


@pytest.mark.parametrize("average", [None, 0.9])
def test_each_member_ends_in_its_own_best_weights(average):
    """Told to validate on its distance to where it was after some steps, which are others for each member."""
    path = path_of(chosen(), [0, 1])
    weights = torch.zeros(2, 5, requires_grad=True)
    wanted, seen = torch.stack([path[11, 0], path[29, 1]]), []

    def validation() -> torch.Tensor:
        seen.append(weights.detach().clone())
        return (weights.detach() - wanted).square().mean(1)

    result = fit(
        [weights], quadratic(weights, [0, 1]), chosen(keep="best", average=average), stacked=True, validation=validation
    )

    best = result.validation.argmin(0)
    assert torch.equal(weights.detach(), torch.stack([seen[best[0]][0], seen[best[1]][1]]))
    if average is None:
        assert [result.validated_steps[row] for row in best] == [12, 30]
        assert torch.equal(weights.detach(), wanted)


def test_the_best_of_several_tensors_is_kept_together():
    first, second = torch.zeros(3, requires_grad=True), torch.zeros(2, 2, requires_grad=True)
    errors, seen = iter([3.0, 1.0, 2.0] + [4.0] * 17), []

    def validation() -> torch.Tensor:
        seen.append((first.detach().clone(), second.detach().clone()))
        return torch.tensor(next(errors))

    fit(
        [first, second],
        lambda step: (first - 1.0).square().sum() + (second + 2.0).square().sum(),
        chosen(keep="best"),
        validation=validation,
    )
    assert torch.equal(first.detach(), seen[1][0]) and torch.equal(second.detach(), seen[1][1])


def test_the_best_needs_a_validation_that_is_a_number():
    with refused("training.keep", "'best'", "no validation"):
        trained(chosen(keep="best"), validation=None)
    with pytest.raises(TrainingDiverged, match="no validation error that is a finite number"):
        trained(chosen(keep="best"), validation=lambda: torch.full((2,), float("nan")))
    _, result = trained(chosen(keep="best"), validation=lambda: torch.tensor([1.0, float("nan")]), may_diverge=True)
    assert result.diverged.tolist() == [False, True]


@pytest.mark.parametrize("options", [{"average": 0.9}, {"keep": "best"}, {"average": 0.95, "keep": "best"}])
@pytest.mark.parametrize("at", [1, 17, 39])
def test_an_interruption_changes_neither_averages_nor_the_best(options, at, tmp_path, monkeypatch):
    monkeypatch.setattr("weightcast.core.training.SAVE_EVERY_SECONDS", 0.0)
    settings = chosen(**options)
    expected, whole = trained(settings)
    resume, members = Resume(tmp_path, "3" * 64), [0, 1]

    killed = torch.zeros(2, 5, requires_grad=True)
    with pytest.raises(InterruptedError):
        fit(
            [killed],
            interrupted(quadratic(killed, members), at=at),
            settings,
            stacked=True,
            validation=lambda: distance(killed, members),
            resume=resume,
        )
    found, result = trained(settings, resume=resume)

    assert torch.equal(found, expected)
    assert torch.equal(result.losses, whole.losses)
    assert torch.equal(result.validation, whole.validation)
    assert result.validated_steps == whole.validated_steps
    finished, again = trained(settings, resume=resume)  # a state that is complete is what the training ended in
    assert torch.equal(finished, expected) and torch.equal(again.losses, whole.losses)


# --- curves


def test_a_short_curve_has_the_median_of_every_step():
    nan = float("nan")
    losses = torch.tensor([[1.0, 2.0, 9.0], [3.0, nan, 4.0], [nan, nan, nan]])
    validation = torch.tensor([[0.5, 0.25, 7.0], [nan, nan, nan]])
    curve = Fit(losses, torch.zeros(3, dtype=torch.bool), 1.0, [2, 3], validation).curve()

    assert curve == {
        "steps": [1, 2, 3],
        "training": [2.0, 3.0, None],  # of an even number, the lower of the two in the middle
        "validated_steps": [2, 3],
        "validation": [0.5, None],
    }
    json.dumps(curve, allow_nan=False)


@pytest.mark.parametrize(("steps", "points"), [(1, 1), (200, 200), (201, 101), (1000, 200), (5401, 193)])
def test_a_long_curve_is_averaged_over_stretches(steps, points):
    losses = torch.arange(float(steps))[:, None].repeat(1, 3)
    curve = Fit(losses, torch.zeros(3, dtype=torch.bool), 1.0).curve()

    assert len(curve["steps"]) == len(curve["training"]) == points <= 200
    assert curve["steps"][-1] == steps
    assert (curve["validated_steps"], curve["validation"]) == ([], [])
    size = -(-steps // 200)
    assert curve["training"][0] == pytest.approx((size - 1) / 2, rel=1e-3)
    assert curve["training"][-1] == pytest.approx((curve["steps"][-2] + steps - 1) / 2 if points > 1 else 0.0, rel=1e-3)
