"""Are generated weights new, or memorised? Networks beside the experts of a zoo, in weights, behaviour and error.

Asked as by Zeng et al., "Generative modeling of weights: generalization or memorization?" (arXiv 2506.07998). What a
network is compared with is what could be had without generating any weights: the nearest expert, the average of all,
a point between two, an expert with noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from weightcast.core.device import stack_size
from weightcast.core.run import Run
from weightcast.core.stored_tensor import Rows
from weightcast.environments.evaluated_frames import compared
from weightcast.environments.evaluated_together import STACKED
from weightcast.environments.evaluation import ACTIVATIONS, roll_out
from weightcast.environments.forecast_metrics import forecast_metrics
from weightcast.environments.gram import gram_matrix, squared_distances
from weightcast.environments.history import newest
from weightcast.environments.missing_values import any_missing
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_distance import (
    WeightDistance,
    by_layer,
    completed,
    of_layers,
    spreads_of_groups,
    within,
)
from weightcast.environments.weight_statistics import WeightStatistics, by_layer_of
from weightcast.environments.zoo import Zoo

REFERENCES = ("nearest", "alike", "average", "interpolation", "noise")
"""What a network is compared with: the expert nearest in weights, the one that behaves most alike, the average of all
experts, a point between those of two other environments, the nearest one with noise."""
MEASURES = ("weights", "behaviour", "rmse")
COPIES = 4
"""Of weights and behaviours, with what is made of them on the way."""


@dataclass(frozen=True)
class Comparison:
    """Networks of one environment beside one kind of reference; all are [network].

    Attributes:
        weights: distance in weights.
        weights_spread: that of experts of one environment from each other: of the environment of the nearest expert.
        behaviour: mean square of what one step differs by over that of the true increments.
        behaviour_spread: that of experts of one environment from each other, of the one of the expert most alike.
        rmse: of the reference.
    """

    weights: Tensor
    weights_spread: Tensor
    behaviour: Tensor
    behaviour_spread: Tensor
    rmse: Tensor


@dataclass(frozen=True)
class Scene:
    """An environment as all networks meet it.

    Attributes:
        id: of the environment.
        starts: frames from which one step is made [frame, channel, y, x], in physical units.
        increment: mean square of the true steps from trajectories, in the zoo's normalised units.
        test: trajectories [trajectory, frame, channel, y, x], in physical units; NaN where nothing can be compared.
        inputs: how many of the channels of both, the last ones, are inputs.

    Older frames, where predictors see any, stand behind the channels of the newest in both.
    """

    id: str
    starts: Tensor
    increment: float
    test: Tensor
    inputs: int = 0

    @classmethod
    def of(
        cls,
        id: str,
        test: Tensor,
        frames: int,
        normalisation: Normalisation,
        inputs: int = 0,
        history: int = 1,
        land: Tensor | None = None,
    ) -> Scene:
        """An environment's test trajectories, and some frames of them, evenly spaced; nothing is compared where the
        channels of the newest frame never have a value, bool [1, 1, channel, y, x]."""
        starts, missing = test[:, :-1].flatten(0, 1), any_missing(test)
        if missing:
            starts = starts[torch.isfinite(starts).flatten(1).all(1)]
        chosen = torch.linspace(0, len(starts) - 1, min(frames, len(starts))).round().long()
        steps = normalisation.apply(newest(test[:, :, : test.shape[2] - inputs], history)).diff(dim=1)
        squares = steps.square()
        increment = squares.nanmean() if missing else squares.mean()
        test = test if land is None else compared(test[None], land[None])[0]
        return cls(id, starts[chosen.to(test.device)], float(increment.clamp(min=1e-12)), test, inputs)


class Experts:
    """The healthy experts of one zoo, and networks made of them.

    Args:
        zoo: of the visible environments.
        predictor: of the architecture, on the run's device.
        places: scaled parameters of environments by id [parameter], if anybody knows them, else empty.
        seed: of the study; noise is drawn from it.
        run: whose device is used.
    """

    def __init__(
        self, zoo: Zoo, predictor: StackedPredictor, places: Mapping[str, Tensor], seed: int, run: Run
    ) -> None:
        zoo, size = zoo.healthy(), predictor.graph.num_parameters
        self.environments = zoo.environments
        self.ids = list(dict.fromkeys(self.environments))
        self.members = [entry["member"] for entry in zoo.manifest]
        self._zoo, self.weights, self.predictor = zoo, zoo.weights, predictor
        self._together = run.together(COPIES * size)
        if len(self.weights) <= self._together:
            self.weights = run.place(self.weights[:])
        self.normalisation = Normalisation.from_metadata(zoo.metadata["normalisation"])
        self.groups = [[row for row, name in enumerate(self.environments) if name == id] for id in self.ids]
        self.group_of = torch.tensor([self.ids.index(name) for name in self.environments])
        self._places, self._seed, self._run = places, seed, run
        self.distance = WeightDistance.of((self._of(rows) for rows in self._parts), predictor.graph)
        self._points = None
        if isinstance(self.weights, Tensor):
            self._points = self.distance.coordinates(self.weights)
        self.spread = self._spread_of_weights().sqrt()

    def compare(self, scene: Scene, networks: Tensor, normalisations: Sequence[Normalisation]) -> dict[str, Comparison]:
        """Compare networks of one environment with every kind of reference.

        Args:
            scene: the environment.
            networks: [network, weight].
            normalisations: of each network.

        Returns:
            By the names of ``REFERENCES``; without interpolation where there are not two other environments, without
            noise where each environment has one expert alone.
        """
        steps = self._behaviour(scene, networks, normalisations)
        distances = self._distances(networks)
        nearest = distances.argmin(1).tolist()
        alike, behaviour_spread = self._alike(scene, steps)
        made = {f"expert {row}": self._of([row])[0] for row in {*nearest, *alike}} | {"average": self.distance.centre}
        chosen = {
            "nearest": [f"expert {row}" for row in nearest],
            "alike": [f"expert {row}" for row in alike],
            "average": ["average" for _ in nearest],
        }
        if sum(group != scene.id for group in self.ids) > 1:
            numbers = [0 if self._places else number for number in range(len(networks))]  # one for all, or one each
            chosen["interpolation"] = [f"between {number}" for number in numbers]
            made |= {
                f"between {number}": self._between(scene.id, networks[number], distances[number])
                for number in set(numbers)
            }
        if self._noise is not None:
            chosen["noise"] = [f"noise {row}" for row in nearest]
            made |= {f"noise {row}": self._with_noise(scene.id, row) for row in set(nearest)}
        row_of = {key: row for row, key in enumerate(made)}
        stacked = torch.stack(list(made.values()))
        of_made = self._behaviour(scene, stacked, [self.normalisation] * len(stacked))
        errors = torch.tensor(self._errors(scene, stacked), dtype=torch.float64)
        found = {}
        for name in chosen:
            rows = torch.tensor([row_of[key] for key in chosen[name]], device=stacked.device)
            found[name] = Comparison(
                weights=self.distance.between(networks, stacked[rows]).cpu(),
                weights_spread=self.spread[self.group_of[nearest]],
                behaviour=(steps - of_made[rows]).square().sum(1).cpu(),
                behaviour_spread=behaviour_spread[self.group_of[alike]],
                rmse=errors[rows.cpu()],
            )
        return found

    @property
    def _parts(self) -> tuple[Tensor, ...]:
        """Experts some at a time, as many as memory holds with what is made of them; all of them where they fit."""
        return torch.arange(len(self.members)).split(self._together)

    def _of(self, rows: Tensor | list[int]) -> Tensor:
        """Weights of some experts [expert, weight], on the run's device."""
        return self._run.place(self.weights[rows])

    def _spread_of_weights(self) -> Tensor:
        """Mean squared distance in weights of the experts of an environment from each other; see :func:`within`."""
        if self._points is not None:
            return within(self._points, self.groups)
        squares, size = torch.full((len(self.groups),), torch.nan), self.weights.shape[1]
        for number, group in enumerate(self.groups):
            if len(group) > 1:
                together = self._run.together(COPIES * len(group))
                parts = [slice(first, first + together) for first in range(0, size, together)]
                # The mean square of pairs is twice the variance.
                points = (self.distance.coordinates(self._run.place(self.weights[group, part]), part) for part in parts)
                squares[number] = 2 * sum(float(some.var(0).sum()) for some in points)

        def apart() -> Tensor:
            together = self._run.together(COPIES * len(self.members))
            parts = [slice(first, first + together) for first in range(0, size, together)]
            blocks = (self.distance.coordinates(self._run.place(self.weights[:, part]), part) for part in parts)
            return squared_distances(gram_matrix(blocks))

        return completed(squares, self.groups, apart)

    def _distances(self, networks: Tensor) -> Tensor:
        """Distances of networks from all experts [network, expert], in weights."""
        places = self.distance.coordinates(networks)
        if self._points is not None:
            return torch.cdist(places, self._points)
        experts = (self.distance.coordinates(self._of(rows)) for rows in self._parts)
        return torch.cat([torch.cdist(places, some) for some in experts], 1)

    def _alike(self, scene: Scene, steps: Tensor) -> tuple[list[int], Tensor]:
        """Which expert behaves most alike, for each network's steps [network, number], and how far the experts of each
        environment are from each other in their behaviour."""
        size, spreads, several = steps.shape[1], list[Tensor](), max(map(len, self.groups)) > 1
        least, alike = torch.full((len(steps),), torch.inf, device=steps.device), torch.zeros(len(steps)).long()
        # Where each environment has one expert alone, they are all compared with each other.
        held = not several or len(self.members) <= self._run.together(COPIES * size)
        for groups in [self.groups] if held else self._batches(size):
            rows = [row for group in groups for row in group]
            experts = self.weights if held else self._zoo.take(rows).weights
            of_experts = self._behaviour(scene, experts, [self.normalisation] * len(experts))
            # Steps of different networks differ by little of what they are: products of matrices would lose it in
            # rounding.
            apart = torch.cdist(steps, of_experts, compute_mode="donot_use_mm_for_euclid_dist")
            if held:
                return apart.argmin(1).tolist(), within(of_experts, self.groups)
            nearer = (apart.amin(1) < least).cpu()
            alike = torch.where(nearer, torch.tensor(rows)[apart.argmin(1).cpu()], alike)
            least = torch.minimum(apart.amin(1), least)
            place = {row: number for number, row in enumerate(rows)}
            spreads.append(spreads_of_groups(of_experts, [[place[row] for row in group] for group in groups]))
        return alike.tolist(), completed(torch.cat(spreads), self.groups, lambda: torch.zeros(0))

    def _batches(self, size: int) -> Iterator[list[list[int]]]:
        """Environments' experts, as many environments at a time as memory holds behaviours of so many numbers of."""
        batch = list[list[int]]()
        for group in self.groups:
            if batch and sum(map(len, batch)) + len(group) > self._run.together(COPIES * size):
                yield batch
                batch = []
            batch = [*batch, group]
        yield batch

    @cached_property
    def _noise(self) -> Tensor | None:
        """Standard deviation of an environment's experts about their mean [weight], the same in a whole layer; None
        where every environment has one expert alone."""
        groups, graph = [group for group in self.groups if len(group) > 1], self.predictor.graph
        if not groups:
            return None
        degrees = sum(len(group) - 1 for group in groups)
        if isinstance(self.weights, Tensor):
            deviations = [self.weights[group] - self.weights[group].mean(0) for group in groups]
            return by_layer(torch.cat(deviations), graph, degrees)
        squares = torch.zeros(len(graph.layers))
        for group in groups:
            parts = torch.tensor(group).split(self._together)
            found = WeightStatistics.of((self._of(rows) for rows in parts), by_layer_of(graph))
            squares += (len(group) * found.square / degrees).cpu()
        return self._run.place(of_layers(squares, graph))

    def _with_noise(self, environment: str, row: int) -> Tensor:
        """An expert with noise; the same one whatever networks it is compared with."""
        assert self._noise is not None
        purpose = (self._seed, "expert with noise", environment, self.environments[row], self.members[row])
        draws = self._run.draws(*purpose)
        return self._of([row])[0] + self._noise * draws.normal(self.weights.shape[1])

    def _between(self, environment: str, network: Tensor, distances: Tensor) -> Tensor:
        """The point between experts of two other environments that is nearest to what is known of this one.

        That is its parameters, with the first expert of each of the two nearest environments; without parameters it is
        the generated weights themselves, with the nearest expert of each.
        """
        others = [(id, group) for id, group in zip(self.ids, self.groups, strict=True) if id != environment]
        if self._places:
            here = self._places[environment]
            places = torch.stack([self._places[id] for id, _ in others])
            rows = [group[0] for _, group in others]
        else:
            here = self.distance.coordinates(network)
            if self._points is not None:
                distances = (self._points - here).norm(dim=1)
            rows = [min(group, key=lambda row: float(distances[row])) for _, group in others]
            places = self.distance.coordinates(self._of(rows))
        first, second = (places - here).norm(dim=1).argsort(stable=True)[:2].tolist()
        along = places[second] - places[first]
        share = float(((here - places[first]) @ along / along.square().sum().clamp(min=1e-12)).clamp(0.0, 1.0))
        one, other = self._of([rows[first], rows[second]])
        return torch.lerp(one, other, share)

    @torch.no_grad()
    def _behaviour(self, scene: Scene, networks: Rows, normalisations: Sequence[Normalisation]) -> Tensor:
        """What networks make of the frames in one step, as points [network, number].

        The square of two points' Euclidean distance is the mean square of what the steps differ by, over that of the
        true increments, in the zoo's normalised units.
        """
        size = self.predictor.newest(scene.starts).numel()
        bytes_each = 4 * (networks.shape[1] + size * (ACTIVATIONS + 1))
        stacked = stack_size(scene.starts.device, bytes_each, on_cpu=STACKED)
        points = scene.starts.new_empty(len(networks), size)
        for own in dict.fromkeys(normalisations):
            rows = torch.tensor([row for row, one in enumerate(normalisations) if one == own])
            starts = own.apply(scene.starts)
            for chunk in rows.split(stacked):
                ahead = self.predictor(self._run.place(networks[chunk]), starts.expand(len(chunk), *starts.shape))
                points[chunk] = self.normalisation.apply(own.invert(ahead)).flatten(1)
        # Outputs that are no numbers are far from everything, not nearest to all.
        return torch.nan_to_num(points, nan=1e6, posinf=1e6, neginf=-1e6) / (size * scene.increment) ** 0.5

    def _errors(self, scene: Scene, networks: Tensor) -> list[float]:
        """Error of each network's forecasts, as the evaluation has it, at the trained horizon."""
        initial, truth = self.predictor.state(scene.test[:, 0]), self.predictor.newest(scene.test)[:, 1:]
        steps = truth.shape[1]
        first, shown = initial.expand(len(networks), *initial.shape), None
        if scene.inputs:
            inputs = self.predictor.inputs(scene.test)
            shown = inputs.expand(len(networks), *inputs.shape)
        forecasts = roll_out(networks, first, steps, self.predictor, self.normalisation, shown)
        return [next(value for _, _, value in forecast_metrics(one, truth, [steps])) for one in forecasts]
