"""The stage ``train_base``: a weight map on all visible environments, through the predictor's own rollout error."""

from __future__ import annotations

import json

import torch
from torch import Tensor

from weightcast.core.config.training import PooledTraining
from weightcast.core.files import written_whole
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.core.training import Fit
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.conditions import new_condition
from weightcast.environments.dataset import Normalisation, TrajectoryFolder, any_trajectory, tensor_digest
from weightcast.environments.examples import Examples
from weightcast.environments.jobs import TrainBase
from weightcast.environments.known import known_of, training_known_of
from weightcast.environments.losses import held_out_errors, pooled_loss
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import WeightMap, build_weight_map


@stage("train_base")
def train_base(run: Run, settings: TrainBase, trajectories: TrajectoryFolder) -> BaseNetwork:
    """Train a pooled network, a conditioned one or a hypernetwork on all visible environments together."""
    record_environments(run, settings.ids)
    data, ids = settings.data, settings.ids
    physical = trajectories.read(ids, data, "train", data.trained_frames)
    normalisation = Normalisation.of(physical)
    known, taught = known_of(settings, trajectories), training_known_of(settings, trajectories)
    condition = new_condition(settings.condition, taught, settings.logarithmic_parameters, settings.conditions)

    seed = derive_seed(settings.seed, "base", settings.weight_map.kind)
    architecture = describe_architecture(settings.predictor, len(data.channels))
    module = build_predictor(architecture, seed)
    predictor = StackedPredictor(module)
    with run.initialised(derive_seed(seed, "map")):
        weight_map = build_weight_map(settings.weight_map, condition, predictor.graph.read(module), predictor.graph)

    held_out = trajectories.read(ids, data, "validation", data.trained_frames)
    predictor = predictor.on(run)
    result = train_weight_map(
        run,
        run.place(weight_map),
        predictor,
        run.place(normalisation.apply(physical)),
        run.place(condition.prepare(known)),
        settings.training,
        seed,
        held_out=run.place(normalisation.apply(held_out)),
        name=run.outputs["output"].stem if run.outputs else settings.weight_map.kind,
        examples=None if settings.weight_map.kind == "pooled" else Examples.of(run, condition, taught),
        start_share=data.start_share,
    )
    metadata = {
        "weight_map": describe_weight_map(settings.weight_map, condition),
        "architecture": architecture,
        "normalisation": normalisation.metadata(),
        "condition": condition.describe(),
        "environments": ids,
        "seed": seed,
        "settings": settings.model_dump(mode="json", exclude={"environments"}),
        "data_digest": tensor_digest(physical),
        "seconds": result.seconds,
        "metrics": {"last_loss": result.last_loss},
    }
    return BaseNetwork(weight_map, predictor, normalisation, metadata | run.described())


def train_weight_map(
    run: Run,
    weight_map: WeightMap,
    predictor: StackedPredictor,
    frames: Tensor,
    prepared: Tensor,
    settings: PooledTraining,
    seed: int,
    held_out: Tensor | None = None,
    name: str = "weight map",
    examples: Examples | None = None,
    start_share: float = 0.0,
) -> Fit:
    """Train a weight map in place.

    Args:
        run: whose device everything is on.
        weight_map: coordinates [environment, coordinate] -> weights [environment, weight].
        predictor: whose weights they are.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        prepared: coordinates of the environments [environment, coordinate].
        settings: steps, rate, unroll, batch, environments a step.
        seed: of the draws.
        held_out: normalised validation frames of the same environments, for the curve.
        name: of the training.
        examples: what its steps are shown of the environments; ``prepared`` in every step if None.
        start_share: of the windows that begin with a trajectory's first frame (`DataSettings.start_share`).
    """
    shown = examples or Examples(None, prepared)

    def validation() -> Tensor:
        assert held_out is not None
        return held_out_errors(weight_map(prepared), predictor, held_out, settings.unroll).mean()

    def loss(step: int) -> Tensor:
        auxiliary = []

        def weights_of(chosen: Tensor) -> Tensor:
            drawn = shown.draw(chosen, run.draws(seed, "condition", step))
            auxiliary.append(shown.auxiliary_loss(drawn, chosen))
            return weight_map(drawn)

        total = pooled_loss(weights_of, predictor, frames, settings, seed, start_share)(step)
        return total + torch.stack(auxiliary).sum()

    trained = [parameter for parameter in weight_map.parameters() if parameter.requires_grad]
    return run.fit(trained, loss, settings, name=name, validation=validation if any_trajectory(held_out) else None)


def record_environments(run: Run, ids: list[str]) -> None:
    """Note which environments this base is trained on (`weightcast.environments.plan.base_record`), before anything
    else: a kill must not change what the next run trains on."""
    if run.outputs:
        output = run.outputs["output"]
        with written_whole(output.with_name(f".{output.stem}.environments.json")) as partial:
            partial.write_text(json.dumps(ids), encoding="utf-8")
