"""Second-order training of codes and a linear map on trajectories: windows that grow to whole rollouts, a penalty.

A first-order training on rollouts of a stiff system gets nowhere: what its first steps did wrong hides what its last
ones should learn. Windows of one step are as good as a regression, whose bottom Levenberg-Marquardt finds from
nearly anywhere; longer ones begin where those ended (multiple shooting; Bock, 1981). Measured: docs/adaptation.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.run import Run
from weightcast.environments.code_training import TrainedCodes
from weightcast.environments.conditions.codes import CodeCondition
from weightcast.environments.config.context import PolishSettings
from weightcast.environments.inputs import held
from weightcast.environments.polish import LinearContext, Polish, Tried, try_penalties
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.rollout_jacobian import rollout, rollout_jacobian
from weightcast.environments.weight_maps import LinearWeights


@dataclass(frozen=True)
class SecondOrderTraining:
    """Trainings in place, in double precision.

    Attributes:
        run: that they are part of.
        predictor: whose weights are trained.
        settings: of the section ``context.polish``.
    """

    run: Run
    predictor: StackedPredictor
    settings: PolishSettings

    def begin(self, trained: TrainedCodes, frames: Tensor, penalty: float | None = None) -> None:
        """Windows that grow, up to what the settings have of them.

        Args:
            trained: what is trained.
            frames: normalised, of its environments [environment, trajectory, frame, channel, y, x].
            penalty: on weights and codes; the middle one of those to choose from if None.
        """
        whole = frames.shape[2] - 1
        penalties = sorted(self.settings.penalties)
        penalty = penalty or penalties[len(penalties) // 2]
        for part in self.settings.begin:
            if part.steps < whole:
                windows = shorter_windows(frames, part.steps)
                self._train(trained, windows, penalty, part.iterations)

    def finish(self, trained: TrainedCodes, frames: Tensor, penalty: float) -> int:
        """Whole rollouts; how many iterations helped."""
        return self._train(trained, frames, penalty, self.settings.iterations)

    def try_penalties(self, trained: TrainedCodes, frames: Tensor, judge: Callable[[], float]) -> list[Tried]:
        """What each penalty leads to, from the greatest to the least.

        Args:
            trained: where trainings begin.
            frames: trained on.
            judge: error of what ``trained`` has become, on what it was not trained on.
        """

        def judged(context: LinearContext) -> float:
            self.take(trained, context)
            return judge()

        return try_penalties(
            self.run,
            _read(trained),
            self._residual,
            frames.double(),
            judged,
            self.settings.penalties,
            self.settings.choosing_iterations,
            self._jacobian,
        )

    @torch.no_grad()
    def take(self, trained: TrainedCodes, context: LinearContext) -> None:
        """Set what is trained to these numbers."""
        weight_map, condition = trained.weight_map, trained.weight_map.condition
        assert isinstance(weight_map, LinearWeights) and isinstance(condition, CodeCondition)
        weight_map.weights.copy_(context.mean)
        weight_map.directions.copy_(context.directions)
        trained.codes.copy_(context.codes)
        condition.codes.copy_(context.codes)

    def held(self, frames: Tensor, most_residuals: int) -> Tensor:
        """Those trajectories of all environments that a second-order training holds, at least one of each."""
        environments, _, count = frames.shape[:3]
        of_trajectory = environments * (count - 1) * self.predictor.newest(frames[0, 0, 0]).numel()
        return frames[:, : max(1, most_residuals // of_trajectory)]

    def _train(self, trained: TrainedCodes, frames: Tensor, penalty: float, iterations: int) -> int:
        polish = Polish(_read(trained), self._residual, frames.double(), penalty, jacobian=self._jacobian)
        done = polish.train(self.run, iterations)
        steps, reached = frames.shape[2] - 1, polish.objective(polish.context)
        print(f"polish: {done} of {iterations} iterations, {steps} steps, {reached:.4g}", flush=True)
        self.take(trained, polish.context)
        return done

    def _residual(self, weights: Tensor, frames: Tensor) -> Tensor:
        """Weights [weight], frames [trajectory, frame, ...] -> errors of whole rollouts [residual]."""
        starts, truth = self.predictor.state(frames[:, 0]), self.predictor.newest(frames)
        return (rollout(self._step, weights, starts, truth.shape[1] - 1, self._shown(frames)) - truth[:, 1:]).flatten()

    def _jacobian(self, weights: Tensor, frames: Tensor) -> Tensor:
        """The same -> derivative of the errors by the weights [residual, weight]."""
        starts = self.predictor.state(frames[:, 0])
        return rollout_jacobian(self._step, weights, starts, frames.shape[1] - 1, self._shown(frames)).flatten(0, 2)

    def _shown(self, frames: Tensor) -> Tensor | None:
        """What the steps of rollouts are shown beside the state [trajectory, step, shown, y, x]; None: nothing."""
        if not self.predictor.layout.shown:
            return None
        return held(self.predictor.inputs(frames[:, :-1]), self.predictor.layout)

    def _step(self, weights: Tensor, states: Tensor) -> Tensor:
        """Weights [weight], states and inputs [state, channel, y, x] -> the frames that follow."""
        return self.predictor(weights[None], states[None])[0]


def shorter_windows(frames: Tensor, steps: int) -> Tensor:
    """Trajectories cut into windows, each beginning with the frame that the one before ended with.

    Args:
        frames: [environment, trajectory, frame, ...].
        steps: of a window; what is left over at the end of a trajectory is left out.

    Returns:
        [environment, window, steps + 1, ...].
    """
    count = (frames.shape[2] - 1) // steps
    return torch.cat([frames[:, :, one * steps : (one + 1) * steps + 1] for one in range(count)], dim=1)


def _read(trained: TrainedCodes) -> LinearContext:
    """The numbers of a linear map and its codes, in double precision."""
    weight_map = trained.weight_map
    assert isinstance(weight_map, LinearWeights)
    numbers = (weight_map.weights, weight_map.directions, trained.codes)
    mean, directions, codes = (number.detach().double() for number in numbers)
    return LinearContext(mean, directions, codes, weight_map.entries)
