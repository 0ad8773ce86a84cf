"""Densities fitted at the snapshots: four ways, what each guarantees, and their artifact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from refusals import refused

from weightcast.core.artifacts import save_artifact
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Fit, Resume, TrainingDiverged, fit
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import AnchorSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.stages import train_anchors
from weightcast.evolution.stages.train_anchors import fit_anchors, path_penalty
from weightcast.evolution.state_space import Counts, Reals
from weightcast.evolution.validation import credence, set_aside

TIMES = np.array([0.0, 1.0, 4.0])
SHARES = (0.1, 0.5, 0.9)
STATES = np.array(list(itertools.product(range(3), repeat=2)))
KINDS = ("independent", "aligned", "joint", "bridged")
DENSITY = StackedDensity.new(DensitySettings(hidden=6), Counts(3, 2), seed=0)


def law(share: float) -> np.ndarray:
    """[9]: probabilities of two dependent counts; the first rises with the share, the second tends to equal it."""
    first = np.array([1 - share, 0.5, share + 0.1])
    return np.array([first[a] / first.sum() * (0.8 if a == b else 0.1) for a, b in STATES])


def data(count: int = 400) -> list[np.ndarray]:
    """Samples with the frequencies of the law, as nearly as so many can have them."""
    levels = (np.arange(count) + 0.5) / count
    return [STATES[np.searchsorted(law(share).cumsum(), levels)].astype(float) for share in (0.1, 0.5, 0.9)]


def settings(steps: int = 30, rate: float = 0.02, **changes) -> AnchorSettings:
    plain = {"training": {"steps": steps, "learning_rate": rate, "batch": 64}, "bridge": {"per_interval": 2}}
    return AnchorSettings.model_validate(plain | changes)


def train(kind, steps: int = 30, seed: int = 3, resume: Resume | None = None, **changes) -> Anchors:
    run = Run(resume=resume)
    return fit_anchors(run, kind, DENSITY, TIMES, data(), settings(steps, **changes), seed, {"seed": seed})


def excess(weights: torch.Tensor, share: float) -> float:
    """Expected negative log-likelihood under the law less the law's entropy, in nats: a Kullback-Leibler divergence."""
    with torch.no_grad():
        found = DENSITY.log_prob(weights[None], torch.from_numpy(STATES)[None])[0].double().numpy()
    return float((law(share) * (np.log(law(share)) - found)).sum())


# --- what they learn ---


@pytest.mark.parametrize("kind", KINDS)
def test_anchors_of_every_kind_reach_nearly_the_entropy_of_a_known_law(kind):
    """Within 0.03 nats at every snapshot, from more than 0.08 at the others' times; seed 3."""
    steps = 750 if kind == "aligned" else 250
    found = train(kind, steps, velocity_penalty=1e-4, curvature_penalty=1e-4)
    own = found.weights[found.metadata["snapshot_positions"]]
    assert all(0 <= excess(weights, share) < 0.03 for weights, share in zip(own, (0.1, 0.5, 0.9), strict=True))
    assert excess(own[0], 0.9) > 0.08
    assert excess(own[2], 0.1) > 0.08
    entropy = [-(law(share) * np.log(law(share))).sum() for share in (0.1, 0.5, 0.9)]
    recorded = found.metadata["metrics"]["negative_log_likelihood"]
    assert len(recorded) == len(found.times)
    assert [recorded[p] for p in found.metadata["snapshot_positions"]] == pytest.approx(entropy, abs=0.12)


def test_bridged_anchors_between_snapshots_learn_what_lies_between():
    """One snapshot at 0, one at (2, 2): halfway the counts are binomial, a half chance a step."""
    ends = [np.zeros((100, 2)), np.full((100, 2), 2.0)]
    found = fit_anchors(Run(), "bridged", DENSITY, np.array([0.0, 1.0]), ends, settings(300), seed=1)
    with torch.no_grad():
        middle = DENSITY.log_prob(found.weights[1][None], torch.from_numpy(STATES)[None])[0].exp().numpy()
    chances = np.array([0.25, 0.5, 0.25])
    assert middle == pytest.approx(np.outer(chances, chances).ravel(), abs=0.03)


def test_the_penalty_by_hand():
    path = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 2.0]])
    # first differences (1, 0) and (2, 2): 1 + 8; their difference (1, 2): 5
    assert float(path_penalty(path, 1.0, 0.0)) == 9
    assert float(path_penalty(path, 0.0, 1.0)) == 5
    assert float(path_penalty(path, 0.5, 2.0)) == pytest.approx(0.5 * 9 + 2 * 5)
    assert float(path_penalty(path[:2], 1.0, 1.0)) == 1  # two anchors have no second difference
    assert float(path_penalty(torch.tensor([[1.0], [2.0], [3.0]]), 0.0, 1.0)) == 0  # nor has a straight line


def roughness(found: Anchors) -> tuple[float, float]:
    return float(path_penalty(found.weights, 1.0, 0.0)), float(path_penalty(found.weights, 0.0, 1.0))


def test_each_penalty_smooths_the_path_and_independent_anchors_know_none():
    free = train("joint", 100, velocity_penalty=0.0, curvature_penalty=0.0)
    slow = train("joint", 100, velocity_penalty=1.0, curvature_penalty=0.0)
    straight = train("joint", 100, velocity_penalty=0.0, curvature_penalty=1.0)
    assert roughness(slow)[0] < 0.1 * roughness(free)[0]
    assert roughness(straight)[1] < 0.1 * roughness(free)[1]
    assert roughness(straight)[0] > 2 * roughness(slow)[0]
    loose, tight = (train("independent", 20, velocity_penalty=value) for value in (0.0, 1.0))
    assert torch.equal(loose.weights, tight.weights)


def test_the_members_losses_add_up_to_all_likelihoods_and_one_penalty(monkeypatch):
    path = torch.stack([DENSITY.initial_weights(seed) for seed in range(3)])
    losses = []

    def measuring(_, parameters, loss, *__, **___):
        with torch.no_grad():
            parameters[0].copy_(path)
            losses.append(loss(0))
        return Fit(torch.zeros(0), torch.zeros(0), 0.0)

    monkeypatch.setattr(Run, "fit", measuring)
    train("joint", velocity_penalty=0.0, curvature_penalty=0.0)
    train("joint", velocity_penalty=0.3, curvature_penalty=0.2)
    assert len(losses[0]) == 3
    assert float((losses[1] - losses[0]).sum()) == pytest.approx(float(path_penalty(path, 0.3, 0.2)), rel=1e-4)


# --- how they are trained ---


def test_each_aligned_anchor_starts_from_the_one_before_and_all_share_the_steps(monkeypatch):
    starts, ends, steps, names = [], [], [], []

    def recording(_, parameters, loss, training, *, name, **arguments):
        starts.append(parameters[0].detach().clone())
        result = fit(parameters, loss, training, **arguments)
        names.append(name)
        ends.append(parameters[0].detach().clone())
        steps.append(training.steps)
        return result

    monkeypatch.setattr(Run, "fit", recording)
    found = train("aligned", 32)
    assert steps == [10, 10, 10]
    assert len(set(names)) == 3
    assert torch.equal(starts[0][0], DENSITY.initial_weights(derive_seed(3, "anchor")))
    assert torch.equal(starts[1], ends[0])
    assert torch.equal(starts[2], ends[1])
    assert torch.equal(found.weights, torch.cat(ends))
    assert all(not torch.equal(start, end) for start, end in zip(starts, ends, strict=True))


def test_independent_anchors_are_those_of_separate_trainings():
    found = train("independent", 40)
    bridge = Bridge(TIMES, data(), True, settings(bridge={"per_interval": 1}).bridge, 3)
    for position in range(3):
        weights = DENSITY.initial_weights(derive_seed(3, "anchor", position))[None].requires_grad_()

        def loss(step, weights=weights, position=position):
            drawn = bridge.draw(64, derive_seed(3, "anchors", step))[position]
            return -DENSITY.log_prob(weights, drawn[None]).mean(1)

        training = settings(40).training.model_copy(update={"keep": "last"})
        fit([weights], loss, training, stacked=True)
        torch.testing.assert_close(found.weights[position], weights[0].detach(), atol=1e-4, rtol=1e-4)
    assert (found.weights[0] - found.weights[1]).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["joint", "bridged"])
def test_joint_and_bridged_anchors_start_from_the_same_weights(kind):
    found = train(kind, 1, rate=1e-6)
    start = DENSITY.initial_weights(derive_seed(3, "anchor"))
    torch.testing.assert_close(found.weights, start.expand(len(found.times), -1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_only_bridged_anchors_lie_between_the_snapshots(kind):
    found = train(kind, 3, bridge={"per_interval": 3})
    if kind == "bridged":
        assert found.times == pytest.approx([0, 1 / 3, 2 / 3, 1, 2, 3, 4])
        assert found.metadata["snapshot_positions"] == [0, 3, 6]
    else:
        assert found.times.tolist() == [0, 1, 4]
        assert found.metadata["snapshot_positions"] == [0, 1, 2]
    assert found.weights.shape == (len(found.times), DENSITY.graph.num_parameters)
    assert not found.weights.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_determines_the_anchors(kind):
    first, again, other = (train(kind, 6, seed=seed).weights for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# --- interruption and artifact ---


@pytest.mark.parametrize("kind", ["independent", "joint", "bridged"])
def test_an_interrupted_training_goes_on_and_ends_in_the_same_weights(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("weightcast.core.training.SAVE_EVERY_SECONDS", 0.0)
    whole = train(kind, 20)
    resume = Resume(tmp_path, "0" * 64)
    draw, drawn = Bridge.draw, []

    def interrupted(self, batch, seed):
        drawn.append(seed)
        if len(drawn) == 13:
            raise InterruptedError
        return draw(self, batch, seed)

    monkeypatch.setattr(Bridge, "draw", interrupted)
    with pytest.raises(InterruptedError):
        train(kind, 20, resume=resume)
    assert len(drawn) == 13
    continued = train(kind, 20, resume=resume)
    assert len(drawn) == 13 + 8 + 1  # the rest of the steps, and what is recorded at the end
    assert torch.equal(continued.weights, whole.weights)


def test_aligned_anchors_go_on_at_the_one_that_was_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr("weightcast.core.training.SAVE_EVERY_SECONDS", 0.0)
    whole = train("aligned", 30)
    resume = Resume(tmp_path, "0" * 64)
    draw, drawn = Bridge.draw, []

    def interrupted(self, batch, seed):
        drawn.append(seed)
        if len(drawn) == 15:
            raise InterruptedError
        return draw(self, batch, seed)

    monkeypatch.setattr(Bridge, "draw", interrupted)
    with pytest.raises(InterruptedError):
        train("aligned", 30, resume=resume)
    continued = train("aligned", 30, resume=resume)
    assert len(drawn) == 15 + 16 + 1  # of thirty steps fourteen were done, the first anchor's ten among them
    assert torch.equal(continued.weights, whole.weights)


@pytest.mark.parametrize("kind", KINDS)
def test_anchors_that_diverge_are_refused(kind, monkeypatch):
    draw, drawn = Bridge.draw, []

    def broken(self, batch, seed):
        drawn.append(seed)
        return draw(self, batch, seed) if len(drawn) < 4 else torch.full((len(self.times), batch, 2), -1.0)

    monkeypatch.setattr(Bridge, "draw", broken)  # a count below 0 has no probability: its loss is infinite
    with pytest.raises(TrainingDiverged, match=f"{kind} anchor.*the training diverged"):
        train(kind, 30)


@pytest.mark.parametrize("kind", ["joint", "bridged"])
def test_anchors_survive_their_artifact(kind, tmp_path):
    found = train(kind, 3)
    path = tmp_path / "anchors.safetensors"
    found.save(path)
    again = Anchors.load(path)
    assert torch.equal(again.weights, found.weights)
    assert again.times.tolist() == found.times.tolist()
    assert {key: again.metadata[key] for key in found.metadata} == found.metadata
    assert again.metadata["anchors"] == kind
    assert again.metadata["seed"] == 3
    assert torch.equal(again.density.sample(again.weights, 5, 0), DENSITY.sample(found.weights, 5, 0))
    assert path.read_bytes()[8:9] == b"{"  # safetensors: a length, then a JSON header


def test_an_artifact_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "flow.safetensors"
    save_artifact(path, "flow", {"weights": torch.zeros(1)}, {})
    with refused(path, "'flow'", "'anchors'"):
        Anchors.load(path)
    with refused(tmp_path / "none.safetensors", "no such file"):
        Anchors.load(tmp_path / "none.safetensors")


# --- samples set aside ---


def test_samples_are_set_aside_by_whole_rows_the_same_where_there_are_as_many():
    samples = [np.arange(40.0)[:, None] + 100 * time for time in range(3)] + [np.arange(300.0, 325)[:, None]]
    kept, aside = set_aside(samples, 0.1, seed=1)
    assert [len(part) for part in aside] == [4, 4, 4, 2]
    for whole, one, other in zip(samples, kept, aside, strict=True):
        assert sorted([*one[:, 0], *other[:, 0]]) == whole[:, 0].tolist()
    np.testing.assert_array_equal(aside[0] + 100, aside[1])
    assert not np.array_equal(set_aside(samples, 0.1, seed=2)[1][0], aside[0])
    assert [len(part) for part in set_aside(samples, 0, seed=1)[1]] == [0] * 4


def test_few_samples_count_by_their_number_between_snapshots_too():
    found = credence(np.array([0.0, 1.0, 4.0]), [600, 30, 300], np.array([0.0, 0.5, 1.0, 2.5, 4.0]))
    np.testing.assert_allclose(found, [1.0, 0.55, 0.1, 0.55, 1.0])


REAL = StackedDensity.new(DensitySettings(hidden=16, components=8), Reals((1.0, 0.0), (1.3, 1.0), 8), 0)


def normal(count: int, seed: int) -> list[np.ndarray]:
    """Samples at three times, normal with deviation 1, the first mean moving from 0 to 2."""
    random = np.random.default_rng(seed)
    return [random.normal((time, 0.0), 1.0, (count, 2)) for time in range(3)]


def normal_excess(anchors: Anchors) -> np.ndarray:
    """Divergence of the law from each anchor's density [anchor], in nats, by 3000 fresh samples."""
    fresh = torch.from_numpy(np.stack(normal(3000, 99)))
    entropy = np.log(2 * np.pi * np.e)
    with torch.no_grad():
        return -REAL.log_prob(anchors.weights, fresh).mean(1).double().numpy() - entropy


def test_few_samples_are_not_known_by_heart_where_some_are_set_aside():
    samples = normal(40, 0)
    kept, aside = set_aside(samples, 0.2, seed=0)
    found = {}
    for name, (fitted, validation) in {"last": (samples, None), "stopped": (kept, aside)}.items():
        anchors = fit_anchors(Run(), "joint", REAL, np.arange(3.0), fitted, settings(500), 3, {}, validation)
        found[name] = normal_excess(anchors).mean()
        assert ("validation_negative_log_likelihood" in anchors.metadata["metrics"]) == (name == "stopped")
    assert found["stopped"] < 0.6 * found["last"]


def test_a_snapshot_of_few_samples_leans_on_its_neighbours(monkeypatch):
    samples = [part[:size] for part, size in zip(normal(300, 0), (300, 25, 300), strict=True)]
    found = []
    for trusted in (credence, lambda times, sizes, at: np.ones(len(at))):
        monkeypatch.setattr(train_anchors, "credence", trusted)
        found.append(normal_excess(fit_anchors(Run(), "joint", REAL, np.arange(3.0), samples, settings(300), 3)))
    assert found[0][1] < 0.5 * found[1][1]
    assert found[0][[0, 2]].mean() < found[1][[0, 2]].mean() + 0.05
