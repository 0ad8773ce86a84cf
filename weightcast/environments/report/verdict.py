"""What the numbers say, in plain words, computed from the summary: also when that is not what one hoped for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from weightcast.core.methods import FINETUNE_PREFIX, GENERATOR_PREFIX, ONE_PER_ENV_PREFIX, SKILL_FLOOR, method
from weightcast.core.report.number_formats import interval, number, p_value, ratio
from weightcast.core.report.verdict import Verdict, best_of_family
from weightcast.core.significance import FEWEST_PAIRS, best_arm, best_method, paired_p, split_order

SIGNIFICANT = 0.05
MATTERS = 1.5
"""How many times better an expert of the environment must be than one pooled model for environments to matter."""
_WHERE = {
    "visible": "on the visible environments",
    "interpolation": "inside the range",
    "extrapolation": "outside the range",
}
"""The range: that of the visible environments' parameters."""

Standing = Literal["diverged", "no skill", "wins", "ahead", "behind", "loses", "alone"]
_HEADLINES: dict[Standing, str] = {
    "diverged": "diverge",
    "no skill": "have no skill",
    "wins": "beat every baseline",
    "ahead": "lead every baseline, though not significantly",
    "behind": "fall behind the best baseline, though not significantly",
    "loses": "lose to the best baseline",
    "alone": "have no baseline to be compared with",
}


@dataclass(frozen=True)
class Comparison:
    """The generator's chosen arm beside its rivals in one split, at the trained horizon.

    Attributes:
        split: of the environments.
        arm: row of the summary.
        reference: row of the strongest One-per-Env, or None.
        baseline: row of the best baseline, or None.
        floor: row of the better forecast without a network, or None.
        better: environments in which the arm has a lower error than the best baseline.
        pairs: environments in which both were evaluated.
        p: of the paired test against it.
    """

    split: str
    arm: pd.Series
    reference: pd.Series | None
    baseline: pd.Series | None
    floor: pd.Series | None
    better: int
    pairs: int
    p: float

    @property
    def standing(self) -> Standing:
        """Where the arm stands; nothing else counts where it has no skill."""
        if math.isinf(self.arm["median"]):
            return "diverged"
        if self.floor is not None and self.arm["median"] >= self.floor["median"]:
            return "no skill"
        if self.baseline is None:
            return "alone"
        lower = self.arm["median"] < self.baseline["median"]
        agree = self.better > self.pairs / 2 if lower else self.better < self.pairs / 2
        significant = agree and self.p < SIGNIFICANT
        if lower:
            return "wins" if significant else "ahead"
        return "loses" if significant else "behind"


def give_verdict(summary: pd.DataFrame, errors: pd.DataFrame, trained_horizon: int) -> Verdict:
    """Judge the generator's chosen arm on the unseen environments (on the visible ones where there are no others).

    Args:
        summary: as returned by `weightcast.core.significance.summarise`.
        errors: RMSE as returned by `weightcast.core.significance.environment_errors`, at the trained horizon.
        trained_horizon: frames.
    """
    arm = best_arm(summary)
    if arm is None:
        return Verdict("No generator was evaluated", "This study compares baselines and references alone.")
    rmse = summary[summary["metric"] == "rmse"]
    splits = sorted(rmse.loc[rmse["method"] == arm, "split"], key=split_order)
    splits = [split for split in splits if split != "visible"] or splits
    comparisons = [compare(rmse[rmse["split"] == split], errors[errors["split"] == split], arm) for split in splits]
    sentences = [_reach(comparisons, arm, trained_horizon, chosen="visible" in set(rmse["split"]))]
    sentences += [_judgement(comparison) for comparison in comparisons]
    sentences += _from_frames(rmse, splits, arm)
    sentences += _experts_without_skill(rmse, splits)
    sentences += _twice_the_horizon(summary, arm, splits, 2 * trained_horizon)
    sentences += _whether_environments_matter(rmse, errors, splits)
    return Verdict(_headline(comparisons), " ".join(sentences))


def compare(rmse: pd.DataFrame, errors: pd.DataFrame, arm: str) -> Comparison:
    """Set an arm beside its rivals: those that are given of an environment what it is given, or nothing.

    Args:
        rmse: rows of the summary for RMSE in one split.
        errors: errors by environment in the same split.
        arm: the method's name.
    """
    rows = {row["method"]: row for _, row in rmse.iterrows()}
    baseline = best_of_family(_that(rmse, partial(_alike, arm=arm)), "baseline")
    reference = best_of_family(_own_experts(rmse), "reference")
    floor = best_method({name: rows[name]["median"] for name in SKILL_FLOOR if name in rows}, "rmse")
    by_method = errors.pivot(index="environment", columns="method", values="value")
    pairs = by_method[[arm, baseline]].dropna() if baseline is not None else by_method.iloc[:0]
    return Comparison(
        split=rmse["split"].iloc[0],
        arm=rows[arm],
        reference=rows[reference] if reference is not None else None,
        baseline=rows[baseline] if baseline is not None else None,
        floor=rows[floor] if floor is not None else None,
        p=paired_p(pairs[arm].to_numpy(), pairs[baseline].to_numpy()) if baseline is not None else math.nan,
        better=int((pairs[arm] < pairs[baseline]).sum()) if baseline is not None else 0,
        pairs=len(pairs),
    )


def _that(rows: pd.DataFrame, wanted: Callable[[str], bool]) -> pd.DataFrame:
    """Rows of methods that something holds of, of which there may be none."""
    return rows[np.array([wanted(name) for name in rows["method"]], dtype=bool)]


def _alike(name: str, arm: str) -> bool:
    """Whether a method is given no other knowledge than an arm: parameters, or frames, or neither of them."""
    knows = method(name).knows
    if method(arm).knows == "parameters" and name.startswith(FINETUNE_PREFIX):
        return False  # shown frames as well
    return knows in ("nothing", method(arm).knows)


def _from_frames(rmse: pd.DataFrame, splits: list[str], arm: str) -> list[str]:
    """What is made of a few frames, where the arm that is spoken of is told the parameters."""
    if method(arm).knows != "parameters":
        return []
    generators = _that(rmse, lambda name: method(name).family == "generator")
    shown = _that(generators, lambda name: method(name).knows == "frames")
    parts = []
    for split in splits:  # the best may be another one outside
        best = best_of_family(shown[shown["split"] == split], "generator")
        if best is None:
            continue
        medians = generators[generators["split"] == split].set_index("method")["median"]
        side = "ahead of" if medians[best] < medians[arm] else "behind"
        parts.append(f"{method(best).label} is at {number(medians[best])} {_where(split)}, {side} it")
    return [f"Shown a few frames in the place of the parameters, {' and '.join(parts)}."] if parts else []


def _headline(comparisons: list[Comparison]) -> str:
    standings = {comparison.standing for comparison in comparisons}
    if len(standings) == 1:
        where = " and ".join(_where(comparison.split) for comparison in comparisons)
        only = standings.pop()
        if only == "no skill":
            return f"This forecast has no skill {where}"
        return f"Generated weights {_HEADLINES[only]} {where}"
    parts = [f"{_HEADLINES[c.standing]} {_where(c.split)}" for c in comparisons]
    return f"Generated weights {', but '.join(parts)}"


def _reach(comparisons: list[Comparison], arm: str, trained_horizon: int, *, chosen: bool) -> str:
    """How low the error gets, and what an expert of the very environment makes of it."""
    parts = []
    for comparison in comparisons:
        row = comparison.arm
        part = f"{number(row['median'])} {interval(row['ci_low'], row['ci_high'])} {_where(comparison.split)}"
        if comparison.reference is not None:
            times = ratio(row["median"], comparison.reference["median"])
            name, median = method(comparison.reference["method"]).label, comparison.reference["median"]
            part += f" ({number(times)} times {name}, {number(median)})"
        parts.append(part)
    choice = ", chosen by its error on the visible environments" if chosen else ""
    return (
        f"Generated weights (arm {arm.removeprefix(GENERATOR_PREFIX)}{choice}) forecast {trained_horizon} frames with "
        f"a median RMSE, in units of the field's standard deviation, of {' and of '.join(parts)}."
    )


def _judgement(comparison: Comparison) -> str:
    """How the arm does against the best baseline of one split."""
    where = _where(comparison.split)
    if comparison.standing == "diverged":
        return f"The generator diverges {where}: in most environments its rollout has no finite error."
    if comparison.standing == "no skill" and comparison.floor is not None:
        floor = comparison.floor
        return (
            f"This forecast has no skill {where}: {method(floor['method']).label.lower()}, which needs no network, "
            f"reaches {number(floor['median'])}."
        )
    if comparison.baseline is None:
        return f"There is no baseline {where}."
    baseline, p = comparison.baseline, comparison.p
    test = f"p {p_value(p)}" if not math.isnan(p) else "too few environments for a test"
    verdicts: dict[Standing, str] = {
        "wins": "the generator wins",
        "ahead": "the generator is ahead, but the difference is not significant",
        "behind": "the generator is behind, though the difference is not significant",
        "loses": "the generator loses",
    }
    return (
        f"The best baseline {where} is {method(baseline['method']).label} with {number(baseline['median'])} "
        f"{interval(baseline['ci_low'], baseline['ci_high'])}: {verdicts[comparison.standing]} (lower error in "
        f"{comparison.better} of {comparison.pairs} environments, {test})."
    )


def _experts_without_skill(rmse: pd.DataFrame, splits: list[str]) -> list[str]:
    """Says so where not even networks trained on the very environment are better than no network."""
    hopeless = []
    for split in splits:
        medians = rmse[rmse["split"] == split].set_index("method")["median"]
        floor = medians[medians.index.isin(SKILL_FLOOR)]
        if len(floor) and (medians.drop(floor.index) >= floor.min()).all():
            hopeless.append(_where(split))
    if not hopeless:
        return []
    return [f"No network of this study has skill {' and '.join(hopeless)}."]


def _twice_the_horizon(summary: pd.DataFrame, arm: str, splits: list[str], horizon: int) -> list[str]:
    """What becomes of the errors at twice the trained horizon, where that was evaluated."""
    beyond = summary[summary["metric"] == "rmse_2x"]
    parts = []
    for split in splits:
        rows = beyond[beyond["split"] == split]
        medians = rows.set_index("method")["median"]
        baseline = best_of_family(_that(rows, partial(_alike, arm=arm)), "baseline")
        if arm in medians.index:
            part = f"{number(medians[arm])} {_where(split)}"
            if baseline is not None:
                part += f" (best baseline: {method(baseline).label}, {number(medians[baseline])})"
            parts.append(part)
    return [f"At {horizon} frames, twice the trained horizon, its median is {' and '.join(parts)}."] if parts else []


def _whether_environments_matter(rmse: pd.DataFrame, errors: pd.DataFrame, splits: list[str]) -> list[str]:
    """Whether a study can show anything: an expert must be better than one pooled model, and the environments agree."""
    rows = rmse[rmse["split"] == splits[0]]
    medians, reference = rows.set_index("method")["median"], best_of_family(_own_experts(rows), "reference")
    if reference is None or "erm" not in medians.index:
        return []
    times = ratio(medians["erm"], medians[reference])
    if math.isnan(times):
        return []
    where, name = _where(splits[0]), method(reference).label
    if times < MATTERS:
        return [
            f"The environment hardly matters here: {where}, one pooled model (ERM) has {number(times)} times the error "
            f"of {name}, so there is little for a generator to gain."
        ]
    own = errors[errors["split"] == splits[0]].pivot(index="environment", columns="method", values="value")
    pairs = own[["erm", reference]].dropna()
    p = paired_p(pairs["erm"].to_numpy(), pairs[reference].to_numpy())
    words = f"{where}, one pooled model (ERM) has {number(times)} times the error of {name}"
    if p < SIGNIFICANT:
        return [f"The environment matters: {words}."]
    tested = f", p {p_value(p)}" if len(pairs) >= FEWEST_PAIRS else f", over {len(pairs)} environments"
    return [f"Whether the environment matters cannot be told: {words}{tested}."]


def _own_experts(rmse: pd.DataFrame) -> pd.DataFrame:
    """Rows of One-per-Env: what a VAE makes of these experts is a reference too, but for the VAE."""
    return rmse[rmse["method"].str.startswith(ONE_PER_ENV_PREFIX)]


def _where(split: str) -> str:
    """A split as the end of a sentence."""
    return _WHERE.get(split, f"in the split {split}")
