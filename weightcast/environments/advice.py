"""What a study says to do with an environment of which a few frames are known: computed, and told in one line.

Like is compared with like: methods that see frames, or nothing, with each other; a network trained on an environment's
whole record with the pooled network that it began from; never what is told parameters with what is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from weightcast.core.methods import (
    AUTOREGRESSION,
    CODE_ADAPTATION,
    CONTEXT,
    EQUATIONS,
    IN_CONTEXT,
    ONE_PER_ENV_PREFIX,
    SKILL_FLOOR,
    TREES,
    method,
)
from weightcast.core.report.number_formats import number, p_value
from weightcast.core.significance import PairedRatio, best_method, environment_errors, paired_ratio
from weightcast.environments.config.evaluation import ObservedCase

ALIKE = 1.05
"""Times the best method's error that a simpler one may have, if the environments cannot tell the two apart; and times
that of a network trained on a whole record that a method may have whose frames make up for it."""
SIGNIFICANT = 0.05
"""Of the paired test, from which on nothing is said to be so."""
_SIMPLEST_FIRST = (*SKILL_FLOOR, AUTOREGRESSION, TREES, "erm", "average-erm", "average-conditioned", "finetune-erm")
_LAST = (IN_CONTEXT, EQUATIONS, CONTEXT)
_PARTS = (CODE_ADAPTATION,)
"""Methods that are the context with a part of it left out: compared in tables, but nothing that anybody could use."""


@dataclass(frozen=True)
class Answer:
    """One question of those that a person has.

    Attributes:
        question: ``use``, ``environment`` (does it matter) or ``frames`` (how many make up for a whole record).
        answer: in a sentence.
        method: that it speaks of.
        other: that it is compared with; empty where there is none.
        ratio: geometric mean over environments of the first one's errors over the other's.
        low: end of the ratio's 95 % interval.
        high: the other end.
        p: of the paired test.
        n: environments.
    """

    question: str
    answer: str
    method: str
    other: str
    ratio: float
    low: float
    high: float
    p: float
    n: int


def give_advice(observed: pd.DataFrame, cases: Sequence[ObservedCase], horizon: int) -> list[Answer]:
    """Answers from the errors in unseen environments, the one line first.

    Args:
        observed: rows of observed.csv.
        cases: what was shown.
        horizon: frames; the trained horizon.
    """
    plain = [case for case in cases if case.noise == 0 and case.masked == 0 and case.every == 1] or list(cases[:1])
    errors = {case.name: _errors(observed[observed["case"] == case.name], horizon) for case in plain}
    first = errors[plain[0].name]
    matters = _whether_it_matters(first)
    return [*_what_to_use(first, plain[0]), *matters, *_how_many_frames(errors, plain)]


def advice_rows(answers: Sequence[Answer]) -> list[dict[str, object]]:
    """Rows of verdict.csv."""
    return [asdict(answer) for answer in answers]


def _errors(rows: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Errors [environment, method] over all unseen environments."""
    errors = environment_errors(rows, horizon)
    return errors.pivot(index="environment", columns="method", values="value")


def _whether_it_matters(errors: pd.DataFrame) -> list[Answer]:
    """A network trained on the very environment's record against the pooled one that it began from."""
    expert, pooled = f"{ONE_PER_ENV_PREFIX}erm", "erm"
    if not {expert, pooled} <= set(errors.columns):
        return []
    compared = _compared(errors, expert, pooled)
    times = f"{number(compared.ratio)} times ({number(compared.low)} to {number(compared.high)}) the pooled network's"
    own = f"a network trained on an environment's whole record has {times} error, over {_environments(compared.n)}"
    told = compared.p < SIGNIFICANT  # of fewer environments than a test takes it cannot be told, whatever the interval
    if told and compared.high < 1:
        words = f"The environment matters: {own}"
    elif told and compared.low > 1:
        words = f"The environment's own record alone is too little to gain by: {own}"
    else:
        words = f"Whether the environment matters cannot be told: {own}"
    return [_answer("environment", f"{words}{_tested(compared)}.", expert, pooled, compared)]


def _how_many_frames(errors: dict[str, pd.DataFrame], cases: Sequence[ObservedCase]) -> list[Answer]:
    """The fewest frames from which a method is as good as a network trained on the whole record."""
    found = None
    for case in sorted(cases, key=lambda case: case.all_frames):
        of_case = errors[case.name]
        expert = _best(of_case, [name for name in of_case if name.startswith(ONE_PER_ENV_PREFIX)])
        best = _best(of_case, [name for name in of_case if method(name).knows in ("frames", "nothing")])
        if expert is None or best is None:
            return []
        compared = _compared(of_case, best, expert)
        found = best, expert, compared
        if _alike(compared):
            words = _reached(case, best, compared)
            return [_answer("frames", words, best, expert, compared)]
    if found is None:
        return []
    best, expert, compared = found
    most = _frames(max(case.all_frames for case in cases))
    worse = compared.low > 1 and compared.p < SIGNIFICANT
    reach = f"{most} make up for a whole record"
    begin = f"Not even {reach}" if worse else f"Whether {reach} cannot be told"
    words = (
        f"{begin}: {method(best).label} has {number(compared.ratio)} times "
        f"({number(compared.low)} to {number(compared.high)}) the error of a network trained on it{_tested(compared)}."
    )
    return [_answer("frames", words, best, expert, compared)]


def _reached(case: ObservedCase, best: str, compared: PairedRatio) -> str:
    times = f"{number(compared.ratio)} times ({number(compared.low)} to {number(compared.high)})"
    if method(best).knows == "nothing":
        return (
            f"No frames are needed: {method(best).label}, which sees none, has {times} the error of a network trained "
            "on the environment's whole record."
        )
    return (
        f"{_frames(case.all_frames).capitalize()} make up for a whole record: {method(best).label} has {times} the "
        "error of a network trained on it."
    )


def _what_to_use(errors: pd.DataFrame, case: ObservedCase) -> list[Answer]:
    """The simplest method that the environments cannot tell from the best."""
    candidates = [name for name in errors if method(name).knows in ("frames", "nothing") and name not in _PARTS]
    best = _best(errors, candidates)
    if best is None:
        return []
    medians = errors[candidates].median()
    alike = [name for name in candidates if name == best or _alike(_compared(errors, name, best))]
    chosen = min(alike, key=lambda name: (_effort(name), medians[name]))
    rival = _best(errors, [name for name in candidates if name != chosen and _effort(name) < _effort(chosen)])
    told = ", ".join(_shown(name, medians[name]) for name in _landmarks(candidates, (chosen, best)))
    words = f"Use {_shown(chosen, medians[chosen])}"
    if chosen != best:
        words += f": it cannot be told from the best, {_shown(best, medians[best])}"
    words += f", from {_frames(case.all_frames)}" + (f"; others: {told}" if told else "") + "."
    if rival is None:
        return [Answer("use", words, chosen, "", math.nan, math.nan, math.nan, math.nan, len(errors))]
    compared = _compared(errors, chosen, rival)
    words = words.removesuffix(".") + (
        f". Against the best that is simpler, {method(rival).label}, its error is {number(compared.ratio)} times "
        f"({number(compared.low)} to {number(compared.high)}){_tested(compared)}."
    )
    return [_answer("use", words, chosen, rival, compared)]


def _landmarks(candidates: Sequence[str], told: Sequence[str]) -> list[str]:
    """What everybody knows, for comparison, where it has not been told yet."""
    return [name for name in ("persistence", TREES, "erm", CONTEXT) if name in candidates and name not in told]


def _shown(name: str, median: float) -> str:
    return f"{method(name).label} ({number(median)})"


def _alike(compared: PairedRatio) -> bool:
    return compared.low <= 1 and compared.ratio <= ALIKE


def _effort(name: str) -> int:
    """How much it takes to have a method: what needs no training, regressions, one network, several."""
    whole = name.removesuffix("-observed")
    if whole in _SIMPLEST_FIRST:
        return 2 * _SIMPLEST_FIRST.index(whole) + (whole != name)
    base = len(_SIMPLEST_FIRST) * 2
    return base + 1 + next((place for place, last in enumerate(_LAST) if name.startswith(last)), -1)


def _best(errors: pd.DataFrame, names: Sequence[str]) -> str | None:
    return best_method(dict(errors[list(names)].median()), "rmse") if names else None


def _compared(errors: pd.DataFrame, first: str, second: str) -> PairedRatio:
    pairs = errors[[first, second]].dropna()
    return paired_ratio(pairs[first].to_numpy(), pairs[second].to_numpy())


def _answer(question: str, words: str, first: str, second: str, compared: PairedRatio) -> Answer:
    return Answer(question, words, first, second, compared.ratio, compared.low, compared.high, compared.p, compared.n)


def _tested(compared: PairedRatio) -> str:
    return "" if math.isnan(compared.p) else f", p {p_value(compared.p)}"


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _environments(count: int) -> str:
    return "1 environment" if count == 1 else f"{count} environments"
