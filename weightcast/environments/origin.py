"""What a generator models weights relative to: those that the base gives in the same environment.

Experts start from their base, so most of what distinguishes environments is in the base already, and a generator has
only the experts' deviations from it to learn. Between and beyond the visible environments it inherits how the base
interpolates and extrapolates, which is why left-out visible environments may choose (`choose_origin`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.graph import WeightGraph
from weightcast.core.run import Run
from weightcast.core.stored_tensor import Rows, taken
from weightcast.environments.base import BaseNetwork, described_weight_map
from weightcast.environments.conditions import Condition
from weightcast.environments.latent_regression import LatentRegression
from weightcast.environments.map_choice import AS_GOOD, mean_logarithm
from weightcast.environments.map_errors import forecast_errors
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import PooledWeights, WeightMap

DEGREES = (1, 2)
"""Of the regression that stands for a generator."""
FOLDS = 6


class Origin(nn.Module):
    """A trained base behind a change of coordinates: it stays as it is when an environment joins the table, the
    generator's condition does not.

    A pooled base is the same everywhere: it needs no coordinates, and goes with any condition.

    Args:
        weight_map: of the base; not trained any more.
        condition: the generator's.

    Attributes:
        is_pooled: whether it is the same in every environment.
    """

    def __init__(self, weight_map: WeightMap, condition: Condition) -> None:
        super().__init__()
        self.weight_map = weight_map.requires_grad_(False)
        self.is_pooled = isinstance(weight_map, PooledWeights)
        self.coordinates = nn.Identity() if self.is_pooled else condition.towards(weight_map.condition)

    @classmethod
    def of(cls, base: BaseNetwork, condition: Condition) -> Origin:
        """The origin that a base is to a generator with this condition."""
        return cls(base.weight_map, condition)

    def forward(self, prepared: Tensor) -> Tensor:
        """The generator's coordinates [environment, coordinate] -> weights [environment, weight]."""
        return self.weight_map(self.coordinates(prepared))


def build_origin(description: Mapping[str, Any] | None, condition: Condition, graph: WeightGraph) -> Origin | None:
    """An origin whose tensors are still to be loaded, from the description of the base's weight map; None from None."""
    return None if description is None else Origin(described_weight_map(description, graph), condition)


@torch.no_grad()
def choose_origin(
    run: Run,
    base: BaseNetwork,
    environments: Sequence[str],
    weights: Rows,
    environment_of: Tensor,
    prepared: Tensor,
    predictor: StackedPredictor,
    frames: Tensor,
) -> dict[str, Any]:
    """Whether weights are better modelled relative to a conditioned base or to the zoo's mean.

    The judges are the visible environments that chose the base's map. For the base speak its forecasts there, as it was
    trained without them; for the mean those of a regression, on the coordinates, of the other environments' experts:
    what a generator learns of weights that no base takes by the hand. A difference that a few environments do not
    decide is the base's.

    Args:
        run: whose device everything is on but the experts, and whose memory says how many of them are.
        base: conditioned, with a choice of its map.
        environments: ids of the visible environments that have experts.
        weights: of the experts [member, weight].
        environment_of: long [member]; position of each one's environment.
        prepared: the generator's coordinates [environment, coordinate].
        predictor: whose weights they are.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x]; NaN where nothing can be
            compared.

    Returns:
        JSON values: ``chosen``, ``base`` or ``mean``, and the score of each.
    """
    choice = base.metadata["choice"]
    left_out = {*choice["edge"], *choice["inside"]}
    judges = [place for place, environment in enumerate(environments) if environment in left_out]
    seen = [place for place in range(len(environments)) if place not in judges]
    scores = {"base": float(choice["candidates"][choice["chosen"]]["score"]), "mean": float("inf")}
    if judges and len(seen) > 1:
        members = torch.isin(environment_of, torch.tensor(seen, device=environment_of.device)).nonzero()[:, 0]
        regression = run.place(LatentRegression(prepared.shape[1], max(DEGREES), (1, weights.shape[1])))
        regression.fit(prepared[environment_of[members]], taken(weights, members), DEGREES, FOLDS, run)
        guessed = regression(prepared[judges].float())[:, 0]
        scores["mean"] = mean_logarithm(forecast_errors(guessed, predictor, frames[judges]))
    chosen = "mean" if scores["mean"] < scores["base"] - AS_GOOD else "base"
    print(f"vae: relative to the {chosen}, chosen on {len(judges)} left-out visible environments", flush=True)
    return {"chosen": chosen, "scores": scores}
