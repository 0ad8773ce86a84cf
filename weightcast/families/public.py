"""A finished study of environments across time in Python: the evolving law of an environment that nobody has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.device import choose_device
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.environments.code_priors import CodePrior
from weightcast.evolution.density import Density, Laws
from weightcast.families.bands import (
    Band,
    ensemble_log_growth,
    ensemble_samples,
    mixed,
    mixture_log_prob,
    path_weights,
)
from weightcast.families.code_regression import prior_of_parameters
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.load import parse_family_study
from weightcast.families.inference import ShownSamples, infer_codes
from weightcast.families.jobs import ZOO_PRIOR
from weightcast.families.trained_family import TrainedFamily

KEY = "asked"
"""What tells the environment that is asked for from others, in seeds of its draws."""


class PathFamily:
    """Paths of weights of a family of environments, from which that of a new one is inferred.

    Attributes:
        family: trained.
        inference: settings of the search for a code, and of the ensemble.
        dimensions: names of the dimensions of the state.
    """

    def __init__(self, family: TrainedFamily, inference: InferenceSettings) -> None:
        self.family, self.inference = family, inference
        self.dimensions: list[str] = list(family.metadata["dimensions"])

    @classmethod
    def load(
        cls,
        results: str | Path,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        zoo: bool = False,
        vae: bool = False,
    ) -> PathFamily:
        """Read what a study has trained.

        Args:
            results: the study's folder, ``results/<study>``.
            seed: which of its seeds; the first if None.
            device: where it computes: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:<number>``.
            zoo: whether the family is wanted that experts' paths make, of a study with ``paths.zoo``; with the prior
                that left-out environments chose, where it has a diffusion.
            vae: whether the family is wanted that an autoencoder of these paths makes, of a study with
                ``paths.zoo.vae``; instead of the zoo's.

        Raises:
            InputError: there is none, its file cannot be used, or there is no such device.
        """
        config = Path(results) / "config.yaml"
        if not config.is_file():
            raise InputError(f"{config}: no such file, expected the folder of a study that has been run")
        study = parse_family_study(read_yaml(config), config)
        seed = study.paths.seeds[0] if seed is None else seed
        if seed not in study.paths.seeds:
            raise InputError(f"{config}: paths.seeds: found no seed {seed}, expected one of {study.paths.seeds}")
        if zoo and study.paths.zoo is None:
            raise InputError(f"{config}: paths.zoo: found none, expected a study with experts of paths")
        if vae and (study.paths.zoo is None or study.paths.zoo.vae is None):
            raise InputError(f"{config}: paths.zoo.vae: found none, expected a study with an autoencoder of paths")
        zoo = zoo and not vae
        compared = zoo and study.paths.zoo is not None and study.paths.zoo.diffusion is not None
        file = f"zoo/{'diffusion' if compared else 'zoo'}-{seed}" if zoo else f"families/codes-{seed}"
        file = f"zoo/vae-{seed}" if vae else file
        family = TrainedFamily.load(Path(results) / f"{file}.safetensors")
        if compared and ZOO_PRIOR not in family.metadata:
            raise InputError(
                f"{Path(results) / file}.safetensors: {ZOO_PRIOR}: missing, expected which prior was chosen"
            )
        if compared and family.metadata[ZOO_PRIOR]["chosen"] == "gaussian":
            family = family.widened_to(family.widened)
        placed = choose_device(device) if isinstance(device, str) else device
        return cls(family.to(placed), study.inference)

    @property
    def visible(self) -> tuple[str, ...]:
        """Ids of the environments that were trained on."""
        return self.family.ids

    @property
    def times(self) -> tuple[float, float]:
        """The first and the last time that anything was learned at, in the data's unit."""
        return self.family.first, self.family.last

    def infer(
        self,
        samples: Mapping[float, ArrayLike] | None = None,
        parameters: Mapping[str, float] | None = None,
        seed: int = 0,
        masses: Mapping[float, float] | None = None,
    ) -> InferredLaw:
        """Infer the evolving law of an environment from samples at a few times, from its parameters, or from both.

        Args:
            samples: [sample, dimension], in the data's units, by time.
            parameters: value of each of the study's parameters.
            seed: of the ensemble.
            masses: size of the population by time, in any unit, of a family whose populations' sizes are known.

        Raises:
            InputError: neither is given, times or values are not such as the family was trained on, a parameter is
                missing or unknown, or there are masses of a family without.
        """
        if masses:
            self._check_masses(masses)
        if not samples and parameters is None:
            raise InputError("infer: found neither samples nor parameters, expected either or both")
        priors = [one.prior if parameters is None else self._prior_of(one, parameters) for one in self.family.members]
        if not samples:
            drawn = [prior.codes(self._normal(seed, place, len(prior.mean))) for place, prior in enumerate(priors)]
            return InferredLaw(self.family, priors[0].mean, torch.stack(drawn), masses=dict(masses or {}))
        times = sorted(float(time) for time in samples)
        self.family.check_times(times, "samples: time")
        values = {float(time): self._checked(given, float(time)) for time, given in samples.items()}
        shown = ShownSamples.of([(times, [values[time] for time in times])]).to(self.family.codes.device)
        posterior = infer_codes(self.family, shown, self.inference, seed, [KEY], priors=priors, begin=self._said(shown))
        effective = float(posterior.effective[:, 0].mean())
        [(member, code)] = posterior.most_probable(self.family)
        told = dict(masses or {})
        return InferredLaw(self.family, code, posterior.draws[:, 0], effective, member, told, inflated=True)

    def _said(self, shown: ShownSamples) -> Tensor | None:
        """Codes that the network says which reads samples, one more place that the search begins at; None without
        one."""
        if self.family.encoder is None:
            return None
        return self.family.encoded(shown.times, shown.values, shown.there)[:, :, None]

    def environment(self, id: str) -> InferredLaw:
        """The learned law of a visible environment, whose code is known.

        Raises:
            InputError: there is no such environment.
        """
        if id not in self.visible:
            raise InputError(f"environment: found {id!r}, expected one of {listed(self.visible, 4)}")
        code = self.family.codes[self.visible.index(id)]
        return InferredLaw(self.family.alone, code, code[None, None])

    def _check_masses(self, masses: Mapping[float, float]) -> None:
        if self.family.masses is None:
            raise InputError(
                "masses: found some, expected none: the study was not told sizes of populations (data.mass)"
            )
        self.family.check_times(list(masses), "masses: time")
        for time, mass in masses.items():
            if not 0 < mass < float("inf"):
                raise InputError(f"masses: time {time:g}: found {mass:g}, expected a number above 0")

    @staticmethod
    def _prior_of(family: TrainedFamily, parameters: Mapping[str, float]) -> CodePrior:
        scaling = family.scaling
        scaling.check(dict(parameters), "parameters")
        if not scaling.names:
            raise InputError("parameters: found some, expected none: the study's environments have no parameters")
        values = np.array([[float(parameters[name]) for name in scaling.names]])
        return prior_of_parameters(family, scaling.apply(values).to(family.codes.device))[0]

    def _normal(self, seed: int, place: int, numbers: int) -> Tensor:
        """What codes of a map are made of, by its place among the others."""
        draws = Draws(self.family.codes.device, seed, KEY, *([place] if place else []))
        return draws.normal(-(-self.inference.draws // len(self.family.members)), numbers)

    def _checked(self, given: ArrayLike, time: float) -> NDArray[np.float64]:
        values = np.asarray(given, dtype=np.float64)
        dimensions = len(self.dimensions)
        if values.ndim != 2 or values.shape[1] != dimensions or not len(values):
            raise InputError(
                f"samples: time {time:g}: found shape {values.shape}, expected (samples, {dimensions}), one a dimension"
            )
        described = self.family.density.space.describe()
        wrong = ~np.isfinite(values)
        expected = "finite numbers"
        if described["kind"] == "counts":
            wrong |= (values < 0) | (values != np.round(values)) | (values >= described["states"])
            expected = f"whole numbers from 0 to {described['states'] - 1}"
        if wrong.any():
            row, dimension = np.argwhere(wrong)[0]
            raise InputError(
                f"samples: time {time:g}, sample {row}, dimension {self.dimensions[dimension]}: found "
                f"{values[row, dimension]:g}, expected {expected}"
            )
        return values


@dataclass(frozen=True)
class InferredLaw:
    """The evolving law of an environment: of its most probable code, and of an ensemble of codes that are possible,
    under each of the maps that were trained.

    Attributes:
        family: that it is a member of.
        code: most probable [number].
        codes: of the ensemble, as many of each map [map, draw, number].
        effective: how many independent draws a map's proposals are worth, in the mean; None where nothing was inferred.
        map_of_code: the member of the family that the most probable code is one of; None for the first.
        masses: sizes of the population that are known, by time.
        inflated: whether codes are moved apart for bands, as far as left-out visible environments ask for.
    """

    family: TrainedFamily
    code: Tensor
    codes: Tensor
    effective: float | None = None
    map_of_code: TrainedFamily | None = None
    masses: Mapping[float, float] = field(default_factory=dict)
    inflated: bool = False

    def at(self, time: float) -> Density:
        """The density of the most probable code at a time, with its weights.

        Raises:
            InputError: the time lies outside of what was learned.
        """
        self.family.check_times([time])
        with torch.no_grad():
            weights = path_weights(self.map_of_code or self.family, self.code, [time])
        return Density(Laws.of(self.family.density, weights), time)

    def sample(self, times: Sequence[float] | NDArray[np.float64], n: int, seed: int = 0) -> NDArray[np.float64]:
        """Draw samples of the ensemble's mixture: [time, n, dimension].

        What two snapshots leave open is in it: it is wider than the law of any single code.

        Raises:
            InputError: a time lies outside of what was learned, or n is less than 1.
        """
        each = -(-self._checked(times, n) // len(self.codes.flatten(0, 1)))
        return mixed(ensemble_samples(self.family, [float(time) for time in times], self.codes, each, seed), n)

    def members(self, times: Sequence[float] | NDArray[np.float64], n: int, seed: int = 0) -> NDArray[np.float64]:
        """Draw samples of every member of the ensemble: [draw, time, n, dimension].

        Raises:
            InputError: as :meth:`sample`.
        """
        self._checked(times, n)
        return ensemble_samples(self.family, [float(time) for time in times], self.codes, n, seed)

    def mean_band(self, times: Sequence[float] | NDArray[np.float64], n: int = 1000, seed: int = 0) -> Band:
        """The 90 % band on the mean, from ``n`` samples of each member: low, median and high [time, dimension]. Codes
        are moved apart for it, as far as left-out visible environments ask for.

        Raises:
            InputError: as :meth:`sample`.
        """
        return Band.of(self._members_of_bands(times, n, seed).mean(2))

    def tail_band(
        self, times: Sequence[float] | NDArray[np.float64], thresholds: ArrayLike, n: int = 1000, seed: int = 0
    ) -> Band:
        """The 90 % band on the probability that a dimension is above its threshold: [time, dimension].

        Args:
            times: in the data's unit.
            thresholds: [dimension], in the data's units.
            n: samples of each member.
            seed: of the samples.

        Raises:
            InputError: as :meth:`sample`; or not a threshold for each dimension.
        """
        limits = np.asarray(thresholds, dtype=np.float64)
        dimensions = self.family.density.space.dimensions
        if limits.shape != (dimensions,):
            raise InputError(f"thresholds: found shape {limits.shape}, expected ({dimensions},), one a dimension")
        return Band.of((self._members_of_bands(times, n, seed) > limits).mean(2))

    def mass(self, times: Sequence[float] | NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
        """The size of the population at times, in that at the first time whose size is known or, where none is, at the
        first that was learned: the median of the ensemble's [time].

        Raises:
            InputError: a time lies outside of what was learned, or the study was not told sizes.
        """
        return self.mass_band(times, seed).median

    def mass_band(self, times: Sequence[float] | NDArray[np.float64], seed: int = 0) -> Band:
        """The ensemble's median and 90 % band on the size of the population: low, median and high [time].

        Raises:
            InputError: as :meth:`mass`.
        """
        self.family.check_times(list(times))
        if self.family.masses is None:
            raise InputError(
                "mass: found a study without sizes of populations, expected data.mass in its configuration"
            )
        since = min(self.masses, default=self.family.first)
        wanted = [float(time) for time in times]
        codes = self._codes_of_bands()
        return Band.of(np.exp(ensemble_log_growth(self.family, codes, wanted, since, self.masses, seed)))

    def log_prob(self, x: ArrayLike, time: float) -> NDArray[np.float64]:
        """Log density of the ensemble's mixture (log probability, for counts): [sample, dimension] -> [sample].

        Raises:
            InputError: the time lies outside of what was learned, or the last axis is not the state's.
        """
        self.family.check_times([time])
        values = torch.as_tensor(np.asarray(x, dtype=np.float64), device=self.codes.device)
        dimensions = self.family.density.space.dimensions
        if values.ndim != 2 or values.shape[1] != dimensions:
            raise InputError(f"x: found shape {list(values.shape)}, expected [sample, {dimensions}]")
        return mixture_log_prob(self.family, float(time), self.codes, values).cpu().numpy()

    def _codes_of_bands(self) -> Tensor:
        return self.family.moved_apart(self.codes) if self.inflated else self.codes

    def _members_of_bands(self, times: Sequence[float] | NDArray[np.float64], n: int, seed: int) -> NDArray[np.float64]:
        """As :meth:`members`, of codes that are moved apart."""
        return replace(self, codes=self._codes_of_bands()).members(times, n, seed)

    def _checked(self, times: Sequence[float] | NDArray[np.float64], n: int) -> int:
        self.family.check_times(list(times))
        if n < 1:
            raise InputError(f"n: found {n}, expected at least 1")
        return n
