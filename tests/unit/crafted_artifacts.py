"""Files that somebody made who knows the format: artifacts with correct digests that say what no writer says.

As a script, a campaign: ``python tests/unit/crafted_artifacts.py [--random 1000] [--crafted 200] [--seed 0]`` damages
files at random and crafts others, and says of each kind of outcome how often it came, with time and memory.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from valid_artifacts import READERS, write_valid

from weightcast.cli.inspect_artifact import as_json, described
from weightcast.core.artifact_header import ArtifactHeader, metadata_digest
from weightcast.core.artifacts import _tensors_digest, load_artifact
from weightcast.core.errors import InputError
from weightcast.core.training_curves import training_curves
from weightcast.environments.base import BaseNetwork
from weightcast.environments.generator import Generator
from weightcast.environments.labels import Labels
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.weights_table import WeightsFile
from weightcast.environments.zoo import Zoo
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.baselines.flow_matching import FlowMatching
from weightcast.evolution.couplings import Couplings
from weightcast.evolution.weight_path import WeightPath
from weightcast.families.baselines.conditional_flow import ConditionalFlow
from weightcast.families.trained_family import TrainedFamily

SECONDS = 20
"""After which a file counts as one that hangs a reader."""


STRANGE: list[Any] = [
    *(None, True, -1, 0, 1, 2, 7, 10**6, 10**9, 10**12, 10**30, -(10**30), 0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "x" * 100_000, "\x1b[2J", "two\nlines", "\ud800", "../../etc/passwd", "mlp", "cuda:0", "1e400"),
    *([], {}, [1], [[]], {"a": 1}, [None], [float("nan")], [1e308, 1e308], [0.0, 0.0], ["a", "b"], list(range(5000))),
    *({"kind": "fno"}, {"kind": "unet", "levels": 60}, {"kind": "parameters"}, {"kind": "code", "dimensions": 10**9}),
]
"""Values that stand in the place of others."""


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
    elif isinstance(made, TrainedFamily):
        numbers = (made.first, made.last, made.widened, *vars(made.inflation).values())
        assert made.first < made.last and all(map(_is_number, numbers)), numbers
        found = {"codes": made.codes, "parameters": made.parameters}
        for place, one in enumerate(made.members):
            before = f"further.{place}." if place else ""
            found |= {f"{before}map.{name}": tensor for name, tensor in one.map.state_dict().items()}
            assert one.prior.mean.isfinite().all()
    elif isinstance(made, ConditionalFlow):
        numbers = (made.first, made.last, made.guidance, *made.deviation.tolist())
        assert made.first < made.last and min(made.deviation) > 0 and all(map(_is_number, numbers)), numbers
        found = {f"field.{name}": tensor for name, tensor in made.field.state_dict().items()}
    elif isinstance(made, FlowMatching):
        assert min(np.diff(made.times)) > 0 and min(made.deviation) > 0 and _is_number(made.seconds)
        found = {f"field.{name}": tensor for name, tensor in made.field.state_dict().items()}
    elif isinstance(made, Labels):
        found = {"labels": made.labels, "distances": made.distances}
        assert _is_number(made.seconds) and made.of(made.environments[0]).shape == made.labels.shape[1:]
    elif isinstance(made, Couplings):
        assert min(np.diff(made.times)) > 0 and all(np.isfinite(one.growth).all() for one in made.pairs)
        found = {"start": torch.from_numpy(np.concatenate([one.start for one in made.pairs]))}
    elif isinstance(made, WeightsFile):
        found = {method.key: method.weights[:] for method in made.methods}
    else:
        return
    for name, tensor in found.items():
        assert torch.equal(tensor.double(), tensors[name].double()), name


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


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
