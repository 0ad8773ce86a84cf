"""Which terms states need whose frames lie far apart, so that splines between them are not what happened there.

What states do within a step and the terms that explain it are found in turns: terms are fitted to integrals along a
path within each step, at first the chord, and the next path is the flow of these equations, bent to end in the next
frame (as weightcast.environments.explain.distillation does it for one network). Terms go one by one as where frames lie
close, and the fewer are left, the truer the paths.

Where polynomials leave much unexplained, one Hill function may be a factor as well
(:class:`weightcast.environments.baselines.saturating_terms.SaturatingTerms`): each component and power is tried in a
few environments, with all products, and the one is taken that explains held-out steps best; K, each environment's own,
is searched on grids that become finer while terms go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import simpson

from weightcast.core.run import Run
from weightcast.environments.baselines.saturating_terms import SaturatingTerms
from weightcast.environments.baselines.sparse_equations import (
    Chosen,
    Elimination,
    Increments,
    StateTerms,
    coefficients,
    eliminate,
    structure,
)
from weightcast.environments.explain.polynomials import Array, Monomials, path_within

FINE = 16
"""Parts of a path within a step: rates may change that often between two frames."""
RIDGE = 1e-6
"""Penalty on columns of unit length while all terms are fitted, which may nearly depend on each other."""
PATHS = 8
"""Turns of paths and coefficients with the same terms."""
TURNS = 6
"""Turns of paths and terms."""
TURN_TOLERANCES, AS_WELL = (2.0, 5.0), 2.0
"""How much larger an equation's held-out error may be in these turns for the sake of fewer terms; the fewest are taken
if the error that is left with paths of their own is at most so many times that of the others."""
CONTENDERS, CONTENDED_TURNS = 3, 3
"""Hill functions that also go through such turns in a few environments, and how many, before one is taken."""
TERMS_EACH = 4
"""Terms of an equation, on average, up to which more than are allowed at the end may be left in these turns."""
TRIED_ENVIRONMENTS, TRIED_STEPS, TRIED_HALVES = 3, 256, 8
"""With which components and powers of Hill functions are compared: environments, steps of each, values of K."""
MUCH_BETTER = 0.6
"""Times the unexplained part by polynomials (root mean square, mean over equations of its logarithm), which a Hill
function must not exceed to be taken."""
NEARER = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
"""Where K is looked for around the last one, in widths of a grid on the logarithmic scale."""
ROUNDS, FINER = 3, 0.6
"""Grids with the same terms, and what the width becomes from one to the next, and in the next turn."""
WIDEST = 1e3
"""The highest K that is tried over the lowest, at most."""
HELD_OUT = 5
"""Every so-many-th trajectory judges where no others do."""
MOST_STEPS, MOST_ENVIRONMENTS = 512, 12
"""Steps of an environment, and environments that terms are found in, or followed at once."""
LAST_ROUNDS = 8
"""Grids of K for each environment when its terms are settled."""


StepTerms = StateTerms | SaturatingTerms
"""Terms that can be evaluated within a step, some of them at a time."""


@dataclass(frozen=True)
class Steps:
    """States and what they were a frame later.

    Attributes:
        before: [environment, step, component].
        after: likewise.
    """

    before: Array
    after: Array

    @classmethod
    def of(cls, states: Array, most: int = MOST_STEPS) -> Steps:
        """Steps of states [environment, trajectory, frame, component]; evenly chosen where there are more than so
        many."""
        steps = cls(*(part.reshape(len(states), -1, states.shape[3]) for part in (states[:, :, :-1], states[:, :, 1:])))
        return steps.some(most)

    def some(self, most: int) -> Steps:
        """So many of each environment's steps, evenly chosen."""
        chosen = _spread(self.before.shape[1], most)
        return Steps(self.before[:, chosen], self.after[:, chosen])

    def rows(self, environments: Sequence[int] | NDArray[np.int64]) -> Steps:
        """The steps of some environments, by position, each as often as it is named."""
        return Steps(self.before[environments], self.after[environments])

    @property
    def changes(self) -> Array:
        """[environment, step, component]."""
        return self.after - self.before

    def chords(self) -> Array:
        """Straight paths [fine, environment, step, component]."""
        return self.before + _FRACTIONS * self.changes

    def along(self, path: Array, terms: StepTerms, some: Sequence[int] | None = None) -> Increments:
        """What terms, or some of them, amount to along a path [fine, environment, step, component]."""
        some = range(len(terms.names)) if some is None else some
        integrals = np.stack([simpson(terms.of(path, [term])[0], dx=1 / FINE, axis=0) for term in some], -1)
        return Increments(integrals, self.changes)

    def bent(self, terms: StepTerms, some: Sequence[int], values: Array) -> Array:
        """The paths of equations, bent to end in the next frames; chords where they leave the states' range by as much
        again.

        Args:
            terms: of which equations have some.
            some: which.
            values: coefficients of these [environment, term, equation].
        """
        ends = np.concatenate([self.before, self.after], 1)
        low, high = ends.min(1, keepdims=True), ends.max(1, keepdims=True)
        extent = high - low

        def rate(states: Array) -> Array:
            shown = terms.of(np.clip(states, low - extent, high + extent), some)
            return np.moveaxis(shown, 0, -1) @ values

        path = path_within(rate, self.before, 1.0, FINE)
        chords = self.chords()
        path += _FRACTIONS * (self.after - path[-1])
        lost = ~np.all(np.abs(path - chords) <= extent, axis=(0, 3))
        path[:, lost] = chords[:, lost]
        return path


_FRACTIONS = np.linspace(0.0, 1.0, FINE + 1)[:, None, None, None]


@dataclass(frozen=True)
class Explained:
    """What happened within the steps, as far as some terms explain it.

    Attributes:
        terms: with K of each environment, where they have a Hill function.
        path: within the steps that were fitted [fine, environment, step, component].
        held_out: within those that judge, likewise.
        unexplained: mean square of held-out changes that is left, over that of all of them [environment, equation].
    """

    terms: StepTerms
    path: Array
    held_out: Array
    unexplained: Array

    @property
    def score(self) -> float:
        """Mean over equations of the logarithm of the unexplained part, root mean square."""
        return float(np.log(np.maximum(self.unexplained.mean(0), 1e-300)).mean() / 2)


class CoarseSteps:
    """A search for the terms of states whose frames lie far apart.

    Args:
        run: whose rehearsal does less.
        states: of the visible environments [environment, trajectory, frame, component].
        judging: trajectories that judge, likewise; None: some of the others.
        monomials: of the components.
        powers: of Hill functions; none: polynomials alone.
        most: terms of all equations together.
    """

    def __init__(
        self,
        run: Run,
        states: Array,
        judging: Array | None,
        monomials: Monomials,
        powers: Sequence[int],
        most: int,
    ) -> None:
        self.run, self.monomials, self.powers = run, monomials, powers
        self.most = max(most, TERMS_EACH * states.shape[3])
        if judging is None and states.shape[1] > HELD_OUT:
            judges = np.arange(states.shape[1]) % HELD_OUT == HELD_OUT - 1
            states, judging = states[:, ~judges], states[:, judges]
        self.every = Steps.of(states)
        self.every_held_out = self.every if judging is None else Steps.of(judging)
        some = _spread(len(states), MOST_ENVIRONMENTS)
        self.steps, self.held_out = self.every.rows(some), self.every_held_out.rows(some)

    def found(self) -> tuple[StepTerms, list[Elimination]]:
        """The terms that may be there, and of each equation what is left as they go."""
        best = self._hill_function()
        if best is None:
            found, width = self._followed(StateTerms(self.monomials), None, self.steps, self.held_out), 0.0
        else:
            print(f"in turns: a Hill function of {self.monomials.names[1 + best[0]]}, power {best[1]}", flush=True)
            found, width = self._tried(*best, self.steps, self.held_out), self._width(best[0])
        with self.run.iterations(TURNS, "equations in turns") as count:
            found = self._in_turns(found, width, count, self.steps, self.held_out)
        return found.terms, _eliminations(found, self.steps, self.held_out)

    def start(self, terms: StepTerms, chosen: Chosen) -> Array:
        """Weights of predictors of some terms for all visible environments [environment, weight]: coefficients by
        regression, and the best K of grids that become finer.

        Args:
            terms: that were found.
            chosen: of these.
        """
        weights = []
        for first in range(0, len(self.every.before), MOST_ENVIRONMENTS):
            rows = np.arange(first, min(first + MOST_ENVIRONMENTS, len(self.every.before)))
            steps, other = self.every.rows(rows), self.every_held_out.rows(rows)
            own, width = terms, 0.0
            if isinstance(terms, SaturatingTerms):
                own = replace(terms, halves=np.full(len(rows), np.median(terms.halves)))
                width = self._width(terms.component)
            found = self._followed(own, chosen, steps, other)
            for place, times in enumerate(FINER ** np.arange(LAST_ROUNDS)):
                found = self._nearer(found, chosen, width * times, steps, other, anywhere=place == 0)
            values = coefficients(steps.along(found.path, found.terms), chosen)
            weights.append(found.terms.start(chosen, values))
        return np.concatenate(weights)

    def _hill_function(self) -> tuple[int, int] | None:
        """The component and the power of the best one in a few environments; None if none is much better than
        polynomials."""
        some = _spread(len(self.steps.before), TRIED_ENVIRONMENTS)
        steps, other = (part.rows(some).some(TRIED_STEPS) for part in (self.steps, self.held_out))
        plain = self._followed(StateTerms(self.monomials), None, steps, other)
        candidates = [(one, power) for one in range(self.steps.before.shape[2]) for power in self.powers]
        tried: dict[tuple[int, int], Explained] = {}
        with self.run.iterations(len(candidates), "Hill functions") as done:
            for candidate in candidates[:done]:
                tried[candidate] = self._tried(*candidate, steps, other)
        allowed = plain.score + np.log(MUCH_BETTER)
        contenders = sorted((one for one in tried if tried[one].score < allowed), key=lambda one: tried[one].score)
        contenders = contenders[:CONTENDERS]
        if len(contenders) < 2:
            return contenders[0] if contenders else None
        with self.run.iterations(len(contenders), "contenders") as done:
            ends = {
                one: self._in_turns(tried[one], self._width(one[0]), CONTENDED_TURNS, steps, other)
                for one in contenders[:done]
            }
        return min(ends, key=lambda one: ends[one].score)

    def _in_turns(self, found: Explained, width: float, turns: int, steps: Steps, other: Steps) -> Explained:
        """Terms and paths in turns, K on grids of a width; the fewer terms are taken where they do as well."""
        if width:
            for times in FINER ** np.arange(ROUNDS):
                found = self._nearer(found, None, width * times, steps, other)
        for turn in range(turns):
            eliminations = _eliminations(found, steps, other)
            every = [structure(eliminations, tolerance, self.most) for tolerance in TURN_TOLERANCES]
            ends: list[tuple[Chosen, Explained]] = []
            for chosen in {one.tobytes(): one for one in every if one.any()}.values():
                end = found
                for place, times in enumerate(FINER ** (turn + np.arange(ROUNDS if width else 1))):
                    end = self._nearer(end, chosen, width * times, steps, other, anywhere=place == 0)
                ends.append((chosen, end))
            if not ends:  # nothing explains anything
                break
            as_well = ends[-1][1].score < ends[0][1].score + np.log(AS_WELL)
            chosen, found = ends[-1] if as_well else ends[0]
            print(f"in turns: {int(chosen.sum())} terms, unexplained {np.exp(found.score):.2g}", flush=True)
        return found

    def _width(self, component: int) -> float:
        """That of the first grid of K, on the logarithmic scale."""
        halves = self._halves(component)
        return float(np.log(halves[1] / halves[0]))

    def _tried(self, component: int, power: int, steps: Steps, other: Steps) -> Explained:
        """All products with a Hill function, with the best K of a grid for each environment."""
        halves = np.tile(self._halves(component), (len(steps.before), 1))
        return self._best(SaturatingTerms(self.monomials, component, power, halves), None, None, steps, other)

    def _nearer(
        self, found: Explained, chosen: Chosen | None, width: float, steps: Steps, other: Steps, anywhere: bool = False
    ) -> Explained:
        """The same terms, or fewer, from the paths on, with the best K around the last one."""
        if not isinstance(found.terms, SaturatingTerms):
            return self._followed(found.terms, chosen, steps, other, found.path)
        halves = found.terms.halves[:, None] * np.exp(width * NEARER)
        if anywhere:
            halves = np.concatenate([halves, np.tile(self._halves(found.terms.component), (len(halves), 1))], 1)
        terms = replace(found.terms, halves=halves)
        return self._best(terms, chosen, found.path, steps, other)

    def _best(
        self, terms: SaturatingTerms, chosen: Chosen | None, path: Array | None, steps: Steps, other: Steps
    ) -> Explained:
        """Of several values of K of each environment [environment, value] the best: all are followed at once, as if
        each were an environment."""
        count, values = terms.halves.shape
        rows = np.repeat(np.arange(count), values)
        stacked = replace(terms, halves=terms.halves.reshape(-1))
        path = None if path is None else path[:, rows]
        every = self._followed(stacked, chosen, steps.rows(rows), other.rows(rows), path)
        each = every.unexplained.sum(1).reshape(count, values)
        place = np.arange(count) * values + each.argmin(1)
        return Explained(
            replace(terms, halves=stacked.halves[place]),
            every.path[:, place],
            every.held_out[:, place],
            every.unexplained[place],
        )

    def _followed(
        self,
        terms: StepTerms,
        chosen: Chosen | None,
        steps: Steps,
        other: Steps,
        path: Array | None = None,
    ) -> Explained:
        """Coefficients and paths of some terms in turns, all terms if none are chosen, beginning with a path, or with
        chords."""
        fit = coefficients
        if chosen is None:
            chosen, fit = np.ones((steps.before.shape[2], len(terms.names)), bool), partial(coefficients, ridge=RIDGE)
        some = np.flatnonzero(chosen.any(0)).tolist()
        chosen = chosen[:, some]
        equations, places = np.nonzero(chosen)
        path = steps.chords() if path is None else path
        values = np.zeros((len(steps.before), *chosen.T.shape))
        for _ in range(PATHS):
            values[:, places, equations] = fit(steps.along(path, terms, some), chosen)
            path = steps.bent(terms, some, values)
        held_out = other.bent(terms, some, values)
        seen = other.along(held_out, terms, some)
        rest = seen.changes - np.einsum("est,etc->esc", seen.integrals, values)
        whole = np.maximum(np.square(seen.changes).mean((0, 1)), 1e-300)
        return Explained(terms, path, held_out, np.square(rest).mean(1) / whole)

    def _halves(self, component: int) -> Array:
        """Values of K that are tried, over the range of a component."""
        seen = np.maximum(self.steps.before[..., component], 0.0)
        highest = max(float(np.quantile(seen, 0.98)), 1e-6)
        lowest = max(float(np.quantile(seen, 0.02)), highest / WIDEST)
        return np.geomspace(min(lowest, highest / 2), highest, TRIED_HALVES)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of the positions up to a count, evenly chosen."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def _eliminations(found: Explained, steps: Steps, other: Steps) -> list[Elimination]:
    """What is left of each equation as terms go."""
    seen, judging = steps.along(found.path, found.terms), other.along(found.held_out, found.terms)
    return [eliminate(seen, judging, equation) for equation in range(steps.before.shape[2])]
