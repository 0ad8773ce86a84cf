"""The stage ``train_base``: a weight map on all visible environments, through the predictor's own rollout error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from weightcast.core.config.training import PooledTraining
from weightcast.core.files import written_whole
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.sizes import kept_in_step, step_numbers
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.share import Share
from weightcast.core.stage import stage
from weightcast.core.training import Fit
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.conditions import new_condition
from weightcast.environments.config.weight_map import AnyWeightMap
from weightcast.environments.config.zoo import MapChoiceSettings
from weightcast.environments.dataset import (
    TrainingFrames,
    TrajectoryFolder,
    any_trajectory,
)
from weightcast.environments.evaluated_frames import compared
from weightcast.environments.examples import Examples
from weightcast.environments.jobs import TrainBase
from weightcast.environments.known import known_of, training_known_of
from weightcast.environments.losses import errors_of_environments, pooled_loss
from weightcast.environments.map_choice import MapChoice, choose_map
from weightcast.environments.map_errors import forecast_errors
from weightcast.environments.missing_values import WindowStarts
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import WeightMap, build_weight_map


@stage("train_base")
def train_base(run: Run, settings: TrainBase, trajectories: TrajectoryFolder) -> BaseNetwork:
    """Train a pooled network, a conditioned one or a hypernetwork on all visible environments together; where there are
    several to choose from, the kind that serves left-out visible environments best."""
    record_environments(run, settings.ids)
    training = _Training(run, settings, trajectories)
    name = run.outputs["output"].stem if run.outputs else settings.weight_map.kind
    chosen, how, choice = settings.weight_map, settings.training, None
    if settings.choice is not None:
        kinds: dict[str, tuple[AnyWeightMap, PooledTraining]] = {
            one.kind: (one, of_one) for one, of_one in ((chosen, how), *settings.rivals)
        }
        choice = training.choose(kinds, settings.choice, name)
        chosen, how = kinds[choice.chosen]
    trained = training.train(chosen, how, name)
    metadata = {
        "weight_map": describe_weight_map(chosen, training.condition),
        "architecture": training.architecture,
        "normalisation": training.normalisation.metadata(),
        "condition": training.condition.describe(),
        "environments": settings.ids,
        "seed": trained.seed,
        "settings": settings.model_dump(mode="json", exclude={"environments"}),
        "data_digest": training.digest,
        "seconds": training.seconds,
        "metrics": {"last_loss": trained.fit.last_loss},
    }
    if choice is not None:
        metadata["choice"] = choice.metadata(settings.ids)
    return BaseNetwork(trained.weight_map, trained.predictor, training.normalisation, metadata | run.described())


@dataclass(frozen=True)
class _Trained:
    """A weight map, the predictor whose weights it gives, the seed of both, and how the training went."""

    weight_map: WeightMap
    predictor: StackedPredictor
    seed: int
    fit: Fit


class _Training:
    """What all trainings of the stage share: data, and what is known of the environments."""

    def __init__(self, run: Run, settings: TrainBase, trajectories: TrajectoryFolder) -> None:
        self.run, self.settings = run, settings
        data, ids = settings.data, settings.ids
        self.normalisation, self.frames, self.held_out, self.digest = TrainingFrames.read(run, trajectories, ids, data)
        self.land = trajectories.land(ids, data, device=run.device)
        known, self.taught = known_of(settings, trajectories), training_known_of(settings, trajectories)
        self.condition = new_condition(
            settings.condition, self.taught, settings.logarithmic_parameters, settings.conditions
        )
        self.prepared = run.place(self.condition.prepare(known))
        self.architecture = describe_architecture(settings.predictor, len(data.channels), data.layout, data.history)
        self.seconds = 0.0  # of all trainings

    def train(
        self, chosen: AnyWeightMap, how: PooledTraining, name: str, rows: Sequence[int] | None = None
    ) -> _Trained:
        """A map of a kind, on all environments or on some, by position."""
        run, seed = self.run, derive_seed(self.settings.seed, "base", chosen.kind)
        module = build_predictor(self.architecture, seed)
        predictor = StackedPredictor(module)
        with run.initialised(derive_seed(seed, "map")):
            weight_map = build_weight_map(chosen, self.condition, predictor.graph.read(module), predictor.graph)
        predictor, some = predictor.on(run), list(range(len(self.taught)) if rows is None else rows)
        taught = [self.taught[one] for one in some]
        kept = kept_in_step(self.architecture, self.settings.data.grid)
        fit = train_weight_map(
            run,
            run.place(weight_map),
            predictor,
            self.frames if rows is None else self.frames[some],
            self.prepared[some],
            how,
            seed,
            held_out=self.held_out[some],
            name=name,
            examples=None if chosen.kind == "pooled" else Examples.of(run, self.condition, taught),
            start_share=self.settings.data.start_share,
            at_once=run.together(step_numbers(kept, predictor.graph.num_parameters, how.batch, how.unroll)),
        )
        self.seconds += fit.seconds
        return _Trained(weight_map, predictor, seed, fit)

    def choose(
        self, kinds: Mapping[str, tuple[AnyWeightMap, PooledTraining]], settings: MapChoiceSettings, name: str
    ) -> MapChoice:
        """The kind that left-out environments choose after short trainings."""

        def forecast(kind: str, rows: Sequence[int], judges: Sequence[int]) -> Tensor:
            of_kind, how = kinds[kind]
            short = how.model_copy(update={"steps": min(settings.steps, how.steps)})
            trained = self.train(of_kind, short, f"{name} choice {kind}", rows)
            with torch.no_grad():
                weights = trained.weight_map(self.prepared[judges])
            land = None if self.land is None else self.land[list(judges)]
            return forecast_errors(weights, trained.predictor, compared(self.frames[judges], land))

        draws = self.run.draws(derive_seed(self.settings.seed, "base", "choice"), "left out")
        choice = choose_map(list(kinds), forecast, self.prepared, settings.left_out, draws)
        print(f"{name}: {choice.chosen}, chosen on {choice.judges} left-out visible environments", flush=True)
        return choice


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
    at_once: int | None = None,
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
        at_once: environments of a step that are computed with at once; None: all.
    """
    shown, starts = examples or Examples(None, prepared), WindowStarts(frames)

    def validation() -> Tensor:
        assert held_out is not None
        return errors_of_environments(
            lambda rows: weight_map(prepared[rows]), predictor, held_out, settings.unroll, at_once
        ).mean()

    def loss(share: Share, step: int) -> Tensor:
        auxiliary = []

        def weights_of(chosen: Tensor) -> Tensor:
            drawn = shown.draw(chosen, share.draws(run.draws(seed, "condition", step)))
            auxiliary.append(shown.auxiliary_loss(drawn, chosen))
            return weight_map(drawn)

        total = pooled_loss(weights_of, predictor, frames, settings, seed, start_share, share, starts)(step)
        return share.weight * (total + torch.stack(auxiliary).sum())

    trained = [parameter for parameter in weight_map.parameters() if parameter.requires_grad]
    losses = [partial(loss, piece) for piece in Share.all_of(min(settings.environments, len(frames))).pieces(at_once)]
    return run.fit(trained, losses, settings, name=name, validation=validation if any_trajectory(held_out) else None)


def record_environments(run: Run, ids: list[str]) -> None:
    """Note which environments this base is trained on (`weightcast.environments.plan.base_record`), before anything
    else: a kill must not change what the next run trains on."""
    if run.outputs:
        output = run.outputs["output"]
        with written_whole(output.with_name(f".{output.stem}.environments.json")) as partial:
            partial.write_text(json.dumps(ids), encoding="utf-8")
