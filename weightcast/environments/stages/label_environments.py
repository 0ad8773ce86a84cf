"""The stage ``label_environments``: surrogate labels of the visible environments, from a zoo, and their regression."""

from __future__ import annotations

import time

import torch

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.deviations import COPIES
from weightcast.environments.frame_features import FrameFeatures, pooled_frames
from weightcast.environments.jobs import LabelEnvironments
from weightcast.environments.known import training_known_of
from weightcast.environments.labels import Labels, functional_distances, label_condition, principal_labels
from weightcast.environments.missing_values import any_missing
from weightcast.environments.training_zoo import TrainingZoo
from weightcast.environments.zoo import Zoo


@stage("label_environments")
def label_environments(
    run: Run, settings: LabelEnvironments, zoo: Zoo, base: BaseNetwork, trajectories: TrajectoryFolder
) -> Labels:
    """Run every environment's first healthy expert on every environment's states.

    Args:
        run: whose device is used.
        settings: components, states, observations.
        zoo: experts of the visible environments.
        base: that they started from.
        trajectories: of these environments.
    """
    started = time.monotonic()
    assert settings.shown is not None  # a study with labels sees frames
    training = TrainingZoo.of(zoo, settings, trajectories)
    known = training_known_of(settings, trajectories, training.environments)
    frames = pooled_frames(known)
    first = [int((training.environment_of == row).nonzero()[0]) for row in range(len(training.environments))]
    seed = derive_seed(settings.seed, "labels")
    draws = run.draws(seed)
    normalised = list(training.frames(trajectories, settings.shown.data).flatten(1, 2))
    count = settings.shown.conditions.label.states
    normalised = [each[torch.isfinite(each).flatten(1).all(1)] if any_missing(each) else each for each in normalised]
    states = torch.stack([each[draws.integers(len(each), count).cpu()] for each in normalised])
    predictor, experts = base.predictor.to(run.device), training.zoo.take(first).weights
    together = run.together(COPIES * predictor.graph.num_parameters)
    distances = functional_distances(experts, run.place(states), predictor, together).cpu()
    labels, shares = principal_labels(distances, settings.shown.conditions.label.components)
    features = FrameFeatures.of(known, settings.shown.conditions.frames)
    from_observations = Run().draws(seed, "observations")
    condition, choice = label_condition(frames, features, labels, settings.shown.conditions, from_observations)
    metadata = {
        "base": settings.base,
        "zoo_digest": zoo.metadata["digest"],
        "shares": shares.tolist(),
        "regression": choice,
        "seconds": time.monotonic() - started,
    }
    return Labels(training.environments, labels, distances, condition, metadata | run.described())
