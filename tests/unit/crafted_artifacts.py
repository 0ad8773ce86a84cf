"""Files that somebody made who knows the format: artifacts with correct digests that say what no writer says.

As a script, a campaign: ``python tests/unit/crafted_artifacts.py [--random 1000] [--crafted 200] [--seed 0]`` damages
files at random and crafts others, and says of each kind of outcome how often it came, with time and memory.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from weightcast.cli.inspect_artifact import as_json, described
from weightcast.core.artifact_header import ArtifactHeader, metadata_digest
from weightcast.core.artifacts import _tensors_digest, load_artifact
from weightcast.core.errors import InputError
from weightcast.core.nets.build import build_predictor
from weightcast.core.training_curves import training_curves
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.weight_map import FilmMap, LinearMap
from weightcast.environments.context import Context
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.model import load_models, save_models
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.weight_maps import build_weight_map
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.environments.zoo import ExpertFile, ExpertShard, Zoo
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.flow import FlowArm, FlowSettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.flow_artifact import FlowArtifact
from weightcast.evolution.state_space import Counts
from weightcast.evolution.weight_path import WeightPath

ARCHITECTURE = {"kind": "mlp", "channels": 2, "width": 3, "depth": 1, "activation": "tanh", "residual": True}
NORMALISATION = Normalisation((0.5, -1.0), (2.0, 3.0))
CURVES = {"training": {"steps": [1, 2], "training": [0.5, None], "validated_steps": [], "validation": []}}
FEW = {"steps": 2, "learning_rate": 0.01}
SECONDS = 20
"""After which a file counts as one that hangs a reader."""


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
}

STRANGE: list[Any] = [
    *(None, True, -1, 0, 1, 2, 7, 10**6, 10**9, 10**12, 10**30, -(10**30), 0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "x" * 100_000, "\x1b[2J", "two\nlines", "\ud800", "../../etc/passwd", "mlp", "cuda:0", "1e400"),
    *([], {}, [1], [[]], {"a": 1}, [None], [float("nan")], [1e308, 1e308], [0.0, 0.0], ["a", "b"], list(range(5000))),
    *({"kind": "fno"}, {"kind": "unet", "levels": 60}, {"kind": "parameters"}, {"kind": "code", "dimensions": 10**9}),
]
"""Values that stand in the place of others."""


def write_valid(folder: Path) -> dict[str, Path]:
    """A small artifact of every kind that is read for use, by kind."""
    known = [Known(parameters={"beta": beta, "D": 0.5}) for beta in (0.5, 1.0, 1.5)]
    condition = new_condition("parameters", known)
    predictor = StackedPredictor(build_predictor(dict(ARCHITECTURE)))
    weights = predictor.graph.read(predictor.module).detach()
    shared = {
        "architecture": ARCHITECTURE,
        "normalisation": NORMALISATION.metadata(),
        "condition": condition.describe(),
    }
    trained = {"seed": 0, "seconds": 1.5, "curves": CURVES, "metrics": {"last_loss": 0.1}}
    paths = {kind: folder / f"{kind}.safetensors" for kind in READERS}

    weight_map = build_weight_map(FilmMap(width=4), condition, weights, predictor.graph)
    described_map = describe_weight_map(FilmMap(width=4), condition)
    ids = ["a", "b", "c"]
    of_base = shared | trained | {"weight_map": described_map, "environments": ids}
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
    made = shared | trained | {"arm": "paper", "seconds_before": 2.0, "origin": described_map}
    made |= {"vae": sizes | {"latent": 2}, "diffusion": sizes | {"noise_steps": 10, "sample_steps": 2}}
    generator = new_generator(made, 0)
    generator.save(paths["generator"])
    TrainedVae(generator.vae, generator.condition, predictor, made).save(paths["vae"])

    density = StackedDensity.new(DensitySettings(hidden=3), Counts(4, 2), seed=0)
    times = np.array([0.0, 1.0, 3.0])
    path = torch.stack([density.initial_weights(seed) for seed in range(3)])
    of_times = trained | {"times": times.tolist(), "dimensions": ["S", "I"]}
    Anchors(times, path, density, of_times | {"anchors": "joint"}).save(paths["anchors"])
    arm = FlowArm(dynamics="ode", anchors="joint")
    plain = {
        "arms": {"a": arm},
        "width": 8,
        "heads": 2,
        "layers": 1,
        "anchor_training": FEW,
        "likelihood_training": FEW,
    }
    settings = FlowSettings.model_validate(plain)
    grid = torch.tensor([0.0, 1 / 3, 1.0])
    flow = WeightFlow(path, grid, density.graph, settings, None, from_anchors=True)
    FlowArtifact(flow, density, arm, settings, of_times | {"arm": "a"}).save(paths["flow"])
    return paths


@dataclass
class Crafted:
    """What a file is to hold; digests are computed when it is written."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, path: Path) -> Crafted:
        artifact = load_artifact(path)
        metadata = deepcopy(artifact.metadata)
        for file in metadata.get("files", []):  # wherever the manifest is written
            file["file"] = str(path.parent / file["file"])
        return cls(dict(artifact.tensors), metadata)

    def write(self, path: Path) -> None:
        """Write with correct digests, and a correct count of numbers unless that is what was crafted."""
        metadata = dict(self.metadata)
        files = metadata.get("files")
        digests = [file for file in files if _has_digest(file)] if isinstance(files, list) else []
        metadata["tensors_digest"] = _tensors_digest(self.tensors, digests)
        metadata["digest"] = metadata_digest(metadata)
        save_file(self.tensors, path, metadata={"weightcast": json.dumps(metadata, sort_keys=True)})


def _has_digest(file: Any) -> bool:
    return isinstance(file, dict) and "tensors_digest" in file and isinstance(file["tensors_digest"], str)


def places_of(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every value inside of a value."""
    entries = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    found = [(*place, key) for key, _ in entries]
    for key in [one[-1] for one in found]:
        found += places_of(value[key], (*place, key))
    return found


def replace_value(crafted: Crafted, place: tuple[Any, ...], value: Any) -> None:
    """Put another value where one is; ``KeyError`` as a type takes it away."""
    around: Any = crafted.metadata
    for key in place[:-1]:
        around = around[key]
    if value is KeyError:
        del around[place[-1]]
    else:
        around[place[-1]] = value


def nested(depth: int) -> Any:
    """Lists inside of lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def bend_tensor(crafted: Crafted, name: str, how: str) -> None:
    """Change one tensor in a way that has a name."""
    tensor = crafted.tensors[name].clone()
    first = tensor.reshape(-1)[:1]
    match how:
        case "nan" | "inf" | "huge":
            first.fill_({"nan": torch.nan, "inf": torch.inf, "huge": 3e38}[how])
        case "half" | "bfloat16" | "int8" | "int64" | "bool" | "double":
            types = {"half": torch.half, "int8": torch.int8, "int64": torch.int64, "bool": torch.bool}
            tensor = tensor.to(types.get(how) or {"bfloat16": torch.bfloat16, "double": torch.double}[how])
        case "flat":
            tensor = tensor.reshape(-1)
        case "scalar":
            tensor = torch.tensor(1.0)
        case "empty":
            tensor = torch.zeros(0)
        case "long":
            tensor = torch.zeros(0, 10**15)
        case "longer":
            tensor = torch.cat([tensor.reshape(-1), torch.ones(3)])
        case "axis":
            tensor = tensor[None]
        case "gone":
            del crafted.tensors[name]
            crafted.metadata["numbers"] = sum(one.numel() for one in crafted.tensors.values())
            return
        case "renamed":
            crafted.tensors["x" * 300] = crafted.tensors.pop(name)
            return
    crafted.tensors[name] = tensor.contiguous()
    crafted.metadata["numbers"] = sum(one.numel() for one in crafted.tensors.values())


BENDS = (
    *("nan", "inf", "huge", "half", "bfloat16", "int8", "int64", "bool", "double", "flat", "scalar", "empty", "long"),
    *("longer", "axis", "gone", "renamed"),
)


def outcome(path: Path, kind: str) -> str:
    """What comes of reading a file in every way there is: ``refused`` or ``loaded``.

    Raises:
        AssertionError: refused in more than one line, or without the file's name, or loaded to other numbers than the
            file has, or to some that are none.
        Exception: whatever else a reader ends in, which is a defect.
    """
    try:
        header = ArtifactHeader.load(path)
        artifact = load_artifact(path)
        training_curves([header])
        for _, text in described(artifact):
            text.encode()
        json.dumps(as_json(artifact)).encode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = READERS[kind](path)
    except InputError as error:
        said = str(error)
        assert "\n" not in said and str(path) in said and len(said) < 2000, said
        said.encode()
        return "refused"
    for name, tensor in artifact.tensors.items():
        assert bool(torch.isfinite(tensor).all()), name
    _same_numbers(made, artifact.tensors)
    return "loaded"


def _same_numbers(made: Any, tensors: Mapping[str, Tensor]) -> None:
    """What was made of a file has the file's numbers."""
    if isinstance(made, BaseNetwork):
        found = made.weight_map.state_dict() | dict(made.further)
    elif isinstance(made, Generator):
        found = {f"vae.{name}": tensor for name, tensor in made.vae.state_dict().items()}
        found |= {f"diffusion.{name}": tensor for name, tensor in made.diffusion.state_dict().items()}
    elif isinstance(made, TrainedVae):
        found = made.vae.state_dict()
    elif isinstance(made, WeightPath):
        found = made.flow.state_dict()
    elif isinstance(made, Zoo):
        assert bool(torch.isfinite(made.weights[:]).all())
        return
    elif isinstance(made, Tensor):
        found = {"weights": made}
    elif isinstance(made, Anchors):
        found = {"weights": made.weights}
    elif isinstance(made, WeightsFile):
        found = {method.key: method.weights[:] for method in made.methods}
    else:
        return
    for name, tensor in found.items():
        assert torch.equal(tensor.double(), tensors[name].double()), name


def damage(content: bytes, draws: random.Random) -> bytes:
    """Bytes that were changed, cut off, inserted or added at random."""
    changed = bytearray(content)
    match draws.randrange(6):
        case 0:
            changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
        case 1:
            del changed[draws.randrange(len(changed)) :]
        case 2:
            first = draws.randrange(len(changed))
            for place in range(first, min(len(changed), first + draws.randrange(1, 4000))):
                changed[place] = 0
        case 3:
            changed += draws.randbytes(draws.randrange(1, 4000))
        case 4:
            first = draws.randrange(len(changed))
            changed[first:first] = draws.randbytes(draws.randrange(1, 50))
        case 5:
            for _ in range(draws.randrange(1, 30)):
                changed[draws.randrange(len(changed))] = draws.randrange(256)
    return bytes(changed)


def craft(crafted: Crafted, draws: random.Random) -> str:
    """Change something at random; what, in words."""
    if crafted.tensors and draws.random() < 0.3:
        name, how = draws.choice(sorted(crafted.tensors)), draws.choice(BENDS)
        bend_tensor(crafted, name, how)
        return f"tensor {name} {how}"
    place = draws.choice(places_of(crafted.metadata))
    value = draws.choice([*STRANGE, KeyError, nested(draws.randrange(2, 3000))])
    replace_value(crafted, place, value)
    said = f"nested {type(value).__name__}" if isinstance(value, list | dict) else repr(value)[:40]
    return f"{'.'.join(map(str, place))} = {said}"


def campaign(damaged: int, crafted: int, seed: int) -> int:
    """Damage and craft files; print what came of them, and return how many ended in anything but one line."""
    draws, defects = random.Random(seed), 0

    def hangs(number: int, frame: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, hangs)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_valid(Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for what, count in (("damaged", damaged), ("crafted", crafted)):
            outcomes: Counter[str] = Counter()
            slowest = 0.0
            for _ in range(count):
                kind = draws.choice(sorted(paths))
                path = Path(folder, f"{what}.safetensors")  # beside the others, where manifests find their files
                if what == "damaged":
                    path.write_bytes(damage(paths[kind].read_bytes(), draws))
                    said = "bytes"
                else:
                    one = Crafted.of(paths[kind])
                    said = craft(one, draws)
                    try:
                        one.write(path)
                    except (RecursionError, UnicodeEncodeError):  # cannot be written either
                        continue
                started = time.monotonic()
                signal.alarm(SECONDS)
                try:
                    outcomes[outcome(path, kind)] += 1
                except Exception as error:
                    defects += 1
                    outcomes["defect"] += 1
                    print(f"{kind}: {said}: {type(error).__name__}: {str(error)[:300]}")
                finally:
                    signal.alarm(0)
                slowest = max(slowest, time.monotonic() - started)
            print(f"{count} {what}: {dict(outcomes)}, slowest {slowest:.2f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"peak memory {peak / 1024:.0f} MB, of which {before / 1024:.0f} MB before the first file")
    return defects


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=1000)
    parser.add_argument("--crafted", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    sys.exit(1 if campaign(told.random, told.crafted, told.seed) else 0)
