"""The networks that a study trains on all visible environments together: which there are, and what each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightcast.core.config.training import PooledTraining
from weightcast.environments.config.condition import ConditionName
from weightcast.environments.config.weight_map import FilmMap, HypernetworkMap, PooledMap

if TYPE_CHECKING:
    from weightcast.environments.config.study import Study


@dataclass(frozen=True)
class TrainedMap:
    """A map from what is known of an environment to weights, trained through the predictor's own error.

    Attributes:
        field: of the configuration that says how it is trained.
        method: that it is by itself, as in metrics.csv.
        training: how it is trained.
        weight_map: its kind and sizes.
        condition: what it is told of an environment, if it is told anything.
        is_base: whether experts start from it, and whether it is fine-tuned on a few frames.
    """

    field: str
    method: str
    training: PooledTraining
    weight_map: PooledMap | FilmMap | HypernetworkMap
    condition: ConditionName
    is_base: bool = False

    @property
    def told(self) -> bool:
        """Whether its weights depend on the environment."""
        return self.weight_map.kind != "pooled"


def trained_maps(study: Study) -> dict[str, TrainedMap]:
    """The networks of a study that are trained on all visible environments together, by the names of their files.

    What the configuration leaves out is not there. Rules, jobs and everything that counts networks ask here.
    """
    base, matched, hyper = study.base, study.baselines.film_matched, study.baselines.hypernetwork
    film, told = FilmMap(width=base.film.width), base.condition
    maps = {"erm": TrainedMap("base.erm", "erm", base.erm, PooledMap(), told, is_base=True)}
    if base.conditioned is not None:
        maps["conditioned"] = TrainedMap("base.conditioned", "film", base.conditioned, film, told, is_base=True)
    if matched is not None:
        maps["film-matched"] = TrainedMap("baselines.film_matched", "film-matched", matched, film, told)
    if hyper is not None:
        directions = HypernetworkMap(rank=hyper.rank, width=hyper.width)
        field = "baselines.hypernetwork.training"
        maps["hypernetwork"] = TrainedMap(field, "hypernetwork", hyper.training, directions, told)
    return maps
