"""Fine-tuning on noisy frames with gaps: of all weights, or of a low-rank addition to each layer's.

The addition is that of LoRA (Hu et al., ICLR 2022): layer by layer of the weight graph, whose rows are a layer's nodes,
a product of two thin matrices, the first of which begins at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.config.training import TrainingSettings
from weightcast.core.draws import Draws
from weightcast.core.graph import WeightGraph
from weightcast.core.run import Run
from weightcast.core.training import Fit
from weightcast.environments.config.baselines import FinetuneSettings
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.windows import Windows


class LowRank:
    """Low-rank additions to the layers of networks.

    Args:
        graph: whose layers they are added to.
        start: weights that they are added to [network, weight].
        rank: of an addition, at most.
        draws: of the second factors.

    Attributes:
        factors: what is trained, two a layer: [network, node, rank] and [network, rank, width].
    """

    def __init__(self, graph: WeightGraph, start: Tensor, rank: int, draws: Draws) -> None:
        self.graph, self.start = graph, start
        self.factors: list[Tensor] = []
        for layer in graph.layers:
            inner = min(rank, layer.nodes, layer.width)
            # The same in every network: what is made of one environment does not depend on the others.
            second = draws.normal(inner, layer.width) / inner**0.5
            self.factors.append(start.new_zeros(len(start), layer.nodes, inner).requires_grad_())
            self.factors.append(second.to(start).expand(len(start), -1, -1).clone().requires_grad_())

    def weights(self) -> Tensor:
        """Weights with their additions [network, weight]."""
        pairs = zip(self.factors[::2], self.factors[1::2], strict=True)
        return self.start + self.graph.flat([first @ second for first, second in pairs])


def finetune_windows(
    run: Run,
    start: Tensor,
    windows: Windows,
    predictor: StackedPredictor,
    steps: int,
    learning_rate: float,
    name: str,
    rank: int | None = None,
) -> tuple[Tensor, Fit]:
    """Fine-tune all environments at once on what was observed of them.

    Args:
        run: whose device everything is on.
        start: [environment, weight].
        windows: observed.
        predictor: whose weights they are.
        steps: of the optimiser.
        learning_rate: its peak.
        name: of the training.
        rank: of what is added to each layer; None trains all weights.

    Returns:
        Weights [environment, weight] and how it went; where it diverged, the last finite weights.
    """
    if rank is None:
        whole = start.clone().requires_grad_()
        trained, weights_of = [whole], lambda: whole
    else:
        added = LowRank(predictor.graph, start, rank, run.draws("low rank", name.partition(" ")[0]))
        trained, weights_of = added.factors, added.weights
    of = torch.arange(len(start), device=start.device)
    counts = windows.counts.clamp(min=1.0)

    def loss(step: int) -> Tensor:
        squares = windows.residuals(weights_of(), of, predictor).square().sum(1)
        return (squares / counts + 1e-12).sqrt()

    result = run.fit(
        trained,
        loss,
        TrainingSettings(steps=steps, learning_rate=learning_rate),
        name=f"{name}, {steps} steps at {learning_rate:g}",
        stacked=True,
        may_diverge=True,
    )
    return weights_of().detach(), result


@dataclass(frozen=True)
class Budget:
    """A number of steps, at the rate that serves it best.

    Attributes:
        steps: of the optimiser.
        learning_rate: its peak.
        error: of visible environments.
        seconds: that choosing the rate took.
    """

    steps: int
    learning_rate: float
    error: float
    seconds: float


def judge_budgets(
    settings: FinetuneSettings,
    train: Callable[[int, float], tuple[Tensor, Fit]],
    error: Callable[[Tensor], float],
) -> list[Budget]:
    """The learning rate of the least error for each number of steps.

    Args:
        settings: the candidates.
        train: steps, rate -> weights of visible environments [environment, weight].
        error: of such weights.

    Returns:
        A budget for each number of steps, without repetitions.
    """
    budgets = []
    for steps in dict.fromkeys(settings.steps):
        best, lowest, spent = settings.learning_rates[0], float("inf"), 0.0
        for rate in settings.learning_rates:
            weights, result = train(steps, rate)
            spent += result.seconds
            if (found := error(weights)) < lowest:
                lowest, best = found, rate
        budgets.append(Budget(steps, best, lowest, spent))
    return budgets
