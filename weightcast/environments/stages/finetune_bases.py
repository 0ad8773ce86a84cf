"""The stage ``finetune_bases``: each base fine-tuned on the first frames of one trajectory of every unseen environment.

Where no environment is unseen, it is fine-tuned in all.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from weightcast.core.config.training import TrainingSettings
from weightcast.core.nets.sizes import STATES, kept_in_step, step_numbers
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import Rows, grouped
from weightcast.core.training import Fit
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditions import Known
from weightcast.environments.config.baselines import FinetuneSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluated_frames import compared
from weightcast.environments.jobs import FinetuneBases
from weightcast.environments.known import known_of
from weightcast.environments.losses import environment_loss, rollout_rmse
from weightcast.environments.missing_values import any_missing
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights, WeightsFile


@stage("finetune_bases")
def finetune_bases(
    run: Run, settings: FinetuneBases, bases: list[BaseNetwork], trajectories: TrajectoryFolder
) -> WeightsFile:
    """Choose steps and rate on visible environments, then fine-tune in the unseen ones.

    Args:
        run: whose device is used.
        settings: data, environments, candidates of steps and rates, names of the methods.
        bases: in the order of ``settings.methods``.
        trajectories: of all environments.
    """
    data, chosen_from = settings.data, settings.finetune
    visible = settings.with_role("visible")
    # Evenly spread over the table: neighbours in it are neighbours in parameters.
    spread = max(1, len(visible) // chosen_from.choosing_environments)
    chosen = visible[::spread][: chosen_from.choosing_environments]
    wanted = settings.with_role("interpolation", "extrapolation") or settings.ids
    seen, observed = (
        run.place(
            trajectories.read_roles(
                [settings.table[id] for id in ids], data, "train", data.with_history(chosen_from.frames), 1, inputs=True
            )[:, 0]
        )
        for ids in (chosen, wanted)
    )
    held_out = run.place(trajectories.read_choosing(chosen, data, data.trained_frames, inputs=True))
    held_out = compared(held_out, trajectories.land(chosen, data, device=run.device))
    known = {}
    for name, ids in (("chosen", chosen), ("wanted", wanted)):
        known[name] = known_of(settings, trajectories, ids)

    methods = []
    for base, name in zip(bases, settings.methods, strict=True):
        base.to(run.device)
        normalise, predictor = base.normalisation.apply, base.predictor
        steps, rate, choosing = choose_settings(
            run, base.weights(known["chosen"]), normalise(seen), normalise(held_out), predictor, chosen_from, name
        )
        print(f"{name}: {steps} steps at {rate:g}, chosen on {len(chosen)} visible environments", flush=True)
        weights, lost, seconds = _finetuned(
            run, base, known["wanted"], normalise(observed), steps, rate, f"{name} unseen"
        )
        diverged = [wanted[row] for row in lost]
        if diverged:
            print(f"{name}: diverged in {', '.join(diverged)}: the last finite weights are kept", flush=True)
        methods.append(
            MethodWeights(
                method=name,
                seed=0,
                environments=wanted,
                weights=grouped(weights, 1),
                train_seconds=base.metadata["seconds"] + choosing,
                adapt_seconds=seconds / len(wanted),
                parameters=weights.shape[1],
                diverged=diverged,
                normalisation=base.normalisation,
            )
        )
    return WeightsFile.of(methods, bases[0].shared | run.described())


def _finetuned(
    run: Run, base: BaseNetwork, known: Sequence[Known], observed: Tensor, steps: int, learning_rate: float, name: str
) -> tuple[Rows, list[int], float]:
    """Fine-tune a base in as many environments at once as memory holds: environments are independent of each other.

    Returns:
        Weights [environment, weight], positions of those that diverged, and the seconds that it took.
    """
    size, shape = base.predictor.graph.num_parameters, observed.shape
    step = step_numbers(kept_in_step(base.metadata["architecture"], shape[-2:]), size, shape[1] - 1, 1)
    together = run.together(STATES * size + step)
    tuned, lost, seconds = run.room(len(known), size), list[int](), 0.0
    for first in range(0, len(known), together):
        rows = slice(first, first + together)
        label = name if together >= len(known) else f"{name} from {first}"
        weights, result = finetune(
            run, base.weights(known[rows]), observed[rows], base.predictor, steps, learning_rate, label
        )
        tuned[first : first + len(weights)] = weights.cpu()
        lost += [first + row for row, is_lost in enumerate(result.diverged.tolist()) if is_lost]
        seconds += result.seconds
    return tuned, lost, seconds


def finetune(
    run: Run,
    start: Tensor,
    observed: Tensor,
    predictor: StackedPredictor,
    steps: int,
    learning_rate: float,
    name: str,
) -> tuple[Tensor, Fit]:
    """Fine-tune all environments at once on every consecutive pair of their observed frames.

    Args:
        run: whose device everything is on.
        start: [environment, weight].
        observed: normalised [environment, frame, channel, y, x].
        predictor: whose weights they are.
        steps: of the optimiser.
        learning_rate: its peak.
        name: of the training.

    Returns:
        Weights [environment, weight] and how it went; where it diverged, the last finite weights.
    """
    weights = start.clone().requires_grad_()
    pairs = torch.stack([observed[:, :-1], observed[:, 1:]], dim=2)  # [environment, pair, 2, channel, y, x]
    missing = any_missing(pairs)
    result = run.fit(
        [weights],
        lambda step: environment_loss(predictor.rollout_error(weights, pairs, missing)),
        TrainingSettings(steps=steps, learning_rate=learning_rate),
        name=f"{name}, {steps} steps at {learning_rate:g}",
        stacked=True,
        may_diverge=True,
    )
    return weights.detach(), result


def choose_settings(
    run: Run,
    start: Tensor,
    observed: Tensor,
    held_out: Tensor,
    predictor: StackedPredictor,
    settings: FinetuneSettings,
    name: str = "fine-tuning",
) -> tuple[int, float, float]:
    """The steps and learning rate with the least rollout error on other trajectories of visible environments.

    Args:
        run: whose device everything is on.
        start: weights of the visible environments to choose on [environment, weight].
        observed: their observed frames, normalised [environment, frame, channel, y, x].
        held_out: their validation frames, normalised [environment, trajectory, frame, channel, y, x].
        predictor: whose weights they are.
        settings: the candidates.
        name: of the method.

    Returns:
        Steps, learning rate, and the seconds that choosing took.
    """
    best, spent = (settings.steps[0], settings.learning_rates[0]), 0.0
    lowest = float("inf")
    for steps, rate in itertools.product(settings.steps, settings.learning_rates):
        weights, result = finetune(run, start, observed, predictor, steps, rate, f"{name} visible")
        spent += result.seconds
        error = rollout_rmse(weights, held_out, predictor)
        if error < lowest:
            lowest, best = error, (steps, rate)
    return best[0], best[1], spent
