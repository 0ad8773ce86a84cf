"""The stage ``roll_out_experts``: what published experts forecast in their own environments, as trajectories."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from weightcast.core.artifact_header import digest_of
from weightcast.core.errors import InputError
from weightcast.core.provenance import code_digest
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.evaluation import roll_out
from weightcast.environments.jobs import RollOutExperts
from weightcast.environments.made_trajectories import MadeFiles
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.published.reading import PublishedZoo
from weightcast.environments.trajectory_manifest import Manifest
from weightcast.trajectories import Trajectories, write_trajectories


@stage("roll_out_experts")
def roll_out_experts(run: Run, settings: RollOutExperts, published: PublishedZoo) -> Manifest:
    """Roll out one environment's expert after the other from its sample states, but for those whose files are there.

    A trajectory begins with a sample state, and goes on as the environment's last expert has it that did not diverge.
    Each file is written as soon as its environment is done, beside the output.

    Raises:
        InputError: an expert is not what the zoo's manifest says, or its forecasts are no numbers.
    """
    manifest = published.manifest
    shared = settings.model_dump(mode="json", exclude={"environments"})
    shared |= {"code": code_digest(__name__), "published": manifest.digest}
    made_from = {row.id: digest_of(shared | {"environment": row.text}) for row in settings.environments}
    files = MadeFiles(run.outputs["output"], made_from)
    experts, system = manifest.zoos[settings.base], manifest.system
    predictor = StackedPredictor.of_architecture(experts.architecture).to(run.device)
    normalisation = Normalisation.from_metadata(experts.normalisation.model_dump())
    weights, states = published.weights(settings.base), published.states()
    for row in settings.environments:
        if row.id in files:
            continue
        initial = run.place(states[manifest.ids.index(row.id)])
        judge = weights[[published.judge(settings.base, row.id)]]
        (forecast,) = roll_out(judge, initial[None], settings.data.frames - 1, predictor, normalisation)
        trajectories = Trajectories(
            values=_joined(initial, forecast, row.id),
            channels=tuple(system.channels),
            time=np.arange(settings.data.frames, dtype=np.float64) * system.frame_step,
            y=np.array(system.y),
            x=np.array(system.x),
            environment=row.id,
            parameters=row.parameters,
            units=system.units,
        )
        write_trajectories(files.path(row.id), trajectories)
        files.note(row.id)
    return files.manifest(settings.ids)


def _joined(initial: Tensor, forecast: Tensor, environment: str) -> np.ndarray:
    """First frames [trajectory, channel, y, x] and those that follow [trajectory, step, channel, y, x] as float32."""
    values = torch.cat([initial[:, None], forecast], 1).cpu()
    whole = torch.isfinite(values).flatten(2).all(2).all(0)  # [frame]
    if not bool(whole.all()):
        frames = int(whole.int().argmin())
        raise InputError(
            f"environment {environment}: found forecasts of its published expert that are no numbers from frame "
            f"{frames + 1} on, expected data.frames of at most {frames}, or a table without it"
        )
    return values.numpy()
