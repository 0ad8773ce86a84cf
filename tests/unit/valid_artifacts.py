"""Small artifacts of every kind that is read for use, as the library writes them, and what reads each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from families_kit import normal_family, two_normal_maps

from weightcast.core.nets.build import build_predictor
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.code_priors import CodePrior, MixturePrior
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.conditions.label import LabelCondition, label_inputs
from weightcast.environments.config.condition import FramesSettings
from weightcast.environments.config.weight_map import FilmMap, LinearMap
from weightcast.environments.context import Context
from weightcast.environments.frame_features import FrameFeatures
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.kernel_regression import KernelRegression
from weightcast.environments.labels import Labels
from weightcast.environments.model import load_models, save_models
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.weight_maps import build_weight_map
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.environments.zoo import ExpertFile, ExpertShard, Zoo
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.atoms import RealsWithAtoms
from weightcast.evolution.baselines.flow_matching import FlowMatching, VectorField
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.flow import FlowArm, FlowSettings
from weightcast.evolution.couplings import Couplings, Pairs
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.flow_artifact import FlowArtifact
from weightcast.evolution.forecast import DampedTrends
from weightcast.evolution.mass import MassPath
from weightcast.evolution.state_space import Counts, Reals, StateSpace
from weightcast.evolution.weight_path import WeightPath
from weightcast.families.baselines.conditional_flow import ConditionalField, ConditionalFlow
from weightcast.families.config.path_diffusion import PathDiffusionSettings
from weightcast.families.masses import MassCurves
from weightcast.families.path_condition import PathCondition
from weightcast.families.path_experts import PathExperts
from weightcast.families.path_generation import PathGenerator, untrained_diffusion
from weightcast.families.path_vae import PathVAE
from weightcast.families.trained_family import TrainedFamily

ARCHITECTURE = {"kind": "mlp", "channels": 2, "width": 3, "depth": 1, "activation": "tanh", "residual": True}
NORMALISATION = Normalisation((0.5, -1.0), (2.0, 3.0))
CURVES = {"training": {"steps": [1, 2], "training": [0.5, None], "validated_steps": [], "validation": []}}
FEW = {"steps": 2, "learning_rate": 0.01}
TRAINED = {"seed": 0, "seconds": 1.5, "curves": CURVES, "metrics": {"last_loss": 0.1}}
TIMES = np.array([0.0, 1.0, 3.0])


def read_zoo(kind: type[Zoo], path: Path) -> Zoo:
    """A manifest, and the files that it is of."""
    zoo = kind.load(path)
    return Zoo(zoo.weights[:], zoo.manifest, zoo.metadata)


READERS: dict[str, Callable[[Path], Any]] = {
    "base": BaseNetwork.load,
    "context": Context.load,
    "zoo": partial(read_zoo, Zoo),
    "experts": partial(read_zoo, ExpertShard),
    "expert-file": lambda path: ExpertFile.open(path)[0][:],
    "weights": WeightsFile.load,
    "model": load_models,
    "vae": TrainedVae.load,
    "generator": Generator.load,
    "anchors": Anchors.load,
    "flow": WeightPath.load,
    "anchors-real": Anchors.load,
    "flow-mixed": WeightPath.load,
    "flow-matching": FlowMatching.load,
    "couplings": Couplings.load,
    "labels": Labels.load,
    "family": TrainedFamily.load,
    "path-vae": TrainedFamily.load,
    "path-experts": PathExperts.load,
    "path-generator": PathGenerator.load,
    "conditional-flow": ConditionalFlow.load,
}
"""By what a file is: a kind, or one of several densities of a kind."""


def write_valid(folder: Path) -> dict[str, Path]:
    """A small artifact of every kind that is read for use, by the names of ``READERS``."""
    paths = {kind: folder / f"{kind}.safetensors" for kind in READERS}
    _write_environments(paths)
    _labels().save(paths["labels"])
    _write_paths(paths["anchors"], paths["flow"], Counts(4, 2), {})
    told = {"mass": MassPath(TIMES, np.array([1.0, 2.0, 3.0])).describe()}
    told |= {"forecast": DampedTrends((0.0, 2.0), (0.25, 0.75)).describe()}
    _write_paths(paths["anchors-real"], folder / "flow-real.safetensors", Reals((1.0, -2.0), (2.0, 0.5), 2), told)
    mixed = RealsWithAtoms((1.0, -2.0), (2.0, 0.5), 2, ((0.0, 4.0), ()))
    _write_paths(folder / "anchors-mixed.safetensors", paths["flow-mixed"], mixed, told)
    _write_coupled(paths["flow-matching"], paths["couplings"])
    _write_family(paths["family"], paths["conditional-flow"])
    _write_path_vae(paths["path-vae"], paths["path-experts"])
    _write_path_generator(paths["path-generator"])
    return paths


def _write_environments(paths: Mapping[str, Path]) -> None:
    known = [Known(parameters={"beta": beta, "D": 0.5}) for beta in (0.5, 1.0, 1.5)]
    condition = new_condition("parameters", known)
    predictor = StackedPredictor(build_predictor(dict(ARCHITECTURE)))
    weights = predictor.graph.read(predictor.module).detach()
    shared = {
        "architecture": ARCHITECTURE,
        "normalisation": NORMALISATION.metadata(),
        "condition": condition.describe(),
    }

    weight_map = build_weight_map(FilmMap(width=4), condition, weights, predictor.graph)
    described_map = describe_weight_map(FilmMap(width=4), condition)
    ids = ["a", "b", "c"]
    of_base = shared | TRAINED | {"weight_map": described_map, "environments": ids}
    BaseNetwork(weight_map, predictor, NORMALISATION, of_base).save(paths["base"])

    codes = new_condition("code", [Known(code=code) for code in torch.tensor([[0.1], [0.2], [0.4]])])
    of_codes = build_weight_map(LinearMap(), codes, weights, predictor.graph)
    calibration = {"temper": 0.3, "least_noise": [0.1, 0.2], "usual_residual": 3.0, "model_error": [[0.1, 0.2]]}
    of_context = of_base | {
        "weight_map": describe_weight_map(LinearMap(), codes),
        "condition": codes.describe(),
        "context": {"refine": {"members": 4}, "calibration": calibration, "choice": {"inside": float("nan")}},
    }
    frames = torch.randn(3, 2, 5, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    further = FrameSpace.of(frames).tensors()
    BaseNetwork(of_codes, predictor, NORMALISATION, of_context, further).save(paths["context"])

    manifest = [
        {"environment": id, "member": 0, "seed": 5, "diverged": False, "train_error": 0.1, "validation_error": 0.2}
        | {"seconds": 1.0, "data_digest": "d"}
        for id in ids
    ]
    Zoo(weights.repeat(3, 1), manifest, shared).save(paths["zoo"])
    ExpertShard(weights.repeat(3, 1), manifest, shared).save(paths["experts"])
    ExpertFile.save(paths["expert-file"], weights.repeat(3, 1), manifest, "made from this")
    method = MethodWeights("film", 0, ids, weights.repeat(3, 1, 1), 1.0, 0.5, 20, ["c"], NORMALISATION)
    WeightsFile.of([method], shared).save(paths["weights"])
    save_models(
        paths["model"], weights.repeat(2, 1), shared, {"environment": {"beta": 0.7}, "seed": 1, "channels": ids}
    )

    sizes = {"width": 8, "heads": 2, "layers": 1, "training": FEW}
    made = shared | TRAINED | {"arm": "paper", "seconds_before": 2.0, "origin": described_map}
    made |= {"vae": sizes | {"latent": 2}, "diffusion": sizes | {"noise_steps": 10, "sample_steps": 2}}
    generator = new_generator(made, 0)
    generator.save(paths["generator"])
    TrainedVae(generator.vae, generator.condition, predictor, made).save(paths["vae"])


def _labels() -> Labels:
    """Of three environments, told from their frames."""
    draws = torch.Generator().manual_seed(0)
    known = [Known(frames=torch.randn(2, 6, 1, 4, 4, generator=draws)) for _ in range(3)]
    features = FrameFeatures.of(known, FramesSettings())
    inputs = label_inputs(features, features.prepare(known))["statistics"]
    values = torch.tensor([[-1.0], [0.25], [1.0]])
    regression = KernelRegression.fitted(inputs, values, "both", 1.0, 0.1)
    metadata = {"base": "erm", "shares": [1.0], "regression": {"kernel": "both", "error": [0.1]}, "seconds": 2.0}
    condition = LabelCondition(features, regression, "statistics")
    return Labels(["a", "b", "c"], values, (values - values.T).abs(), condition, metadata)


def _write_paths(anchors: Path, flow: Path, space: StateSpace, told: Mapping[str, Any]) -> None:
    """Anchors of a density of these values, and a flow through them."""
    density = StackedDensity.new(DensitySettings(hidden=3, components=2), space, seed=0)
    path = torch.stack([density.initial_weights(seed) for seed in range(3)])
    of_times = TRAINED | {"times": TIMES.tolist(), "dimensions": ["S", "I"]}
    Anchors(TIMES, path, density, of_times | {"anchors": "joint"}).save(anchors)
    arm = FlowArm(dynamics="ode", anchors="joint")
    plain = {"arms": {"a": arm}, "width": 8, "heads": 2, "layers": 1}
    settings = FlowSettings.model_validate(plain | {"anchor_training": FEW, "likelihood_training": FEW})
    grid = torch.tensor([0.0, 1 / 3, 1.0])
    made = WeightFlow(path, grid, density.graph, settings, None, from_anchors=True)
    FlowArtifact(made, density, arm, settings, of_times | {"arm": "a"} | told).save(flow)


def _write_coupled(matched: Path, couplings: Path) -> None:
    """A vector field, and pairs of samples, of three snapshots in two dimensions."""
    field = VectorField(2, 4, duration=2)
    FlowMatching(TIMES, np.zeros(2), np.ones(2), field, TRAINED | {"width": 4}).save(matched)
    samples = np.arange(8.0).reshape(4, 2)
    pairs = Pairs(samples, samples + 1, np.full(4, 0.25), np.full(4, 0.5))
    Couplings(TIMES, (pairs, pairs), {}).save(couplings)


def _write_family(family: Path, conditional: Path) -> None:
    """A family of two maps, with all that it may have, and a field that is told parameters."""
    scaling = ParameterScaling(("beta", "rate"), (0.5, 1.0), (2.0, 10.0), ("rate",))
    made = two_normal_maps(0.5, [0.0, 0.5, 2.0], (1.0, 1.5))
    made = replace(made, scaling=scaling, parameters=torch.zeros(3, 2))
    curves = MassCurves(TIMES, np.ones((2, 2)), np.eye(2), 0.1)
    wide = CodePrior.of(made.codes, 1.25)
    mixture = MixturePrior.around(wide, torch.tensor([[0.5]]), torch.ones(1, 1, 1), torch.ones(1)).tensors()
    further = tuple(replace(one, masses=curves, mixture=mixture) for one in made.further)
    replace(made, masses=curves, mixture=mixture, further=further).save(family)
    field = ConditionalField(2, 2, 4)
    flow = ConditionalFlow(0.0, 3.0, np.zeros(2), np.ones(2), scaling, field, 1.5, {"seconds": 1.0})
    flow.save(conditional)


def _write_path_vae(family: Path, experts: Path) -> None:
    """A family whose map is an autoencoder of paths, and experts of paths."""
    made = normal_family(0.5, [0.0, 0.5, 2.0])
    paths = torch.randn(4, 3, made.density.graph.num_parameters, generator=torch.Generator().manual_seed(1))
    vae = PathVAE(made.density.graph, paths.shape[2], 2, "vae", 2, 3, 4, 2, 1)
    vae.fit_statistics(paths)
    found = {"experts": 3, "expert_nll": 1.5, "decoded_nll": 1.6, "variance_lost": 0.2}
    replace(made, map=vae, codes=torch.eye(3, 2), metadata={"zoo_vae": found, "seconds": 1.0}).save(family)
    PathExperts(made.density, (*made.ids, "new"), 3, paths, torch.ones(2, 4), {"seconds": 1.0}).save(experts)


def _write_path_generator(path: Path) -> None:
    """A diffusion over codes of two numbers, told a parameter and two numbers of samples."""
    settings = PathDiffusionSettings(width=4, heads=2, layers=1)
    diffusion = untrained_diffusion(2, PathCondition(1, 2), settings)
    PathGenerator(diffusion, torch.zeros(2), torch.ones(2), settings, {"seconds": 1.0}).save(path)
