"""The training of flows: towards the anchors, by likelihood, both in sequence, and what an interruption leaves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tiny_flows import DENSITY, EVEN, SHORT, UNEVEN, anchors, arm, flow_of, settings, snapshots_of

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.core.training import Resume, TrainingDiverged
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import BridgeSettings
from weightcast.evolution.config.flow import FlowTraining
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.stages import train_flow as flow_training
from weightcast.evolution.stages.train_flow import bridge_of, draw_stretches, fit_flow, keep_better, new_flow
from weightcast.evolution.validation import set_aside


def distance_to_anchors(flow: WeightFlow, of: Anchors) -> float:
    return float((flow.standardise(flow.path(flow.grid)) - flow.standardise(of.weights)).square().mean())


@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_training_towards_the_anchors_brings_the_path_to_them(dynamics):
    """From rest, 100 steps: the squared distance along the whole path, held against that before, at least halves."""
    of = anchors()
    training = SHORT | {"steps": 100, "learning_rate": 0.008}
    flow = flow_of(of, dynamics, "rest")
    before = distance_to_anchors(flow, of)
    bridge = Bridge(EVEN, snapshots_of().train, True, BridgeSettings(per_interval=1), 0)
    results = fit_flow(Run(), flow, of, bridge, "anchors", settings(anchor_training=training), seed=0)
    assert list(results) == ["anchors"]
    losses = results["anchors"].losses[:, 0]
    assert losses[-25:].mean() < 0.5 * losses[:25].mean()
    assert distance_to_anchors(flow, of) < 0.5 * before


def path_likelihood(flow: WeightFlow, of: Anchors, bridge: Bridge, times: np.ndarray) -> float:
    """Mean negative log-likelihood along the path of samples that training has not drawn."""
    scaled = torch.from_numpy((bridge.times - times[0]) / (times[-1] - times[0])).float()
    with torch.no_grad():
        return -float(of.density.log_prob(flow.path(scaled), bridge.draw(400, seed=12345)).mean())


@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_likelihood_training_improves_a_path_of_bad_anchors(dynamics):
    """From random anchors, 40 steps, along a bridge twice as fine: by at least 0.1 nats, and towards the entropy."""
    of, snapshots = anchors(UNEVEN), snapshots_of(UNEVEN)
    bridge = bridge_of(snapshots, snapshots.observed_train, of, arm(), BridgeSettings(per_interval=2), seed=0)
    flow = flow_of(of, dynamics)
    before = path_likelihood(flow, of, bridge, UNEVEN)
    chosen = settings(likelihood_training=SHORT | {"steps": 40, "learning_rate": 0.005})
    results = fit_flow(Run(), flow, of, bridge, "likelihood", chosen, seed=0)
    assert list(results) == ["likelihood"]
    assert path_likelihood(flow, of, bridge, UNEVEN) < before - 0.1


def test_a_flow_that_training_has_ruined_gives_way_to_the_spline_through_its_anchors():
    """And one that training has improved stays, by samples that neither has seen."""
    of, snapshots = anchors(UNEVEN), snapshots_of(UNEVEN)
    samples, aside = set_aside(snapshots.observed_train, 0.3, seed=0)
    bridge, validation = (
        bridge_of(snapshots, part, of, arm(), BridgeSettings(per_interval=2), seed=0) for part in (samples, aside)
    )
    flow = flow_of(of, "ode")
    spline = flow.path(flow.grid)
    untrained = {name: value.clone() for name, value in flow.field.state_dict().items()}
    with torch.no_grad():
        for parameter in flow.field.parameters():
            parameter.add_(3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    found = keep_better(Run(), flow, untrained, of, validation, seed=0)
    assert found["kept"] == "spline" and found["validation"]["flow"] > found["validation"]["spline"]
    torch.testing.assert_close(flow.path(flow.grid), spline)
    chosen = settings(likelihood_training=SHORT | {"steps": 40, "learning_rate": 0.005})
    fit_flow(Run(), flow, of, bridge, "likelihood", chosen, seed=0)
    found = keep_better(Run(), flow, untrained, of, validation, seed=0)
    assert found["kept"] == "flow" and found["validation"]["flow"] < found["validation"]["spline"]
    assert (flow.path(flow.grid) - spline).abs().max() > 1e-3


@pytest.mark.parametrize("per_interval", [1, 3])
def test_the_likelihood_loss_by_hand(per_interval, monkeypatch):
    """A stretch from the second anchor to the fourth: the likelihood of each time's own samples, and the energy."""
    of, snapshots = anchors(UNEVEN), snapshots_of(UNEVEN)
    bridge = bridge_of(
        snapshots, snapshots.observed_train, of, arm(), BridgeSettings(per_interval=per_interval), seed=0
    )
    flow = flow_of(of, "ode", "rest")
    draws = []
    draw = Bridge.draw
    monkeypatch.setattr(Bridge, "draw", lambda self, *arguments: draws.append(draw(self, *arguments)) or draws[-1])
    monkeypatch.setattr(flow_training, "draw_stretches", lambda *_: (torch.tensor([1]), 2))
    passed = range(per_interval, 3 * per_interval + 1)
    scaled = torch.from_numpy((bridge.times[passed] - 2) / 8).float()
    with torch.no_grad():
        losses = [
            float(flow_training._likelihood_loss(Run(), flow, of, bridge, settings(energy=energy), 0)(0))
            for energy in (0.0, 0.02)
        ]
        path = flow.restore(flow.integrate(flow.standardise(of.weights[1:2]), scaled[None])[:, 0])
        likelihoods = [
            DENSITY.log_prob(weights[None], draws[0][place][None]).mean()
            for weights, place in zip(path[1:], passed[1:], strict=True)
        ]
    assert losses[0] == pytest.approx(-float(torch.stack(likelihoods).mean()), abs=1e-4)
    speed = path.diff(dim=0) / scaled.diff()[:, None]
    assert losses[1] - losses[0] == pytest.approx(0.5 * 0.02 * float(speed.square().sum(1).mean()), rel=1e-3)


def test_the_anchor_loss_by_hand(monkeypatch):
    """Two stretches over two anchors each, from their own anchors at their own times."""
    of = anchors(UNEVEN)
    flow = flow_of(of, "cde", "rest")
    monkeypatch.setattr(flow_training, "draw_stretches", lambda *_: (torch.tensor([0, 2]), 2))
    standardised = flow.standardise(of.weights)
    errors = []
    with torch.no_grad():
        for first in (0, 2):
            reached = flow.integrate(standardised[first][None], flow.grid[first : first + 3][None])[1:, 0]
            errors.append((reached - standardised[first + 1 : first + 3]).square().mean())
        loss = flow_training._anchor_loss(Run(), flow, of, FlowTraining(**SHORT), 0)(0)
    assert float(loss) == pytest.approx(float(torch.stack(errors).mean()), rel=1e-4)


def test_both_objectives_are_trained_one_after_the_other_and_go_on_after_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setattr("weightcast.core.training.SAVE_EVERY_SECONDS", 0.0)
    of, snapshots = anchors(), snapshots_of()
    bridge = bridge_of(snapshots, snapshots.observed_train, of, arm(), BridgeSettings(per_interval=1), seed=0)
    chosen = settings(anchor_training=SHORT | {"steps": 5}, likelihood_training=SHORT | {"steps": 6})
    whole = flow_of(of, "cde", "rest")
    results = fit_flow(Run(), whole, of, bridge, "both", chosen, seed=0)
    assert {name: len(result.losses) for name, result in results.items()} == {"anchors": 5, "likelihood": 6}

    resume = Resume(tmp_path, "0" * 64)
    draw, drawn = Bridge.draw, []

    def interrupted(self, batch, seed):
        drawn.append(seed)
        if len(drawn) == 4:
            raise InterruptedError
        return draw(self, batch, seed)

    monkeypatch.setattr(Bridge, "draw", interrupted)
    with pytest.raises(InterruptedError):
        fit_flow(Run(resume=resume), flow_of(of, "cde", "rest"), of, bridge, "both", chosen, 0)
    again = flow_of(of, "cde", "rest")
    fit_flow(Run(resume=resume), again, of, bridge, "both", chosen, 0)
    assert len(drawn) == 4 + 3  # of six steps three were done
    assert all(torch.equal(*pair) for pair in zip(again.parameters(), whole.parameters(), strict=True))


def test_stretches_lie_on_the_path_and_a_quarter_of_the_steps_take_all_of_it():
    training = FlowTraining(steps=1, learning_rate=1, segments=6, longest=3)
    drawn = [draw_stretches(8, training, Draws("cpu", seed)) for seed in range(400)]
    whole = [first for first, length in drawn if length == 7]
    assert len(whole) / 400 == pytest.approx(0.25, abs=0.08)
    assert all(first.tolist() == [0] for first in whole)
    short = [(first, length) for first, length in drawn if length != 7]
    assert {length for _, length in short} == {1, 2, 3}
    assert all(len(first) == 6 for first, _ in short)
    for length in (1, 2, 3):
        starts = torch.cat([first for first, found in short if found == length])
        assert (int(starts.min()), int(starts.max())) == (0, 7 - length)
    assert {length for _, length in (draw_stretches(2, training, Draws("cpu", seed)) for seed in range(20))} == {1}


def test_a_likelihood_is_of_samples_between_the_snapshots_where_the_arm_or_its_anchors_say_so():
    snapshots, chosen = snapshots_of(), BridgeSettings(per_interval=3)
    at_snapshots = anchors()
    finer = anchors(np.linspace(2, 6, 13))
    lengths = [
        len(bridge_of(snapshots, snapshots.observed_train, of, arm(bridged=bridged), chosen, 0).times)
        for of, bridged in itertools.product((at_snapshots, finer), (False, True))
    ]
    assert lengths == [5, 13, 13, 13]


def test_the_seed_determines_a_new_flow_and_leaves_the_callers_random_state():
    of = anchors()
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    first, again = (new_flow(Run(), of, arm("cde", "rest"), settings(), 7) for _ in range(2))
    assert torch.equal(torch.rand(2), expected)
    other = new_flow(Run(), of, arm("cde", "rest"), settings(), 8)
    times = torch.tensor([0.5])
    assert torch.equal(first.path(times), again.path(times))
    assert not torch.equal(first.path(times), other.path(times))


def test_stretches_and_samples_of_a_step_have_seeds_of_their_own(monkeypatch):
    """With one seed for both, the stretches of a step and the samples that score it would hang together."""
    of, snapshots = anchors(), snapshots_of()
    bridge = bridge_of(snapshots, snapshots.observed_train, of, arm(), BridgeSettings(per_interval=1), seed=0)
    stretches, samples = [], []
    draw = Bridge.draw

    def noted(run, *purpose):
        stretches.append(purpose)
        return Draws(run.device, *purpose)

    monkeypatch.setattr(Run, "draws", noted)
    monkeypatch.setattr(Bridge, "draw", lambda self, batch, seed: samples.append((seed,)) or draw(self, batch, seed))
    loss = flow_training._likelihood_loss(Run(), flow_of(of), of, bridge, settings(), 0)
    for step in range(3):
        loss(step)
    assert len(set(stretches)) == len(set(samples)) == 3
    assert not set(stretches) & set(samples)


def test_a_flow_that_diverges_is_refused():
    of = anchors()
    flow = flow_of(of, "ode", "rest")
    with torch.no_grad():
        flow.field.nodes.fill_(torch.inf)
    bridge = Bridge(EVEN, snapshots_of().train, True, BridgeSettings(per_interval=1), 0)
    with pytest.raises(TrainingDiverged, match="flow, anchors: step 1 of 40"):
        fit_flow(Run(), flow, of, bridge, "anchors", settings(), seed=0)
