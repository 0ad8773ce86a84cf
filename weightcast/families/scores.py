"""Rows of results as they come, of methods that give paths of weights, densities or samples."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.outputs import Table
from weightcast.core.seeds import derive_seed
from weightcast.evolution.density import time_key
from weightcast.families.bands import ensemble_log_growth, path_weights
from weightcast.families.baselines.barycentric import interpolated_parts
from weightcast.families.baselines.conditional_flow import ConditionalFlow
from weightcast.families.baselines.environment_displacement import EnvironmentDisplacement
from weightcast.families.cases import Case
from weightcast.families.evaluation import DrawnLaw, Row, TestEnvironment, evaluate_ensemble
from weightcast.families.jobs import EvaluateFamily, EvaluateOpponents
from weightcast.families.masses import constant_growth
from weightcast.families.snapshots import Samples
from weightcast.families.trained_family import TrainedFamily
from weightcast.systems.stochastic import StochasticProcess, build_stochastic_system, simulate


class Scores:
    """Collects the rows of one seed.

    Attributes:
        settings: of the stage that scores.
        tests: the environments that methods are scored in.
        seed: of the family.
        rows: of metrics.csv.
        bands: of bands.csv.
        seconds: that a method takes for each new environment, by its name.
    """

    def __init__(self, settings: EvaluateFamily | EvaluateOpponents, tests: Sequence[TestEnvironment]) -> None:
        self.settings, self.tests, self.seed = settings, tests, settings.family_seed
        self.rows: list[Row] = []
        self.bands: list[Row] = []
        self.seconds: dict[str, float] = {}

    def paths(
        self,
        method: str,
        family: TrainedFamily,
        codes: Tensor,
        seconds: float = 0.0,
        shown: Case | None = None,
        masses: Sequence[Mapping[float, float]] | None = None,
    ) -> None:
        """Score the path of one code [environment, number] an environment: see :meth:`paths_of`."""
        self.paths_of(method, [(family, code) for code in codes], seconds, shown, masses)

    def paths_of(
        self,
        method: str,
        paths: Sequence[tuple[TrainedFamily, Tensor]],
        seconds: float = 0.0,
        shown: Case | None = None,
        masses: Sequence[Mapping[float, float]] | None = None,
    ) -> None:
        """Score the path of one code [number] an environment, each with the map that it is a code of.

        Args:
            method: its name.
            paths: of each environment.
            seconds: that it takes for each.
            shown: what the method was shown; None: nothing.
            masses: by time, that its curve of each environment's mass goes through; None: those that are shown.
        """
        for place, ((family, code), test) in enumerate(zip(paths, self.tests, strict=True)):
            self.rows += test.path_rows(method, self.seed, family.density, path_weights(family, code, test.times))
            if family.masses is not None:
                told = test.shown_masses(shown) if masses is None else masses[place]
                own = code.double().cpu().numpy()[None]
                grown = family.masses.log_growth(own, test.times, test.since(shown), told)
                self.rows += test.mass_rows(method, self.seed, grown, shown)
        self.seconds[method] = seconds

    def masses_kept(self, method: str, shown: Case) -> None:
        """Score masses that go on to grow at the mean rate of those shown."""
        for test in self.tests:
            if test.snapshots.masses is not None:
                grown = constant_growth(test.shown_masses(shown), test.times)[None]
                self.rows += test.mass_rows(method, self.seed, grown, shown)

    def ensembles(
        self, method: str, family: TrainedFamily, codes: Tensor, seconds: float, shown: Case | None = None
    ) -> None:
        """Score ensembles of codes [map, environment, draw, number]; of one environment of each split at all times."""
        drawn: set[str] = set()
        for of_test, test in zip(codes.unbind(1), self.tests, strict=True):
            everywhere = [place for place, held_out in enumerate(test.snapshots.held_out) if len(held_out)]
            further = [] if test.split in drawn else everywhere
            drawn.add(test.split)
            rows, bands = evaluate_ensemble(method, self.seed, family, of_test, test, further)
            self.rows += rows
            self.bands += bands
            if family.masses is not None:
                at = sorted({*test.positions, *further})
                times = [float(test.snapshots.times[position]) for position in at]
                told, seed = test.shown_masses(shown), derive_seed(self.seed, "mass", test.id)
                apart = family.moved_apart(of_test)
                grown = ensemble_log_growth(family, apart, times, test.since(shown), told, seed)
                self.rows += test.mass_rows(
                    method, self.seed, grown[:, [at.index(position) for position in test.positions]], shown
                )
                self.bands += test.mass_bands(method, self.seed, grown, at, shown)
        self.seconds[method] = seconds

    def interpolated(self, method: str, family: TrainedFamily, shares: Tensor, seconds: float) -> None:
        """Score paths that are so much of each visible one [environment, visible]."""
        for own, test in zip(shares, self.tests, strict=True):
            used = own.nonzero()[:, 0]
            times = torch.tensor(test.times, dtype=torch.double, device=own.device)
            parts = interpolated_parts(family, times[None], used[None])[:, :, 0]
            self.rows += test.path_rows(method, self.seed, family.density, torch.einsum("n,ntw->tw", own[used], parts))
        self.seconds[method] = seconds

    def displaced(self, method: str, displacement: EnvironmentDisplacement, shares: Tensor, seconds: float) -> None:
        """Score samples of environments that are so much of each visible one [environment, visible].

        Args:
            method: its name.
            displacement: of the visible environments.
            shares: of these.
            seconds: that finding the shares took for each environment.
        """
        started = time.monotonic()
        for own, test in zip(shares.double().cpu().numpy(), self.tests, strict=True):
            drawn = [
                displacement.sample(
                    own, at, test.samples, derive_seed(self.settings.seed, method, self.seed, test.id, time_key(at))
                )
                for at in test.times
            ]
            self.rows += test.sample_rows(method, self.seed, np.stack(drawn))
        self.seconds[method] = seconds + (time.monotonic() - started) / len(self.tests)

    def carried(self, method: str, flow: ConditionalFlow, begun: Sequence[tuple[Samples, float, Tensor]]) -> None:
        """Score samples that a velocity field carries.

        Args:
            method: its name.
            flow: trained.
            begun: of each environment samples [sample, dimension], their time, and scaled parameters [parameter].
        """
        started = time.monotonic()
        drawn = [
            flow.carry(start, begin, test.times, parameters)
            for (start, begin, parameters), test in zip(begun, self.tests, strict=True)
        ]
        self.seconds[method] = (time.monotonic() - started) / len(self.tests)
        for values, test in zip(drawn, self.tests, strict=True):
            self.rows += test.sample_rows(method, self.seed, values)

    def densities(self, method: str, family: TrainedFamily, weights: Sequence[Tensor], seconds: float = 0.0) -> None:
        """Score densities of each environment at the times that are scored of it [time, weight]."""
        for own, test in zip(weights, self.tests, strict=True):
            self.rows += test.path_rows(method, self.seed, family.density, own)
        self.seconds[method] = seconds

    def kept(self, method: str, family: TrainedFamily, weights: Tensor, seconds: float) -> None:
        """Score densities [environment, weight] that stay as they are."""
        for own, test in zip(weights, self.tests, strict=True):
            self.rows += test.path_rows(method, self.seed, family.density, own.expand(len(test.positions), -1))
        self.seconds[method] = seconds

    def simulated(
        self, method: str, processes: Sequence[StochasticProcess], states: int | None, seconds: float
    ) -> None:
        """Score what a process makes of each environment: its law, where theory knows it, else its simulation.

        Args:
            method: its name.
            processes: of each environment, from its start at time 0.
            states: for counts, every dimension is one of 0 to states - 1; None for a real state.
            seconds: that the method takes for each environment.
        """
        for process, test in zip(processes, self.tests, strict=True):
            seed = derive_seed(self.settings.seed, method, self.seed, test.id)
            if process.law is not None:
                self.rows += test.law_rows(method, process.law, states, seed, self.seed)
                continue
            drawn = simulate(process, np.array(test.times), test.samples, seed).astype(np.float64).swapaxes(0, 1)
            self.rows += test.sample_rows(method, self.seed, drawn if states is None else drawn.clip(0, states - 1))
        self.seconds[method] = seconds

    def evolved(self, method: str, laws: Sequence[DrawnLaw], states: int | None, seconds: float) -> None:
        """Score evolving laws of which a method makes one for each environment.

        Args:
            method: its name.
            laws: of each environment.
            states: for counts, every dimension is one of 0 to states - 1; None for a real state.
            seconds: that the method takes for each environment.
        """
        for law, test in zip(laws, self.tests, strict=True):
            seed = derive_seed(self.settings.seed, method, self.seed, test.id)
            self.rows += test.law_rows(method, law, states, seed, self.seed)
        self.seconds[method] = seconds

    def seconds_table(self) -> Table:
        """What each method takes for a new environment."""
        return Table.of_rows([{"method": name, "seconds": spent} for name, spent in self.seconds.items()])

    def floor(self) -> None:
        """Score the other part of the samples: no prediction of so many can be nearer to the truth, but by chance."""
        for test in self.tests:
            for position in test.positions:
                other = test.snapshots.train[position]
                random = np.random.default_rng(derive_seed(self.settings.seed, "floor", test.id, position))
                chosen = random.permutation(len(other))[: test.samples]
                self.rows += test.rows_at("sampling-floor", 0, position, other[chosen])
        self.seconds["sampling-floor"] = 0.0

    def exact_laws(self, table: EnvironmentTable, states: int | None) -> None:
        """Score the law of each environment's simulator, where theory knows it."""
        settings = self.settings
        if settings.system is None:
            return
        for test in self.tests:
            own = settings.system_settings | dict(table[test.id].parameters)
            law = build_stochastic_system(settings.system, own).law
            if law is None:
                return
            self.rows += test.law_rows("exact-law", law, states, settings.seed)
        self.seconds["exact-law"] = 0.0
