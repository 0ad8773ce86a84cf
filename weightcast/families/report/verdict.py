"""What a study of environments across time came to, in a headline and a paragraph."""

from __future__ import annotations

import pandas as pd

from weightcast.core.methods import (
    ALONE,
    CONDITIONAL_FLOW,
    DISPLACED,
    INTERPOLATED_PATH,
    NEAREST_PATH,
    PATH,
    PATH_ENSEMBLE,
    PATH_PARAMETERS,
    POOLED_PATH,
    RATE_FIT,
    SHOWN,
    TOLD_PATH,
    TREND,
    method,
    shown_as,
)
from weightcast.core.plots.style import split_label
from weightcast.core.report.number_formats import number
from weightcast.core.report.verdict import Verdict
from weightcast.core.significance import split_order
from weightcast.families.report.comparison import environment_ratio, ratio_words


def give_family_verdict(summary: pd.DataFrame, metrics: pd.DataFrame, draws: int = 2000) -> Verdict:
    """Compare the path of the inferred code with its opponents, case by case, in every split.

    Args:
        summary: summary.csv.
        metrics: metrics.csv, for the intervals of ratios.
        draws: of their bootstrap.
    """
    cases = [name.partition(SHOWN)[2] for name in dict.fromkeys(summary["method"]) if name.startswith(f"{PATH}{SHOWN}")]
    splits = sorted(summary["split"].unique(), key=split_order)
    value = {(row.method, row.split, row.metric): row.median for row in summary.itertuples()}
    ahead, sentences = [], []
    for split in splits:
        for case in cases:
            own = value[shown_as(PATH, case), split, "wasserstein"]
            rivals = {
                name: value[name, split, "wasserstein"]
                for name in (
                    f"{NEAREST_PATH}-parameters",
                    *(shown_as(f"{name}-likelihood", case) for name in (NEAREST_PATH, DISPLACED, INTERPOLATED_PATH)),
                    *(shown_as(name, case) for name in (ALONE, TREND)),
                    POOLED_PATH,
                )
                if (name, split, "wasserstein") in value
            }
            best = min(rivals, key=lambda name: rivals[name])
            ahead.append(own < rivals[best])
            sentences.append(_sentence(value, metrics, draws, split, case, best))
        sentences += _of_parameters(value, split)
    if all(ahead):
        headline = "The path that is inferred from the shown samples is ahead of every baseline, in every case."
    elif any(ahead):
        headline = f"The inferred path is ahead of every baseline in {sum(ahead)} of {len(ahead)} cases."
    else:
        headline = "No inferred path is ahead of the best baseline."
    return Verdict(headline, " ".join(sentences))


def _sentence(
    value: dict[tuple[str, str, str], float], metrics: pd.DataFrame, draws: int, split: str, case: str, best: str
) -> str:
    """One case in one split; intervals are of 95 %, over environments and seeds."""
    name = shown_as(PATH, case)
    text = f"{split_label(split)}, shown {case}: W {number(value[name, split, 'wasserstein'])}"
    for rival, words in (
        (best, f"that of the best baseline ({method(best).label})"),
        (TOLD_PATH, "that of the density told the true parameters"),
        (shown_as(RATE_FIT, case), "that of rates fitted by whoever knows the equations"),
    ):
        ratio = environment_ratio(metrics, name, rival, split, draws=draws)
        if ratio is not None:
            text += f", {ratio_words(ratio)} times {words}"
    ensemble = shown_as(PATH_ENSEMBLE, case)
    mean, tail = (value[ensemble, split, f"{quantity}_coverage_90"] for quantity in ("mean", "tail"))
    return f"{text}; 90 % bands hold {mean:.0%} of true means and {tail:.0%} of tail probabilities."


def _of_parameters(value: dict[tuple[str, str, str], float], split: str) -> list[str]:
    """What is told the parameters and no sample, against the best opponent told as much; nothing without one."""
    names = [*(f"{name}-parameters" for name in (DISPLACED, INTERPOLATED_PATH)), CONDITIONAL_FLOW]
    rivals = {name: found for name in names if (found := value.get((name, split, "wasserstein"))) is not None}
    own = value.get((PATH_PARAMETERS, split, "wasserstein"))
    if own is None or not rivals:
        return []
    best = min(rivals, key=lambda name: rivals[name])
    return [
        f"{split_label(split)}, told the parameters: W {number(own)} of the path that regression says, "
        f"{number(rivals[best])} of the best opponent told as much ({method(best).label})."
    ]
