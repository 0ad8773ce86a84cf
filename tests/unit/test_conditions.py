"""What is known of an environment: parameters as before, and that another kind of knowledge goes the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from refusals import refused
from tiny_chain import tiny_plan
from tiny_conditions import known_of, on_parameters
from torch import Tensor, nn

from weightcast.core.config.training import PooledTraining
from weightcast.core.nets.build import build_predictor
from weightcast.core.provenance import code_files
from weightcast.core.run import Run
from weightcast.environments import conditions
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.conditions import Condition, Known, build_condition, kind_of_condition, new_condition
from weightcast.environments.conditions.parameters import ParametersCondition
from weightcast.environments.config.condition import CONDITIONS, SHOWN_FRAMES, ConditionSettings, FramesSettings
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.config.weight_map import FilmMap, HypernetworkMap, PooledMap
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.infer_environment import infer_environments
from weightcast.environments.jobs import FoldBases, ShownFrames
from weightcast.environments.known import known_of as known_frames
from weightcast.environments.known import training_known_of
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.origin import Origin
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.stages.train_base import train_weight_map
from weightcast.environments.stages.train_diffusion import train_latent_diffusion
from weightcast.environments.stages.train_vae import train_weight_vae
from weightcast.environments.stages.tune_generator import tune_end_to_end
from weightcast.environments.weight_maps import build_weight_map

NAMES = ("Re", "radius", "fixed")
VISIBLE = np.array([[60.0, 10.0, 3.0], [240.0, 14.0, 3.0], [120.0, 18.0, 3.0]])
GROWN = np.array([[30.0, 10.0, 1.0], [240.0, 40.0, 3.0], [960.0, 18.0, 5.0]])
LOGARITHMS = pytest.mark.parametrize("logarithmic", [(), ("Re",), ("Re", "fixed")])


def parameters_condition(values: np.ndarray, logarithmic: Sequence[str]) -> Condition:
    return new_condition("parameters", known_of(NAMES, values), logarithmic)


# --- parameters


@LOGARITHMS
def test_prepared_parameters_are_scaled_parameters(logarithmic: tuple[str, ...]) -> None:
    condition = parameters_condition(VISIBLE, logarithmic)
    scaling = ParameterScaling.of(NAMES, VISIBLE, logarithmic)
    for values in (VISIBLE, GROWN, VISIBLE[:1]):
        prepared = condition.prepare(known_of(NAMES, values))
        assert torch.equal(prepared, scaling.apply(values))
        assert torch.equal(condition(prepared), prepared)
    assert (condition.coordinates, condition.width) == (3, 3)
    assert not list(condition.parameters())


@LOGARITHMS
def test_a_description_builds_the_same_condition(logarithmic: tuple[str, ...]) -> None:
    condition = parameters_condition(VISIBLE, logarithmic)
    again = build_condition(condition.describe())
    assert again.describe() == condition.describe()
    known = known_of(NAMES, GROWN)
    assert torch.equal(again.prepare(known), condition.prepare(known))
    with refused("condition.kind", "'parameter'", "parameters"):
        build_condition(condition.describe() | {"kind": "parameter"})


@LOGARITHMS
@pytest.mark.parametrize(("of", "to"), [(VISIBLE, GROWN), (GROWN, VISIBLE)])
def test_coordinates_lead_to_those_of_another_range(
    logarithmic: tuple[str, ...], of: np.ndarray, to: np.ndarray
) -> None:
    first, second = (parameters_condition(values, logarithmic) for values in (of, to))
    asked = np.array([[75.0, 11.0, 3.0], [500.0, 20.0, 3.0], [60.0, 9.0, 3.0]])  # the last parameter is fixed in one
    known = known_of(NAMES, asked)
    moved = first.towards(second)(first.prepare(known))
    torch.testing.assert_close(moved, second.prepare(known), rtol=1e-5, atol=1e-5)


def test_there_is_no_way_to_other_parameters() -> None:
    condition = on_parameters(beta=(0.0, 1.0))
    values = np.array([[1.0], [2.0]])
    logarithmic = ParametersCondition(ParameterScaling.of(["beta"], values, ["beta"]))
    for other in (on_parameters(gamma=(0.0, 1.0)), on_parameters(beta=(0.0, 1.0), D=(0.0, 1.0)), logarithmic):
        with refused("condition", "same"):
            condition.towards(other)


@pytest.mark.parametrize(("names", "count"), [("a", 5), ("ab", 25), ("abc", 125), ("abcd", 128)])
def test_a_search_starts_all_over_the_visible_range(names: str, count: int) -> None:
    candidates = on_parameters(**dict.fromkeys(names, (2.0, 3.0))).candidates()
    assert candidates.shape == (count, len(names))
    assert len(candidates.unique(dim=0)) == count
    assert candidates.abs().max() <= 1.0
    if len(names) <= 3:
        assert candidates.min(0).values.tolist() == [-1.0] * len(names)
        assert candidates.max(0).values.tolist() == [1.0] * len(names)
    for sign in (-1, 1):  # every side is searched
        assert ((candidates * sign > 0.2).sum(0) >= count // 5).all()


def test_coordinates_have_names_in_the_users_units() -> None:
    condition = parameters_condition(VISIBLE, ("Re",))
    (known,) = known_of(NAMES, [[75.0, 11.0, 3.0]])
    assert condition.named(condition.prepare([known])[0]) == pytest.approx(known.parameters, rel=1e-6)


def test_environments_that_cannot_be_asked_for_are_refused() -> None:
    condition = parameters_condition(VISIBLE, ("Re",))

    def check(**parameters: float) -> list[str]:
        return condition.check(Known(parameters=parameters), "environment")

    assert check(Re=60.0, radius=12.0, fixed=3.0) == []
    assert check(Re=480.0, radius=12.0, fixed=3.0) == ["environment: Re=480 lies outside the visible range 60..240"]
    with refused("environment", "'fixed'", "missing"):
        check(Re=60.0, radius=12.0)
    with refused("environment", "'size'", "unknown"):
        check(Re=60.0, radius=12.0, fixed=3.0, size=1.0)
    with refused("environment", "'Re'", "above 0", "logarithm"):
        check(Re=-1.0, radius=12.0, fixed=3.0)
    with refused("environment", "finite"):
        check(Re=60.0, radius=float("nan"), fixed=3.0)
    with refused("without parameters"):
        condition.check(Known(frames=torch.zeros(1, 2, 1, 4, 4)), "environment")


# --- another kind


class MeanFrame(Condition):
    """A kind that exists in this test alone: observed frames' mean of each channel, behind a learned layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coordinates, self.width = channels, 3
        self.layer = nn.Linear(channels, self.width)

    @classmethod
    def of(
        cls, visible: Sequence[Known], logarithmic: Sequence[str] = (), settings: ConditionSettings | None = None
    ) -> Self:
        return cls(_frames(visible[0]).shape[-3])

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        return cls(description["channels"])

    def describe(self) -> dict[str, Any]:
        return {"kind": "mean-frame", "channels": self.coordinates}

    def prepare(self, known: Sequence[Known]) -> Tensor:
        return torch.stack([_frames(one).mean(dim=(0, 1, 3, 4)) for one in known])

    def forward(self, prepared: Tensor) -> Tensor:
        return torch.tanh(self.layer(prepared))

    def towards(self, other: Condition) -> nn.Module:
        return nn.Identity()

    def candidates(self) -> Tensor:
        return torch.linspace(-1.0, 1.0, 9)[:, None].expand(-1, self.coordinates)

    def named(self, prepared: Tensor) -> dict[str, float]:
        return {f"mean_{channel}": float(value) for channel, value in enumerate(prepared)}

    def check(self, known: Known, source: str) -> list[str]:
        return []


def _frames(known: Known) -> Tensor:
    assert known.frames is not None
    return known.frames


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_kind_is_the_module_of_its_name(name: str) -> None:
    module = {"code": "codes"}.get(name, name.replace("-", "_"))  # the standard library has a module "code"
    assert kind_of_condition(name).__module__ == f"weightcast.environments.conditions.{module}"
    listed = code_files("weightcast.environments.stages.train_base")
    assert f"weightcast/environments/conditions/{module}.py" in listed
    assert CONDITIONS[0] not in SHOWN_FRAMES <= set(CONDITIONS)


def test_frames_are_known_only_where_a_condition_sees_them(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path)
    settings, folder = FoldBases.of(plan), TrajectoryFolder(tmp_path / "trajectories")
    assert settings.shown is None
    assert known_frames(settings, None) == Known.of_rows(settings.environments)
    assert FoldBases.of(plan).conditions is None
    shown_frames = ShownFrames(data=plan.study.data, conditions=ConditionSettings(frames=FramesSettings(frames=3)))
    settings = settings.model_copy(update={"shown": shown_frames})
    ids = [settings.ids[2], settings.ids[0]]
    for id, known in zip(ids, known_frames(settings, folder, ids), strict=True):
        assert known.parameters == plan.table[id].parameters
        shown = folder.read([id], plan.study.data, "train", 3)[0, :1]
        assert torch.equal(_frames(known), shown)
    for id, known in zip(ids, training_known_of(settings, folder, ids), strict=True):
        trained = folder.read([id], plan.study.data, "train", plan.study.data.trained_frames)[0]
        assert torch.equal(_frames(known), trained)


ARCHITECTURE = {
    "kind": "fno", "channels": 1, "width": 4, "modes": [2, 2], "depth": 1, "projection": 4,
    "positional": False, "residual": True,
}  # fmt: skip
TRAINING = {"steps": 4, "learning_rate": 0.01}
PREDICTOR_TRAINING = TRAINING | {"unroll": 1, "batch": 2}


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> list[Known]:
    """Three environments of which frames are known; the kind that reads them is registered."""
    monkeypatch.setattr(conditions, "CONDITIONS", ("parameters", "mean-frame"))
    monkeypatch.setattr(conditions, "kind_of_condition", lambda name: MeanFrame)
    draws = torch.Generator().manual_seed(0)
    return [Known(frames=level + torch.randn(2, 3, 1, 6, 6, generator=draws)) for level in (-1.0, 0.0, 1.0)]


@pytest.mark.parametrize("settings", [PooledMap(), FilmMap(width=8), HypernetworkMap(width=8, rank=2)])
def test_another_kind_goes_the_whole_way(
    settings: PooledMap | FilmMap | HypernetworkMap, observed: list[Known], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    run, frames = Run(), torch.stack([_frames(known) for known in observed])
    condition = new_condition("mean-frame", observed)
    prepared = condition.prepare(observed)
    assert prepared.shape == (3, 1)
    module = build_predictor(ARCHITECTURE, seed=1)
    predictor = StackedPredictor(module)

    # A base: its condition is trained with it, saved with it and read with it.
    weight_map = build_weight_map(settings, condition, predictor.graph.read(module), predictor.graph)
    untrained = condition.layer.weight.detach().clone()
    pooled = PREDICTOR_TRAINING | {"environments": 3}
    train_weight_map(run, weight_map, predictor, frames, prepared, PooledTraining(**pooled), seed=0)
    is_told = not isinstance(settings, PooledMap)
    assert torch.equal(condition.layer.weight, untrained) != is_told
    base = BaseNetwork(
        weight_map,
        predictor,
        Normalisation((0.0,), (1.0,)),
        {
            "architecture": ARCHITECTURE,
            "normalisation": {"mean": [0.0], "scale": [1.0]},
            "condition": condition.describe(),
            "weight_map": describe_weight_map(settings, condition),
        },
    )
    base.save(tmp_path / "base.safetensors")
    base = BaseNetwork.load(tmp_path / "base.safetensors")
    weights = base.weights(observed)
    torch.testing.assert_close(weights, weight_map(prepared).detach())
    assert bool((weights[0] != weights[2]).any()) == is_told

    # A generator on it, with a condition of its own.
    vae = VAESettings(width=8, heads=2, layers=1, latent=4, batch=3, training=TRAINING)
    diffusion = DiffusionSettings(width=8, heads=2, layers=1, batch=3, sample_steps=2, training=TRAINING)
    metadata = {key: base.metadata[key] for key in ("architecture", "normalisation", "condition")} | {
        "vae": vae.model_dump(mode="json"),
        "diffusion": diffusion.model_dump(mode="json"),
        "origin": base.metadata["weight_map"],
        "seed": 0,
    }
    generator = new_generator(metadata, seed=0)
    generator.vae.origin = Origin.of(base, generator.condition)
    torch.testing.assert_close(generator.vae.origins(prepared), weights)
    members = torch.arange(3)
    zoo = weights + 0.1 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1))
    train_weight_vae(run, generator.vae, predictor, zoo, prepared, members, frames, vae, seed=0)
    with torch.no_grad():
        latents = generator.vae.encode(zoo, prepared)
    of_diffusion = generator.condition.layer.weight.detach().clone()
    train_latent_diffusion(run, generator.diffusion, latents, prepared, diffusion, seed=0)
    assert not torch.equal(generator.condition.layer.weight, of_diffusion)
    tuning = EndToEndSettings(environments=3, training=PREDICTOR_TRAINING)
    tune_end_to_end(run, generator, frames, prepared, tuning, seed=0)
    generator.save(tmp_path / "generator.safetensors")
    loaded = Generator.load(tmp_path / "generator.safetensors")
    noise = generator.draw_noise(3, seed=2)
    with torch.no_grad():
        assert torch.equal(loaded.weights(prepared, noise), generator.weights(prepared, noise))

    # A search for what is not known starts from what the condition says.
    if is_told:
        found = infer_environments(base.weight_map, predictor, frames[:1], condition.candidates())
        assert condition.named(found[0]).keys() == {"mean_0"}
