"""The path of weights of a finished study: a density at any time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.artifacts import one_line_for
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.device import choose_device
from weightcast.core.errors import InputError
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.coupled_file import COUPLINGS
from weightcast.evolution.couplings import Couplings
from weightcast.evolution.density import Density, Laws, StackedDensity, time_key
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.flow_artifact import FlowArtifact
from weightcast.evolution.forecast import DampedTrends, last_velocity
from weightcast.evolution.mass import MassPath


class WeightPath:
    """Weights of a density at any time: what a flow has learned; and after the last snapshot, a forecast.

    Between the snapshots the law at a time is one density. After the last one it is a mixture of damped trends
    (:mod:`weightcast.evolution.forecast`), which keeps the last law, moves as far as the past bears out, and widens.

    Attributes:
        first, last: times of the first and the last snapshot, in the data's unit.
        dimensions: names of the dimensions of the state.
        metadata: of the flow's artifact.
        trends: of the forecast.
        mass_path: the size of the population over time, or None where the study was told none.
        couplings: what moves, grows and dies between the snapshots, or None where the study has none.
    """

    couplings: Couplings | None = None

    def __init__(self, flow: WeightFlow, density: StackedDensity, metadata: dict[str, Any]) -> None:
        self.flow = flow
        self.density = density
        self.metadata = metadata
        self.first, self.last = float(metadata["times"][0]), float(metadata["times"][-1])
        self.dimensions: list[str] = list(metadata["dimensions"])
        mass = metadata.get("mass")
        self.mass_path = None if mass is None else MassPath.described(mass)
        forecast = metadata.get("forecast")  # which flows that were trained by earlier versions have not
        self.trends = (
            DampedTrends.unlearned(metadata["times"]) if forecast is None else DampedTrends.described(forecast)
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        arm: str | None = None,
        seed: int | None = None,
        device: torch.device | str = "cpu",
    ) -> WeightPath:
        """Read a trained flow.

        Args:
            path: a study's folder (``results/<study>``) or one flow artifact.
            arm: which arm of the study; the first of its config if None.
            seed: which of its seeds; the first if None.
            device: where it computes: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:<number>``.

        Raises:
            InputError: there is none, its file cannot be used, or there is no such device.
        """
        path = Path(path)
        file = _find(path, arm, seed) if path.is_dir() else path
        read = FlowArtifact.load(file)
        with one_line_for(file, "flow"):
            found = cls(read.flow, read.density, read.metadata)
            if not found.first < found.last or len(found.dimensions) != read.density.space.dimensions:
                raise InputError("metadata: times, dimensions: expected increasing times and a name for each dimension")
        if path.is_dir() and (joined := path / COUPLINGS).is_file():
            couplings = Couplings.load(joined)
            if couplings.metadata.get("data_digest") == read.metadata.get("data_digest"):  # of the same samples
                found.couplings = couplings
        return found.to(device)

    def to(self, device: torch.device | str) -> WeightPath:
        """Compute on a device from now on; returns itself."""
        self.flow.to(choose_device(device) if isinstance(device, str) else device)
        return self

    def at(self, time: float, extrapolate: bool = False) -> Density:
        """The density at a time.

        Args:
            time: in the data's unit.
            extrapolate: whether it may lie after the last snapshot; such a density is a forecast, and marked so.

        Warns:
            UserWarning: the density is a forecast.

        Raises:
            InputError: the time is not finite, lies before the first snapshot, or after the last one without
                ``extrapolate``.
        """
        laws = self.laws([time], extrapolate)
        if time > self.last:
            warnings.warn(
                f"time {time:g}: extrapolated, after the last snapshot at {self.last:g}", UserWarning, stacklevel=2
            )
        return Density(laws, time, extrapolated=time > self.last)

    def sample(
        self, times: Sequence[float] | NDArray[np.float64], n: int, seed: int = 0, extrapolate: bool = False
    ) -> Tensor:
        """Draw samples at times: [time, n, dimension], on the CPU.

        Those of a time are the ones that :meth:`at` gives, whichever other times are wanted.

        Raises:
            InputError: as :meth:`at`, for any of them.
        """
        keys = [time_key(float(time)) for time in times]
        return self.laws(times, extrapolate).sample(n, seed, keys).cpu()

    def mass(self, time: float, extrapolate: bool = False) -> float:
        """The size of the population at a time, in that at the first snapshot.

        Args:
            time: in the data's unit.
            extrapolate: whether it may lie after the last snapshot, where growth comes to rest.

        Raises:
            InputError: as :meth:`at`; or the study was told no masses (``data.mass``).
        """
        return float(self.masses([time], extrapolate)[0])

    def masses(self, times: Sequence[float] | NDArray[np.float64], extrapolate: bool = False) -> NDArray[np.float64]:
        """The same at many times: [time].

        Raises:
            InputError: as :meth:`mass`, for any of them.
        """
        wanted = self._checked(times, extrapolate)
        if self.mass_path is None:
            raise InputError("mass: found none in the study, expected data.mass in its configuration")
        return self.mass_path.relative(wanted)

    def growth(self, time: float, x: Tensor | NDArray[np.float64]) -> Tensor:
        """Growth rate at points: how fast the population at x grows by births and deaths, by the data's unit of time.

        It is that of the unbalanced transport between the snapshots (:mod:`weightcast.evolution.couplings`), and its
        mean over the population the growth rate of the whole, d(log m)/dt.

        Args:
            time: from the first snapshot to the last one.
            x: points [..., dimension], in the data's units.

        Returns:
            [...], in double precision on the CPU.

        Raises:
            InputError: as :meth:`at`, the last axis is not the state's, or the study has no couplings, or no masses.
        """
        if self.couplings is not None and self.mass_path is None:
            raise InputError("growth: found a study without masses, expected data.mass: nothing grows in its couplings")
        couplings, points, shape = self._coupled(time, x)
        assert self.mass_path is not None  # else it has no couplings
        rate = float(self.mass_path.rate(np.array([time]))[0])
        return torch.from_numpy(couplings.growth(time, points, rate)).reshape(shape)

    def velocity(self, time: float, x: Tensor | NDArray[np.float64]) -> Tensor:
        """Mean velocity of what is at points, by the same transport: [..., dimension] -> the same shape.

        Raises:
            InputError: as :meth:`growth`.
        """
        couplings, points, shape = self._coupled(time, x)
        return torch.from_numpy(couplings.velocity(time, points)).reshape(*shape, len(self.dimensions))

    def carry(self, x: Tensor | NDArray[np.float64], start: float, end: float) -> Tensor:
        """Where what is at points at one time is at another, if it is carried along by the evolving law: see
        :meth:`weightcast.evolution.density.StackedDensity.carry`. What is distributed as the law at the first time is
        then distributed as that at the second; nothing grows or dies.

        Snapshots do not say who moves where. This is the law's own answer, without noise and without couplings, for
        points that it has never seen; it depends on the order of the dimensions.

        Args:
            x: points [..., dimension], in the data's units.
            start, end: times from the first snapshot to the last one, in any order.

        Returns:
            the same shape, in double precision on the CPU.

        Raises:
            InputError: as :meth:`weights`, the last axis is not the state's, or the state is not of real numbers.
        """
        weights = self.weights([start, end])
        points = torch.as_tensor(x, dtype=torch.float64, device=weights.device)
        if points.ndim == 0 or points.shape[-1] != len(self.dimensions):
            raise InputError(f"x: found shape {list(points.shape)}, expected [..., {len(self.dimensions)}]")
        moved = self.density.carry(weights[0], weights[1], points.reshape(-1, points.shape[-1]))
        return moved.reshape(points.shape).cpu()

    def fates(
        self,
        time: float,
        x: Tensor | NDArray[np.float64],
        fate_of: Callable[[NDArray[np.float64]], NDArray[np.int64]],
    ) -> Tensor:
        """Where what is at points ends up at the last snapshot, by the same transport: [..., fate], which sum to 1.

        Args:
            time: from the first snapshot to the last one.
            x: points [..., dimension], in the data's units.
            fate_of: samples of the last snapshot [sample, dimension] -> their fates, whole numbers from 0: a cell type,
                say.

        Raises:
            InputError: as :meth:`growth`.
        """
        couplings, points, shape = self._coupled(time, x)
        found = couplings.fates(time, points, fate_of)
        return torch.from_numpy(found).reshape(*shape, found.shape[1])

    def _coupled(
        self, time: float, x: Tensor | NDArray[np.float64]
    ) -> tuple[Couplings, NDArray[np.float64], tuple[int, ...]]:
        """The couplings, points [point, dimension], and the shape of what is found for each."""
        self._checked([time], extrapolate=False)
        if self.couplings is None:
            raise InputError(
                "growth, velocity: found no couplings beside the flow, expected a study with data.mass, or couplings: "
                "true, that was run whole"
            )
        points = np.asarray(x, dtype=np.float64)
        if points.ndim == 0 or points.shape[-1] != len(self.dimensions):
            raise InputError(f"x: found shape {list(points.shape)}, expected [..., {len(self.dimensions)}]")
        return self.couplings, points.reshape(-1, points.shape[-1]), points.shape[:-1]

    def laws(self, times: Sequence[float] | NDArray[np.float64], extrapolate: bool = False) -> Laws:
        """The laws at times, on the path's device.

        Raises:
            InputError: as :meth:`at`, for any of them.
        """
        wanted = self._checked(times, extrapolate)
        laws = Laws.of(self.density, self._inside(np.minimum(wanted, self.last)))
        if (wanted <= self.last).all():
            return laws
        last_times = np.array(self.metadata["times"][-2:], dtype=np.float64)
        ends = self._inside(last_times)
        velocity = last_velocity(last_times, ends)
        shares = torch.tensor(self.trends.shares, dtype=torch.float64)
        beyond = [float(time) - self.last for time in wanted]
        return Laws(
            self.density,
            tuple(
                self.trends.weights(ends[-1], velocity, ahead) if ahead > 0 else weights
                for ahead, weights in zip(beyond, laws.weights, strict=True)
            ),
            tuple(shares if ahead > 0 else alone for ahead, alone in zip(beyond, laws.shares, strict=True)),
        )

    def weights(self, times: Sequence[float] | NDArray[np.float64]) -> Tensor:
        """Weights at times from the first snapshot to the last, on the path's device: [time, parameter].

        Raises:
            InputError: a time is not finite, or lies outside of the snapshots. The law of a forecast has no weights of
                its own: see :meth:`laws`.
        """
        return self._inside(self._checked(times, extrapolate=False))

    def _checked(self, times: Sequence[float] | NDArray[np.float64], extrapolate: bool) -> NDArray[np.float64]:
        wanted = np.asarray(times, dtype=np.float64)
        for time in wanted:
            if not np.isfinite(time):
                raise InputError(f"time: found {time}, expected a finite number")
            if time < self.first or (time > self.last and not extrapolate):
                flag = "" if time < self.first else ", or extrapolate (--extrapolate)"
                raise InputError(
                    f"time: found {time:g}, expected one from {self.first:g} to {self.last:g}, the snapshots' "
                    f"range{flag}"
                )
        return wanted

    def _inside(self, times: NDArray[np.float64]) -> Tensor:
        return weights_of(self.flow, self.first, self.last, times)


def weights_of(flow: WeightFlow, first: float, last: float, times: NDArray[np.float64]) -> Tensor:
    """Weights of a flow at times in the data's unit, on its device: [time, parameter].

    Args:
        flow: trained.
        first, last: times of the first and the last snapshot.
        times: between them [time].
    """
    scaled = (times - first) / (last - first)
    return flow.path(torch.from_numpy(scaled).float().to(flow.grid.device))


def _find(results: Path, arm: str | None, seed: int | None) -> Path:
    """The artifact of an arm's flow in a study's folder."""
    config = results / "config.yaml"
    if not config.is_file():
        raise InputError(f"{config}: no such file, expected the folder of a study that has been run")
    flow = parse_time_study(read_yaml(config), config).flow
    arm = next(iter(flow.arms)) if arm is None else arm
    seed = flow.seeds[0] if seed is None else seed
    if arm not in flow.arms:
        raise InputError(f"{config}: flow.arms: found no arm {arm!r}, expected one of {', '.join(flow.arms)}")
    if seed not in flow.seeds:
        raise InputError(f"{config}: flow.seeds: found no seed {seed}, expected one of {flow.seeds}")
    return results / "flow" / "all" / f"{arm}-{seed}.safetensors"
