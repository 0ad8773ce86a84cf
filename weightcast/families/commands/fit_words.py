"""What samples that are shown of an environment tell of it, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.families.inference import ShownSamples, visible_log_likelihood
from weightcast.families.misfit import misfits, usual_misfit
from weightcast.families.public import InferredLaw, PathFamily
from weightcast.families.snapshots import FamilySnapshots, Samples

FEW_DRAWS = 8.0
"""Independent draws below which an ensemble says little of what is open."""
APART = 2.0
"""Nats by which the likeliest visible environment must be ahead of the least likely one for anything to be told."""


def fit_lines(law: InferredLaw, family: PathFamily, shown: Mapping[float, Samples]) -> tuple[list[str], list[str]]:
    """What is to be known of an inference: lines, and warnings.

    Args:
        law: inferred.
        family: that it is a member of.
        shown: samples [sample, dimension] by time.
    """
    times = sorted(shown)
    padded = ShownSamples.of([(times, [shown[time] for time in times])]).to(family.family.codes.device)
    likelihoods = visible_log_likelihood(family.family, padded)[0]
    nearest = family.visible[int(likelihoods.argmax())]
    lines, warnings = [], []
    assert law.effective is not None  # samples are shown
    worth = f"independent draws among {family.inference.proposals} proposals of codes: {law.effective:.3g}"
    if float(likelihoods.max() - likelihoods.min()) < APART:
        warnings.append(
            "nothing was learned from these samples: all visible environments explain them alike, and the ensemble is "
            f"as wide as environments may be ({_at(times)})"
        )
        lines.append(worth)
    else:
        lines.append(f"of visible environments {nearest} explains the samples best; {worth}")
    if law.effective < FEW_DRAWS:
        warnings.append(
            f"of {family.inference.proposals} proposals of codes only {law.effective:.3g} count: bands may be narrower "
            "than what is known"
        )
    return lines, warnings


def misfit_lines(
    law: InferredLaw, family: PathFamily, shown: Mapping[float, Samples], snapshots: Path
) -> tuple[list[str], list[str]]:
    """Whether the samples fit what the study knows: lines, and warnings.

    Args:
        law: inferred.
        family: that it is a member of.
        shown: samples [sample, dimension] by time.
        snapshots: the study's own samples, which say how well samples fit.
    """
    try:
        environments = FamilySnapshots.load(snapshots).environments
    except InputError:
        return [f"whether the samples fit is not known: the study's own are no longer in {snapshots}"], []
    if any(id not in environments for id in family.visible):
        return [f"whether the samples fit is not known: {snapshots} has other environments"], []
    usual = usual_misfit(family.family, environments, sorted(shown))
    found = misfits(law, shown, usual)
    wrong = [one for one in found if not one.fits]
    if not wrong:
        return ["the samples fit: visible environments' own are as likely under their laws"], []
    worst = max(wrong, key=lambda one: max(one.error - one.high, one.low - one.error))
    how = (
        f"{worst.error - worst.high:.2g} nats a sample less likely"
        if worst.error > worst.high
        else f"{worst.low - worst.error:.2g} nats a sample likelier, so more alike,"
    )
    return [], [
        f"outside of what the study knows: at time {worst.time:g} the samples are {how} than the law that explains "
        "them best allows, with what visible environments' own samples miss theirs by; samples and bands mean little"
    ]


def _at(times: list[float]) -> str:
    return f"time{'s' if len(times) > 1 else ''} {', '.join(f'{time:g}' for time in times)}"
