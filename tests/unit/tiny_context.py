"""A context small enough for unit tests, whose environments are exactly what it makes of their codes, and its study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from tiny_study import (
    CHANNELS,
    GRID,
    random_trajectories,
    tiny_config,
    without_parameters,
    write_bare_table,
)
from tiny_study import write_config as write_yaml

from weightcast.core.nets.build import build_predictor
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.config.weight_map import LinearMap
from weightcast.environments.context import Calibration, Context
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import LinearWeights, build_weight_map
from weightcast.trajectories import Trajectories, write_trajectories

CODES = {"low": -1.0, "middle": 0.0, "high": 1.0}
NORMALISATION = Normalisation((3.0, -1.0), (2.0, 0.5))
ROWS = [(id, "visible", 0.0) for id in CODES] + [("between", "interpolation", 0.0)]
MODEL_ERROR = [[0.01 * step, 0.02 * step] for step in range(1, 9)]


def tiny_context(folder: Path) -> Context:
    """A linear map from one number to the weights of a network that damps fields the more, the greater the number."""
    architecture = tiny_config(folder)["predictor"] | {"channels": len(CHANNELS)}
    module = build_predictor(architecture, 0)
    predictor = StackedPredictor(module)
    condition = CodeCondition(torch.tensor(list(CODES.values()))[:, None])
    initial = predictor.graph.read(module)
    weight_map = build_weight_map(LinearMap(), condition, initial, predictor.graph)
    assert isinstance(weight_map, LinearWeights)
    with torch.no_grad():
        random = torch.Generator().manual_seed(0)
        weight_map.weights.copy_(0.6 * initial)
        weight_map.directions.copy_(0.03 * torch.randn(weight_map.directions.shape, generator=random))
    refine = RefineSettings(members=16)
    calibration = Calibration(temper=0.3, least_noise=[1e-3] * 8, model_error=MODEL_ERROR, usual_residual=2.0)
    metadata = {
        "weight_map": describe_weight_map(LinearMap(), condition),
        "architecture": architecture,
        "normalisation": NORMALISATION.metadata(),
        "condition": condition.describe(),
        "environments": list(CODES),
        "seed": 0,
        "seconds": 0.0,
        "context": {
            "refine": refine.model_dump(mode="json"),
            "calibration": {name: getattr(calibration, name) for name in Calibration.__dataclass_fields__},
        },
    }
    base = BaseNetwork(weight_map.requires_grad_(False), predictor, NORMALISATION, metadata)
    made = Context(base, FrameSpace.of(torch.randn(1, 1, 2, 2, *GRID)), refine, calibration)
    seen = torch.stack([torch.from_numpy(made_by(made, code).values) for code in CODES.values()])
    space = FrameSpace.of(NORMALISATION.apply(seen))
    return Context.of(BaseNetwork(base.weight_map, predictor, NORMALISATION, metadata, space.tensors()))


def made_by(context: Context, code: float, trajectories: int = 2, frames: int = 9, noise: float = 0.0) -> Trajectories:
    """What the predictor of a code forecasts from random first frames, in physical units."""
    like = random_trajectories("somewhere", 0.0, trajectories, frames)
    first = torch.from_numpy(like.values[:, 0])[None]  # normalised [1, trajectory, channel, y, x]
    weights = context.weights(torch.tensor([[code]]))
    rolled = context.base.predictor.rollout(weights, first, frames - 1)[0]
    whole = torch.cat([first[0][:, None], rolled], 1)
    whole = whole + noise * torch.randn(whole.shape, generator=torch.Generator().manual_seed(1))
    return replace(like, values=NORMALISATION.invert(whole).numpy(), parameters={})


def write_context_study(folder: Path) -> Path:
    """``folder``/results/tiny with a context and no generator, beside ``folder``/data/tiny with trajectories."""
    results, context = folder / "results" / "tiny", tiny_context(folder)
    results.mkdir(parents=True)
    config = without_parameters(tiny_config(folder))
    config["context"] = {"training": {"steps": 1, "learning_rate": 0.01, "unroll": 2, "batch": 2, "environments": 3}}
    write_yaml(results / "config.yaml", config)
    write_bare_table(results / "environments.csv", ROWS)
    write_trajectories(folder / "data" / "tiny" / "trajectories" / "low.nc", made_by(context, CODES["low"]))
    context.save(results / "base" / "context.safetensors")
    return results
