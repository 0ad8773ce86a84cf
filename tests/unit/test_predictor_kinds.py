"""Every kind of predictor goes the whole way to generated networks, by the same code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refused
from tiny_conditions import on_parameters
from tiny_study import tiny_config, write_table
from torch import Tensor, nn

from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.config.training import PooledTraining, PredictorTraining
from weightcast.core.environment_table import Environment, EnvironmentTable, read_environments
from weightcast.core.graph import WeightGraph
from weightcast.core.job import Job
from weightcast.core.nets import fno, stencil, uno
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.run import Run
from weightcast.cost.environments import EnvironmentsPart
from weightcast.cost.jobs import PlannedJob
from weightcast.cost.rehearsal import Rehearsal
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.commands.untrained import check_predictor
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.load import parse_study
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.config.weight_map import FilmMap, PooledMap
from weightcast.environments.config.zoo import Perturbation
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.experts import one_step_error, plan_members, starting_weights
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.jobs import Plan, TrainExperts
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.origin import Origin
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.train_base import train_weight_map
from weightcast.environments.stages.train_diffusion import train_latent_diffusion
from weightcast.environments.stages.train_experts import train_experts
from weightcast.environments.stages.train_vae import train_weight_vae
from weightcast.environments.stages.tune_generator import tune_end_to_end
from weightcast.environments.training_zoo import TrainingZoo
from weightcast.environments.weight_maps import FilmWeights, build_weight_map
from weightcast.environments.zoo import ExpertShard
from weightcast.trajectories import Trajectories, write_trajectories

SECTIONS: dict[str, dict[str, Any]] = {
    "fno": {"width": 4, "modes": [2, 2], "depth": 1, "projection": 4},
    "uno": {"kind": "uno", "width": 3, "modes": [[2, 2], [1, 1]], "projection": 4},
    "unet": {"kind": "unet", "width": 3, "levels": 1},
    "unet-zeros": {"kind": "unet", "width": 2, "levels": 2, "padding": "zeros", "downsampling": "strided"},
    "stencil": {"kind": "stencil", "width": 5, "depth": 2, "substeps": 3},
    "mlp": {"kind": "mlp", "width": 5, "depth": 2, "activation": "tanh"},
}
NODES = {  # the output channels of all layers, by hand
    "fno": 4 + 4 + 4 + 2,
    "uno": 3 + (6 + 12 + 6 + 3) + 4 + 2,
    "unet": (3 + 3) + (6 + 6) + 3 + (3 + 3) + 2,
    "unet-zeros": (2 + 2) + (4 + 4) + (8 + 8) + (4 + 4) + (2 + 2) + (2 + 4) + (4 + 2) + 2,
    "stencil": 5 + 5 + 2,
    "mlp": 5 + 5 + 2,
}
KINDS = pytest.mark.parametrize("kind", SECTIONS)
ROWS = tuple(Environment(name, {"rate": rate}, "visible") for name, rate in zip("abc", (0.1, 0.2, 0.3), strict=True))


def grid_of(kind: str) -> tuple[int, int]:
    return (1, 1) if kind == "mlp" else (8, 12)


def architecture_of(kind: str) -> dict[str, Any]:
    return describe_architecture(PredictorSettings(**SECTIONS[kind]), channels=2)


def network_of(kind: str, seed: int = 0) -> nn.Module:
    return build_predictor(architecture_of(kind), seed)


def frames_of(kind: str, *lead: int, seed: int = 0) -> Tensor:
    return torch.randn(*lead, 2, *grid_of(kind), generator=torch.Generator().manual_seed(seed))


# --- weights


@KINDS
def test_the_graph_takes_it_apart_into_output_channels_and_puts_it_together_again(kind: str) -> None:
    network = network_of(kind)
    graph = WeightGraph(network)
    flat = graph.read(network)

    assert torch.equal(graph.flat(graph.tokens(flat)), flat)
    assert torch.equal(graph.from_padded(graph.padded_tokens(flat)), flat)
    assert graph.num_nodes == NODES[kind]
    assert len(flat) == sum(parameter.numel() for parameter in network.parameters())


@KINDS
def test_every_weight_has_a_say(kind: str) -> None:
    network = network_of(kind)
    network(frames_of(kind, 3)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), name


@KINDS
def test_a_stack_of_networks_equals_the_networks_one_by_one(kind: str) -> None:
    networks = [network_of(kind, seed) for seed in range(3)]
    predictor = StackedPredictor(networks[0])
    frames = frames_of(kind, 3, 4)

    together = predictor(torch.stack([predictor.graph.read(network) for network in networks]), frames)

    alone = torch.stack([network(batch) for network, batch in zip(networks, frames, strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@contextmanager
def modulated(network: nn.Module, scale: Tensor, shift: Tensor, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """FiLM as it is usually done: what each layer hands on is scaled and shifted, node by node."""
    first, of, handles = 0, {}, []
    for layer in WeightGraph(network).layers:
        rows = slice(first, first + layer.nodes)
        first += layer.nodes
        has_bias = any(part.bias for part in layer.parts)
        of[network.get_submodule(layer.name)] = scale[rows], shift[rows] * has_bias

    def change(module: nn.Module, values: Tensor, axis: int) -> Tensor:
        s, t = (numbers.reshape(-1, *[1] * (values.ndim - 1 - axis)) for numbers in of[module])
        return values * (1 + s) + t

    for module in of:  # a Fourier layer has its channels in front, all others behind the batch
        axis = 0 if isinstance(module, fno.FourierLayer) else 1
        handles.append(module.register_forward_hook(lambda m, _, values, axis=axis: change(m, values, axis)))
    plain: Callable[[nn.Linear, Tensor], Tensor] = fno.map_channels
    for place in (fno, uno, stencil):  # which does not call the linear layer as a module, and so no hook
        monkeypatch.setattr(
            place,
            "map_channels",
            lambda linear, fields: change(linear, plain(linear, fields), 0) if linear in of else plain(linear, fields),
        )
    yield
    for handle in handles:
        handle.remove()
    monkeypatch.undo()


@KINDS
def test_film_folds_into_plain_weights(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(kind).double().requires_grad_(False)
    graph = WeightGraph(network)
    condition = on_parameters(rate=(0.1, 0.3), size=(1.0, 2.0))
    film = FilmWeights(graph.read(network), condition, graph, width=16).double()
    for parameter in film.modulation.parameters():
        nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
    film.requires_grad_(False)
    frames, parameters = frames_of(kind, 3).double(), torch.tensor([[0.6, -1.1]], dtype=torch.double)

    folded = StackedPredictor(network)(film(parameters), frames[None])[0]
    scale, shift = film.scale_and_shift(parameters)
    with modulated(network, scale[0], shift[0], monkeypatch):
        expected = network(frames)

    assert (expected - network(frames)).abs().max() > 1e-2  # the modulation does something
    torch.testing.assert_close(folded, expected, rtol=0, atol=1e-10)


# --- the whole way


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories on both grids, which decay at the environment's rate."""
    folder = tmp_path_factory.mktemp("kinds")
    for kind in ("mlp", "fno"):
        grid = grid_of(kind)
        for row in ROWS:
            first = np.random.default_rng(ord(row.id)).standard_normal((4, 1, 2, *grid))
            decay = np.exp(-row.parameters["rate"] * np.arange(6))[None, :, None, None, None]
            axes = np.arange(6.0), np.arange(float(grid[0])), np.arange(float(grid[1]))
            values = (2.0 + 3.0 * first * decay).astype(np.float32)
            trajectories = Trajectories(values, ("u", "v"), *axes, row.id, row.parameters)
            write_trajectories(folder / "x".join(map(str, grid)) / f"{row.id}.nc", trajectories)
    return folder


@KINDS
@pytest.mark.parametrize("base", ["pooled", "film"])
def test_from_trajectories_to_generated_networks(kind: str, base: str, folder: Path, tmp_path: Path) -> None:
    """A few steps of everything: what is checked is that each stage takes what the one before it made."""
    trajectories = folder / "x".join(map(str, grid_of(kind)))
    data = DataSettings(
        source="netcdf", directory="unused", channels=["u", "v"], grid=grid_of(kind), frames=6, trained_frames=6,
        trajectories={"train": 2, "validation": 1, "test": 1},
    )  # fmt: skip
    table = EnvironmentTable(ROWS, ("rate",), tmp_path / "table.csv")
    training = PredictorTraining(steps=20, learning_rate=0.01, unroll=2, batch=2)
    short = training.model_copy(update={"steps": 3})

    # The base, as the stage train_base trains it.
    files = TrajectoryFolder(trajectories)
    physical = files.read(table.ids, data, "train", data.trained_frames)
    normalisation = Normalisation.of(physical)
    known = Known.of_rows(ROWS)
    condition = new_condition("parameters", known)
    prepared = condition.prepare(known)
    predictor = StackedPredictor(network_of(kind))
    chosen = FilmMap(width=8) if base == "film" else PooledMap()
    weight_map = build_weight_map(chosen, condition, predictor.graph.read(predictor.module), predictor.graph)
    described = describe_weight_map(chosen, condition)
    frames = normalisation.apply(physical)
    pooled = PooledTraining(**training.model_dump(), environments=3)
    start = weight_map(prepared).detach().clone()  # the pooled map hands out its own weights
    train_weight_map(Run(), weight_map, predictor, frames, prepared, pooled, seed=0)
    errors = [one_step_error(weights, frames, range(3), predictor).mean() for weights in (start, weight_map(prepared))]
    assert errors[1] < 0.97 * errors[0]
    metadata = {
        "architecture": architecture_of(kind),
        "normalisation": normalisation.metadata(),
        "condition": condition.describe(),
        "tensors_digest": "x",
        "digest": "y",
        "weight_map": described,
    }

    # Its experts and their zoo.
    trained_base = BaseNetwork(weight_map.requires_grad_(False), predictor, normalisation, metadata)
    start = {"initialisation": "base", "permuted": False, "perturbation": Perturbation()}
    experts = TrainExperts(environments=ROWS, data=data, training=short, members=2, seed=0, **start)
    train_experts(Run(), experts, base=trained_base, trajectories=files).save(tmp_path / "experts.safetensors")
    zoo = ExpertShard.load(tmp_path / "experts.safetensors")
    assert zoo.weights.shape == (6, predictor.graph.num_parameters)
    assert not any(entry["diverged"] for entry in zoo.manifest)
    training_zoo = TrainingZoo.of(zoo, experts)
    condition = new_condition("parameters", training_zoo.known)
    prepared = condition.prepare(training_zoo.known)

    # The generator.
    vae = VAESettings(width=8, heads=2, layers=1, latent=4, batch=4, training={"steps": 4, "learning_rate": 0.003})
    diffusion = DiffusionSettings(
        width=8, heads=2, layers=1, batch=4, training={"steps": 4, "learning_rate": 0.003}, sample_steps=2
    )
    settings = {"vae": vae.model_dump(mode="json"), "diffusion": diffusion.model_dump(mode="json")}
    generator = new_generator(metadata | settings | {"origin": described}, seed=0)
    generator.vae.origin = Origin.of(trained_base, condition)
    frames = training_zoo.frames(files, data)
    train_weight_vae(
        Run(), generator.vae, predictor, zoo.weights, prepared, training_zoo.environment_of, frames, vae, seed=0
    )
    of_members = prepared[training_zoo.environment_of]
    with torch.no_grad():
        latents = generator.vae.encode(zoo.weights[:], of_members)
    train_latent_diffusion(Run(), generator.diffusion, latents, of_members, diffusion, seed=0)
    tuning = EndToEndSettings(environments=2, training=short.model_dump())
    tune_end_to_end(Run(), generator, frames, prepared, tuning, seed=0)
    generator.save(tmp_path / "generator.safetensors")

    # Networks, in physical units.
    (model,) = Generator.load(tmp_path / "generator.safetensors").sample(environment={"rate": 0.15})
    initial = physical[0, :, 0]
    forecast = model.rollout(initial, 3)
    assert forecast.shape == (2, 3, 2, *grid_of(kind))
    assert bool(torch.isfinite(forecast).all())
    torch.testing.assert_close(forecast[:, 0], generator.sample(environment={"rate": 0.15})[0](initial))


@KINDS
def test_perturbation_names_a_layer_of_the_architecture(kind: str, tmp_path: Path) -> None:
    predictor = StackedPredictor(network_of(kind))
    base = predictor.graph.read(predictor.module).expand(2, -1)
    moved = starting_weights(base, plan_members(["a"], 2, 0), predictor, Perturbation(scale=0.1)) - base
    names = {name for name, change in predictor.graph.unflatten(moved).items() if change.any()}
    assert names == {name for name in predictor.graph.shapes if name.startswith("layers.0.")}

    config = kind_config(kind, tmp_path)
    check_predictor(parse_study(config), "my.yaml")
    for layer in predictor.graph.layers:
        config["zoo"]["perturbation"]["layer"] = layer.name
        check_predictor(parse_study(config), "my.yaml")
    config["zoo"]["perturbation"]["layer"] = "layers.9"
    known = ", ".join(layer.name for layer in predictor.graph.layers)
    with refused("my.yaml: zoo.perturbation.layer: found 'layers.9'", f"expected one of {known}"):
        check_predictor(parse_study(config), "my.yaml")


def kind_config(kind: str, folder: Path) -> dict[str, Any]:
    config = tiny_config(folder)
    config["data"]["grid"] = list(grid_of(kind))
    config["predictor"] = SECTIONS[kind]
    return config


@pytest.mark.parametrize(("kind", "large"), [*((kind, 0) for kind in SECTIONS), ("fno", 1e6)])
def test_its_trainings_are_rehearsed(kind: str, large: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also as if it were a large one, on two small sizes."""
    monkeypatch.setattr("weightcast.cost.environments.LARGE_PREDICTOR", large)
    config = kind_config(kind, tmp_path)
    study, table = parse_study(config), read_environments(write_table(tmp_path / "table.csv"))
    jobs = {
        "base": Job("train_base", {"base": "erm"}, {"trajectories": "t"}, {"output": "base"}, config="c"),
        "experts": Job(
            "train_experts",
            {"base": "erm", "shard": "visible-000"},
            {"base": "base", "trajectories": "t"},
            {"output": "visible-000.safetensors"},
            config="c",
        ),
    }
    planned = [PlannedJob(name, job, None) for name, job in jobs.items()]
    part = EnvironmentsPart(Plan(study, table), tmp_path / "part")
    found = Rehearsal(planned, part, tmp_path / "made", budget=0.0).run()
    assert not found.failed
    assert all(0 < work.counted < work.seconds < 1e6 for work in found.work.values())
    assert all(work.operations > 0 for work in found.work.values())
