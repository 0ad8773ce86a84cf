"""A study that has a zoo of experts, small enough for unit tests, as it lies on disk after its stage ``zoo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_study import CHANNELS, ROWS, tiny_config, write_config, write_data, write_table

from weightcast.core.artifacts import save_artifact
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.environments.config.load import parse_study
from weightcast.environments.dataset import TrajectoryFolder, tensor_digest
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.zoo import Zoo

MEMBERS = 3
NORMALISATION = {"mean": [0.1, -0.1], "scale": [1.0, 2.0]}
VISIBLE = [id for id, role, _ in ROWS if role == "visible"]


def write_zoo_study(folder: Path, bases: tuple[str, ...] = ("erm", "conditioned")) -> Path:
    """``folder``/results/tiny with experts of three visible environments, of which one has diverged, beside
    ``folder``/data/tiny with trajectories. Experts lie about one network, farther from each other in parameters than
    within an environment."""
    config: dict[str, Any] = tiny_config(folder)
    config["zoo"] |= {"bases": list(bases), "members": MEMBERS}
    config["generator"]["arms"] = {base: {"base": base, "end_to_end": False} for base in bases}
    results = folder / "results" / "tiny"
    results.mkdir(parents=True)
    write_config(results / "config.yaml", config)
    write_table(results / "environments.csv")
    write_data(folder / "data" / "tiny" / "trajectories")
    data = parse_study(config).data
    trajectories = TrajectoryFolder(folder / "data" / "tiny" / "trajectories")
    digests = {id: tensor_digest(trajectories.read([id], data, "train", data.trained_frames)[0]) for id in VISIBLE}
    architecture = describe_architecture(parse_study(config).predictor, len(CHANNELS))
    predictor = StackedPredictor(build_predictor(dict(architecture)))
    middle = predictor.graph.read(predictor.module)
    random = torch.Generator().manual_seed(0)
    for base in bases:
        direction = 0.05 * torch.randn(len(middle), generator=random)
        weights, manifest = [], []
        for place, id in enumerate(VISIBLE):
            for member in range(MEMBERS):
                weights.append(middle + (place - 1) * direction + 0.01 * torch.randn(len(middle), generator=random))
                manifest.append(
                    {
                        "environment": id,
                        "member": member,
                        "seed": 10 * place + member,
                        "diverged": (id, member) == ("high", 2),
                        "train_error": 0.1 + 0.01 * member,
                        "validation_error": None if (id, member) == ("high", 2) else 0.2 + 0.01 * place,
                        "seconds": 1.5,
                        "data_digest": digests[id],
                    }
                )
        shared = {"architecture": architecture, "normalisation": NORMALISATION, "base": "pooled", "study_seed": 0}
        Zoo(torch.stack(weights), manifest, shared).save(results / "zoo" / f"{base}.safetensors")
        save_artifact(results / "base" / f"{base}.safetensors", "base", {"weights": middle}, shared | {"seconds": 2.5})
    return results
