"""The stage ``train_in_context``: a larger network that sees frames of an environment beside the state."""

from __future__ import annotations

from torch import Tensor

from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.baselines.in_context import (
    contexts,
    in_context_loss,
    observed_error,
    rollout_error,
    single_frames,
)
from weightcast.environments.conditions import new_condition
from weightcast.environments.conditions.condition import Known
from weightcast.environments.config.weight_map import PooledMap
from weightcast.environments.dataset import (
    TrainingFrames,
    TrajectoryFolder,
    any_trajectory,
)
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.jobs import TrainInContext
from weightcast.environments.missing_values import any_missing
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.train_base import record_environments
from weightcast.environments.weight_maps import build_weight_map


@stage("train_in_context")
def train_in_context(run: Run, settings: TrainInContext, trajectories: TrajectoryFolder) -> BaseNetwork:
    """Train one network on all visible environments together, each window with an observation of its environment."""
    record_environments(run, settings.ids)
    data, ids, chosen = settings.data, settings.ids, settings.in_context
    normalisation, frames, held_out, digest = TrainingFrames.read(run, trajectories, ids, data)
    single = single_frames(frames, data.history, data.layout.shown)
    space = FrameSpace.of(single)

    seed = derive_seed(settings.seed, "base", "in-context")
    wider = settings.predictor.model_copy(update={"width": chosen.width})
    architecture = describe_architecture(wider, len(data.channels), data.layout, data.history)
    architecture["constants"] = chosen.frames * len(data.channels)
    network = run.place(build_predictor(architecture, seed))

    def validation() -> Tensor:
        """Mean over environments, shown the first frames of a training trajectory."""
        fields = contexts(single[:, 0, : chosen.frames], chosen.frames, space, data.layout.shown)
        windows = held_out[:, :, : chosen.training.unroll + 1]
        rows = fields.repeat_interleave(windows.shape[1], 0)
        if any_missing(windows):
            return observed_error(network, windows, rows).mean(1).sqrt().mean()
        errors = rollout_error(network, windows.flatten(0, 1), rows)
        return errors.unflatten(0, windows.shape[:2]).mean(1).sqrt().mean()

    result = run.fit(
        list(network.parameters()),
        in_context_loss(
            network, frames, space, chosen.frames, chosen.training, settings.frames, seed, data.start_share
        ),
        chosen.training,
        name="in-context",
        validation=validation if any_trajectory(held_out) else None,
    )
    condition = new_condition("parameters", [Known(parameters={}) for _ in ids])  # told nothing but frames
    predictor = StackedPredictor(network.cpu())
    weight_map = build_weight_map(PooledMap(), condition, predictor.graph.read(network), predictor.graph)
    metadata = {
        "weight_map": describe_weight_map(PooledMap(), condition),
        "architecture": architecture,
        "normalisation": normalisation.metadata(),
        "condition": condition.describe(),
        "environments": ids,
        "seed": seed,
        "settings": settings.model_dump(mode="json", exclude={"environments"}),
        "data_digest": digest,
        "seconds": result.seconds,
        "metrics": {"last_loss": result.last_loss},
    }
    return BaseNetwork(weight_map, predictor, normalisation, metadata | run.described())
