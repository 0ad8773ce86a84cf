"""Autoregressive densities: that they are densities, that samples follow them, and that members keep apart."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from refusals import refused
from scipy.stats import chisquare, ks_2samp

from weightcast.core.config.training import TrainingSettings
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.backbones import GRUBackbone, TransformerBackbone
from weightcast.core.training import fit
from weightcast.evolution.atoms import RealsWithAtoms
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import Density, Laws, StackedDensity
from weightcast.evolution.state_space import Counts, Reals, state_space_of
from weightcast.samples.snapshots import Snapshots

BACKBONES = ("gru", "transformer")
ORDERS = ("sequential", "random")
every_architecture = pytest.mark.parametrize(("backbone", "order"), list(itertools.product(BACKBONES, ORDERS)))
REALS = Reals((1.0, -20.0), (2.0, 5.0), components=3)


def stacked(space, backbone: str = "gru", order: str = "sequential", layers: int = 1) -> StackedDensity:
    settings = DensitySettings(backbone=backbone, order=order, hidden=6, layers=layers, heads=2)
    seed = next(seed for seed in range(100) if turned(StackedDensity.new(settings, space, seed)) or order != "random")
    return StackedDensity.new(settings, space, seed)


def turned(density: StackedDensity) -> bool:
    return density.order != sorted(density.order)


def pronounced(density: StackedDensity, members: int = 1) -> torch.Tensor:
    """Weights [member, parameter] larger than initial ones, so that dimensions depend on each other."""
    return 3 * torch.stack([density.initial_weights(seed) for seed in range(members)])


def all_states(space: Counts) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(space.states), repeat=space.dimensions)))


def backbone_of(kind: str) -> GRUBackbone | TransformerBackbone:
    torch.manual_seed(3)
    if kind == "gru":
        return GRUBackbone(features=3, outputs=5, hidden=4, layers=2)
    return TransformerBackbone(features=3, outputs=5, hidden=4, layers=2, heads=2, dimensions=6)


# --- backbones ---


@pytest.mark.parametrize("kind", BACKBONES)
def test_an_output_depends_on_the_features_up_to_it_and_on_none_after(kind):
    backbone = backbone_of(kind)
    features = torch.randn(1, 6, 3, requires_grad=True)
    outputs = backbone(features)
    for position in range(6):
        (slope,) = torch.autograd.grad(outputs[:, position].square().sum(), features, retain_graph=True)
        depends = slope[0].abs().amax(-1) > 0
        assert depends.tolist() == [other <= position for other in range(6)]


@pytest.mark.parametrize("kind", BACKBONES)
def test_dimension_by_dimension_gives_the_outputs_of_all_dimensions_at_once(kind):
    backbone = backbone_of(kind)
    features = torch.randn(7, 6, 3)
    with torch.no_grad():
        outputs, state = [], backbone.start(7)
        for position in range(6):
            output, state = backbone.step(features[:, position], state)
            outputs.append(output)
        torch.testing.assert_close(torch.stack(outputs, dim=1), backbone(features), atol=1e-5, rtol=1e-5)


def test_the_gru_is_that_of_pytorch():
    backbone = backbone_of("gru")
    reference = torch.nn.GRU(3, 4, num_layers=2, batch_first=True)
    for layer in range(2):
        state = {f"weight_ih_l{layer}": backbone.input_gates[layer].weight, f"weight_hh_l{layer}":
                 backbone.state_gates[layer].weight, f"bias_ih_l{layer}": backbone.input_gates[layer].bias,
                 f"bias_hh_l{layer}": backbone.state_gates[layer].bias}  # fmt: skip
        reference.load_state_dict(state, strict=False)
    features = torch.randn(7, 6, 3)
    torch.testing.assert_close(backbone(features), backbone.head(reference(features)[0]), atol=1e-5, rtol=1e-5)


@every_architecture
def test_the_graph_holds_every_weight_once_and_gives_them_back_exactly(backbone, order):
    density = stacked(Counts(4, 3), backbone, order, layers=2)
    first, second = density.initial_weights(1), density.initial_weights(2)
    assert len(first) == sum(parameter.numel() for parameter in density.module.parameters())
    assert torch.equal(density.graph.flat(density.graph.tokens(first)), first)
    assert torch.equal(density.graph.flatten(density.graph.unflatten(first)), first)
    density.graph.write(density.module, second)
    assert torch.equal(density.graph.read(density.module), second)
    assert density.graph.num_nodes == sum(
        module.out_features for module in density.module.modules() if isinstance(module, torch.nn.Linear)
    )
    assert WeightGraph(density.module).digest() == StackedDensity(density.architecture).graph.digest()


# --- probabilities ---


@every_architecture
def test_probabilities_of_all_states_sum_to_one(backbone, order):
    density = stacked(Counts(4, 3), backbone, order)
    assert turned(density) == (order == "random")
    states = all_states(density.space)
    with torch.no_grad():
        log_prob = density.log_prob(pronounced(density, 2), states.expand(2, -1, -1))
    assert log_prob.shape == (2, 64)
    assert log_prob.exp().sum(1) == pytest.approx([1, 1], abs=1e-5)
    assert log_prob.std() > 0.3  # far from uniform


@every_architecture
def test_a_real_density_integrates_to_one(backbone, order):
    """By the trapezoidal rule over twelve deviations either way, where the tails left out are below 1e-6."""
    density = stacked(REALS, backbone, order)
    weights = torch.stack([density.initial_weights(seed) for seed in (1, 2)])
    axes = [mean + deviation * np.linspace(-12, 12, 401) for mean, deviation in zip(REALS.mean, REALS.deviation)]  # noqa: B905
    points = torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(1, -1, 2))
    with torch.no_grad():
        values = density.log_prob(weights, points.expand(2, -1, -1)).exp().double().reshape(2, 401, 401).numpy()
    for value in values:
        assert np.trapezoid(np.trapezoid(value, axes[1]), axes[0]) == pytest.approx(1, abs=1e-3)


@every_architecture
def test_samples_of_counts_have_the_frequencies_of_their_probabilities(backbone, order):
    """Chi-square test of 20,000 samples of each of two members in all 27 states, seed 5."""
    density = stacked(Counts(3, 3), backbone, order)
    weights = pronounced(density, 2)
    drawn = density.sample(weights, 20_000, seed=5)
    assert drawn.shape == (2, 20_000, 3)
    states = all_states(density.space)
    with torch.no_grad():
        probabilities = density.log_prob(weights, states.expand(2, -1, -1)).exp().double().numpy()
    for member in range(2):
        found = np.bincount((drawn[member] @ torch.tensor([9.0, 3, 1]).double()).long().numpy(), minlength=27)
        expected = probabilities[member] / probabilities[member].sum() * 20_000
        assert chisquare(found, expected).pvalue > 1e-3
        assert chisquare(found, np.full(27, 20_000 / 27)).pvalue < 1e-9
    swapped = probabilities[1] / probabilities[1].sum() * 20_000
    first = np.bincount((drawn[0] @ torch.tensor([9.0, 3, 1]).double()).long().numpy(), minlength=27)
    assert chisquare(first, swapped).pvalue < 1e-9


@every_architecture
def test_real_samples_have_the_frequencies_of_their_density(backbone, order):
    """Chi-square test of 20,000 samples in 5 x 5 cells, whose probabilities are integrated numerically; seed 6."""
    density = stacked(REALS, backbone, order)
    weights = pronounced(density)
    drawn = density.sample(weights, 20_000, seed=6)[0].numpy()
    edges = [np.quantile(column, [0.0005, 0.2, 0.4, 0.6, 0.8, 0.9995]) for column in drawn.T]
    parts = 40
    fine = [np.concatenate([np.linspace(a, b, parts, endpoint=False) + (b - a) / parts / 2
                            for a, b in itertools.pairwise(edge)]) for edge in edges]  # fmt: skip
    width = [np.repeat(np.diff(edge) / parts, parts) for edge in edges]
    points = torch.from_numpy(np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1).reshape(1, -1, 2))
    with torch.no_grad():
        values = density.log_prob(weights, points).exp().double().reshape(5 * parts, 5 * parts).numpy()
    mass = (values * width[0][:, None] * width[1]).reshape(5, parts, 5, parts).sum((1, 3))
    found, *_ = np.histogram2d(drawn[:, 0], drawn[:, 1], bins=edges)
    inside = found.sum()
    assert chisquare(found.ravel(), (mass / mass.sum() * inside).ravel()).pvalue > 1e-3
    independent = found.sum(1, keepdims=True) * found.sum(0) / inside
    assert chisquare(found.ravel(), independent.ravel()).pvalue < 1e-6  # dimensions do depend on each other


@pytest.mark.parametrize("bad", [-1, 4, 1.5, float("nan"), float("inf")])
def test_what_is_no_count_in_range_has_probability_zero(bad):
    density = stacked(Counts(4, 2))
    weights = pronounced(density)
    samples = torch.tensor([[[bad, 1.0], [1.0, bad], [1.0, 3.0]]])
    with torch.no_grad():
        log_prob = density.log_prob(weights, samples)[0]
    assert log_prob[:2].tolist() == [-torch.inf, -torch.inf]
    assert torch.isfinite(log_prob[2])


@every_architecture
def test_densities_are_in_the_units_of_the_data(backbone, order):
    """Data times 1000 and shifted: the log density is less by log 1000 for each dimension."""
    density = stacked(REALS, backbone, order)
    mean = tuple(1000 * value + 3000 for value in REALS.mean)
    scaled = StackedDensity(
        density.architecture | {"space": Reals(mean, tuple(1000 * v for v in REALS.deviation), 3).describe()}
    )
    weights = pronounced(density)
    samples = torch.from_numpy(np.random.default_rng(0).normal(REALS.mean, REALS.deviation, (1, 50, 2)))
    with torch.no_grad():
        plain, other = density.log_prob(weights, samples), scaled.log_prob(weights, 1000 * samples + 3000)
    torch.testing.assert_close(other, plain - 2 * np.log(1000), atol=1e-3, rtol=0)
    drawn, far = density.sample(weights, 50, seed=1), scaled.sample(weights, 50, seed=1)
    torch.testing.assert_close(far, 1000 * drawn + 3000, atol=1, rtol=1e-5)


def test_data_far_from_zero_lose_no_precision():
    """Mean 1e7, deviation 1: single precision would know states to a whole unit only."""
    near, far = stacked(Reals((0.3,), (1.0,), 4)), stacked(Reals((1e7 + 0.3,), (1.0,), 4))
    weights = pronounced(near)
    samples = torch.linspace(-2, 2, 41, dtype=torch.float64)[None, :, None]
    with torch.no_grad():
        torch.testing.assert_close(
            far.log_prob(weights, samples + 1e7), near.log_prob(weights, samples), atol=1e-4, rtol=0
        )
    drawn = far.sample(weights, 500, seed=0) - 1e7
    torch.testing.assert_close(drawn, near.sample(weights, 500, seed=0), atol=1e-4, rtol=0)


def test_the_scale_of_real_data_weighs_every_time_the_same():
    random = np.random.default_rng(0)
    samples = (random.normal(0, 1, (1000, 1)), random.normal(10, 3, (100, 1)))
    snapshots = Snapshots(np.arange(2.0), np.ones(2, bool), samples, samples, ("x",), None)
    space = state_space_of(snapshots, DensitySettings(components=2))
    assert space.mean == pytest.approx([5], abs=0.5)
    assert space.deviation == pytest.approx([np.sqrt(25 + (1 + 9) / 2)], rel=0.1)
    counts = Snapshots(np.arange(2.0), np.ones(2, bool), samples, samples, ("x",), 7)
    assert state_space_of(counts, DensitySettings()) == Counts(7, 1)


# --- members and seeds ---


@pytest.mark.parametrize("space", [Counts(5, 3), REALS], ids=["counts", "real"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_members_of_a_stack_have_the_densities_that_they_have_alone(space, backbone):
    density = stacked(space, backbone)
    weights = pronounced(density, 3)
    samples = torch.stack([density.sample(weights[:1], 20, seed)[0] for seed in range(3)])
    with torch.no_grad():
        together = density.log_prob(weights, samples)
        alone = torch.cat([density.log_prob(weights[m : m + 1], samples[m : m + 1]) for m in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.1


@pytest.mark.parametrize("space", [Counts(5, 3), REALS], ids=["counts", "real"])
def test_the_seed_determines_the_samples_and_leaves_the_callers_random_state(space):
    density = stacked(space)
    weights = pronounced(density, 2)
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first = density.sample(weights, 40, seed=1)
    assert torch.equal(density.initial_weights(4), density.initial_weights(4))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(density.sample(weights, 40, seed=1), first)
    assert not torch.equal(density.sample(weights, 40, seed=2), first)


def test_equal_members_get_different_samples_however_few_are_drawn_at_once(monkeypatch):
    density = stacked(Counts(9, 3))
    weights = pronounced(density).expand(3, -1)
    together = density.sample(weights, 1000, seed=0)
    monkeypatch.setattr("weightcast.evolution.density.DRAWN_AT_ONCE", 1)
    in_parts = density.sample(weights, 1000, seed=0)
    for drawn in (together, in_parts):
        assert all(not torch.equal(drawn[a], drawn[b]) for a, b in itertools.combinations(range(3), 2))
    torch.testing.assert_close(in_parts.mean((0, 1)), together.mean((0, 1)), atol=0.25, rtol=0)
    assert torch.equal(in_parts, together)


@pytest.mark.parametrize("space", [Counts(9, 3), REALS], ids=["counts", "real"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_members_samples_depend_on_its_key_and_on_no_other_member(space, backbone):
    density = stacked(space, backbone)
    weights = pronounced(density, 4)
    drawn = density.sample(weights, 200, seed=0, keys=["a", "b", "c", "d"])
    fewer = density.sample(weights[[3, 1]], 200, seed=0, keys=["d", "b"])
    torch.testing.assert_close(fewer, drawn[[3, 1]], atol=1e-4, rtol=0)
    same = density.sample(weights[:1].expand(3, -1), 200, seed=0, keys=["a", "a", "b"])
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], same[2])
    assert torch.equal(density.sample(weights, 20, seed=0), density.sample(weights, 20, seed=0, keys=range(4)))


def test_counts_are_drawn_by_the_inverse_of_their_laws_sum():
    space = Counts(4, 1)
    law = torch.tensor([0.0, 0.25, 0.5, 0.25]).log().expand(6, -1)
    even = torch.tensor([0.0, 0.2499, 0.2501, 0.7499, 0.7501, 1.0 - 2**-53], dtype=torch.float64)
    assert space.draw(law, 0, torch.stack([even, even])).tolist() == [1, 1, 2, 2, 3, 3]


def test_real_values_are_drawn_by_the_inverse_of_the_normal_law():
    space = Reals((5.0,), (2.0,), components=1)
    outputs = torch.tensor([0.0, 0.5, 0.0]).expand(3, -1)  # a mean of half a deviation; softplus(0) of a scale
    even = torch.tensor([0.0, 0.5, 0.841344746], dtype=torch.float64)
    drawn = space.draw(outputs, 0, torch.stack([even, even]))
    scale = 2 * (np.log(2) + 1e-3)
    assert drawn[1:].tolist() == pytest.approx([6, 6 + scale], abs=1e-4)
    assert torch.isfinite(drawn[0])


def test_a_random_order_is_fixed_by_its_seed():
    settings = DensitySettings(order="random")
    orders = [tuple(StackedDensity.new(settings, Counts(3, 8), seed).order) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(8))


@every_architecture
def test_an_architecture_survives_json(backbone, order):
    for space in (Counts(4, 3), REALS):
        density = stacked(space, backbone, order)
        again = StackedDensity(json.loads(json.dumps(density.architecture)))
        weights = pronounced(density)
        samples = density.sample(weights, 10, seed=0)
        assert torch.equal(again.sample(weights, 10, seed=0), samples)
        assert torch.equal(again.log_prob(weights, samples), density.log_prob(weights, samples))


# --- one density ---


def test_a_density_takes_samples_of_any_leading_shape():
    density = stacked(Counts(4, 3))
    one = Density(Laws.of(density, pronounced(density)[:1]), time=2.5)
    samples = one.sample(24, seed=0)
    flat = one.log_prob(samples)
    assert flat.shape == (24,)
    assert torch.equal(one.log_prob(samples.reshape(2, 3, 4, 3)), flat.reshape(2, 3, 4))
    torch.testing.assert_close(one.log_prob(samples[5]), flat[5])
    assert one.log_prob(samples[5]).shape == ()
    assert torch.equal(one.log_prob(samples.long()), flat)


@pytest.mark.parametrize("shape", [(), (2,), (5, 4), (3, 1)])
def test_samples_of_another_shape_are_refused(shape):
    density = stacked(Counts(4, 3))
    with refused("x: found shape", list(shape), "expected [..., 3]"):
        Density(Laws.of(density, pronounced(density)[:1]), 0.0).log_prob(torch.zeros(shape))


def test_fewer_than_one_sample_is_refused():
    density = stacked(Counts(4, 3))
    with refused("n: found 0", "at least 1"):
        Density(Laws.of(density, pronounced(density)[:1]), 0.0).sample(0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_fitted_density_has_the_moments_of_its_data(backbone):
    """A correlated Gaussian, seed 7; 20,000 samples of the density against 4000 of the data: means to a tenth of a
    deviation, variances and covariance to a fifth of theirs."""
    covariance = np.array([[4.0, 4.2], [4.2, 9.0]])
    data = np.random.default_rng(7).multivariate_normal([100, -5], covariance, 4000)
    density = stacked(Reals.of([data], components=2), backbone)
    weights = density.initial_weights(0)[None].clone().requires_grad_()
    samples = torch.from_numpy(data)

    def loss(step: int) -> torch.Tensor:
        batch = torch.randint(len(samples), (256,), generator=torch.Generator().manual_seed(step))
        return -density.log_prob(weights, samples[batch][None]).mean(1)

    fit([weights], loss, TrainingSettings(steps=250, learning_rate=0.03), stacked=True)
    mean, found = Density(Laws.of(density, weights[:1]), 0.0).moments(20_000, seed=1)
    assert mean.numpy() == pytest.approx(data.mean(0), abs=0.25)
    assert found.numpy() == pytest.approx(np.cov(data.T), rel=0.2)


def test_moments_of_one_dimension_keep_their_axes():
    density = stacked(Counts(4, 1))
    one = Density(Laws.of(density, pronounced(density)[:1]), 0.0)
    probabilities = one.log_prob(torch.arange(4)[:, None]).exp()
    mean, covariance = one.moments(50_000)
    expected = (probabilities * torch.arange(4)).sum()
    assert mean.tolist() == pytest.approx([float(expected)], abs=0.03)
    assert covariance.shape == (1, 1)
    assert float(covariance) == pytest.approx(
        float((probabilities * (torch.arange(4) - expected) ** 2).sum()), rel=0.05
    )


# --- samples that are carried along ---


@every_architecture
def test_samples_of_one_density_carried_along_to_another_are_samples_of_that(backbone, order):
    density = stacked(REALS, backbone, order)
    start, end = pronounced(density, 2)
    carried = density.carry(start, end, density.sample(start[None], 4000, seed=1)[0])
    drawn = density.sample(end[None], 4000, seed=2)[0]
    for dimension in range(2):
        assert ks_2samp(carried[:, dimension], drawn[:, dimension]).pvalue > 1e-3
    assert ks_2samp(carried.sum(1), drawn.sum(1)).pvalue > 1e-3  # they depend on each other as they should
    unmoved = density.sample(start[None], 4000, seed=1)[0]
    assert min(ks_2samp(unmoved[:, each], drawn[:, each]).pvalue for each in range(2)) < 1e-12


@every_architecture
def test_carried_there_and_back_samples_are_where_they_were(backbone, order):
    density = stacked(REALS, backbone, order)
    start, end = pronounced(density, 2)
    samples = density.sample(start[None], 200, seed=3)[0]
    there = density.carry(start, end, samples)
    torch.testing.assert_close(density.carry(end, start, there), samples, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(density.carry(start, start, samples), samples, rtol=1e-6, atol=1e-5)


def test_one_gaussian_is_carried_to_another_by_a_line_far_into_both_tails():
    density = stacked(Reals((1.0,), (2.0,), components=1))
    start, end = pronounced(density, 2)
    drawn = density.sample(start[None], 20_000, seed=4)[0]
    deviations = [drawn.std(), density.sample(end[None], 20_000, seed=4)[0].std()]
    points = drawn.mean() + deviations[0] * torch.tensor([[-20.0], [-9.0], [-1.0], [0.0], [1.0], [9.0], [20.0]])
    carried = density.carry(start, end, points.double())[:, 0]
    slope = carried.diff() / points[:, 0].double().diff()
    torch.testing.assert_close(slope, torch.full_like(slope, float(slope.mean())), rtol=1e-9, atol=0)
    assert float(slope.mean()) == pytest.approx(float(deviations[1] / deviations[0]), rel=0.03)


def test_counts_and_values_that_repeat_have_no_ranks_to_be_carried_along_by():
    for space, words in ((Counts(4, 2), "counts"), (RealsWithAtoms((0.0,), (1.0,), 2, ((0.0,),)), "density.atoms")):
        density = stacked(space)
        weights = pronounced(density)[0]
        with refused("carry", words):
            density.carry(weights, weights, torch.zeros(3, space.dimensions))
