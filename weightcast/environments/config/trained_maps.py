"""The networks that a study trains on all visible environments together: which there are, and what each is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightcast.core.config.training import PooledTraining
from weightcast.core.methods import AVERAGE_PREFIX
from weightcast.environments.config.condition import ConditionName
from weightcast.environments.config.weight_map import FilmMap, HypernetworkMap, PooledMap
from weightcast.environments.config.zoo import BaseSettings

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
        rivals: other kinds that it may be instead, each with its training: left-out visible environments choose.
    """

    field: str
    method: str
    training: PooledTraining
    weight_map: PooledMap | FilmMap | HypernetworkMap
    condition: ConditionName
    is_base: bool = False
    rivals: tuple[tuple[HypernetworkMap, PooledTraining], ...] = ()

    @property
    def told(self) -> bool:
        """Whether its weights depend on the environment."""
        return self.weight_map.kind != "pooled"


def trained_maps(study: Study) -> dict[str, TrainedMap]:
    """The networks of a study that are trained on all visible environments together, by the names of their files.

    What the configuration leaves out is not there. Rules, jobs and everything that counts networks ask here. In the
    place of a base whose experts somebody else has published there is the average of these, the same everywhere.
    """
    maps = _trained_maps(study)
    if study.zoo.published is None:
        return maps
    return {
        name: replace(
            maps.get(name, maps["erm"]),
            field="zoo.published",
            method=f"{AVERAGE_PREFIX}{name}",
            weight_map=PooledMap(),
            rivals=(),
        )
        for name in study.zoo.bases
    }


def _trained_maps(study: Study) -> dict[str, TrainedMap]:
    base, matched, hyper = study.base, study.baselines.film_matched, study.baselines.hypernetwork
    film, told = FilmMap(width=base.film.width), base.condition
    maps = {"erm": TrainedMap("base.erm", "erm", base.erm, PooledMap(), told, is_base=True)}
    if base.conditioned is not None:
        maps["conditioned"] = _conditioned(base, base.conditioned)
    if matched is not None:
        maps["film-matched"] = TrainedMap("baselines.film_matched", "film-matched", matched, film, told)
    if hyper is not None:
        directions = HypernetworkMap(rank=hyper.rank, width=hyper.width)
        field = "baselines.hypernetwork.training"
        maps["hypernetwork"] = TrainedMap(field, "hypernetwork", hyper.training, directions, told)
    return maps


def _conditioned(base: BaseSettings, training: PooledTraining) -> TrainedMap:
    """The conditioned base: FiLM, a low-rank hypernetwork, or the one of them that its training chooses."""
    film = FilmMap(width=base.film.width)
    low_rank = HypernetworkMap(rank=base.low_rank.rank, width=base.low_rank.width)
    of_low_rank = training.model_copy(update={"learning_rate": base.low_rank.learning_rate})
    field, told = "base.conditioned", base.condition
    match base.map:
        case "film":
            return TrainedMap(field, "film", training, film, told, is_base=True)
        case "low-rank":
            return TrainedMap(field, "conditioned", of_low_rank, low_rank, told, is_base=True)
        case "auto":
            rivals = ((low_rank, of_low_rank),)
            return TrainedMap(field, "conditioned", training, film, told, is_base=True, rivals=rivals)
