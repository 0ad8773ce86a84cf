"""What the report says in words of who wins, and by how much."""

from __future__ import annotations

import pandas as pd
from synthetic_study import (
    TRAINED_HORIZON,
    TYPICAL_ERRORS,
    method_costs,
    metrics,
)

from weightcast.core.report.verdict import Verdict
from weightcast.core.significance import environment_errors, summarise
from weightcast.environments.report.verdict import give_verdict


def verdict_of(**changed: tuple[float, float, float]) -> Verdict:
    """Verdict of the study with some methods' errors changed; names with underscores for hyphens."""
    errors = metrics(TYPICAL_ERRORS | {name.replace("_", "-"): typical for name, typical in changed.items()})
    errors = errors[errors["metric"] == "rmse"]
    summary = summarise(errors, method_costs(), TRAINED_HORIZON, draws=200)
    return give_verdict(summary, environment_errors(errors, TRAINED_HORIZON), TRAINED_HORIZON)


def test_verdict_says_when_the_generator_wins_and_when_it_loses():
    verdict = verdict_of()
    assert verdict.headline == (
        "Generated weights beat every baseline inside the range, but lose to the best baseline outside the range"
    )
    assert "arm end-to-end, chosen by its error on the visible environments" in verdict.paragraph
    assert "the generator wins (lower error in 12 of 12 environments, p < 0.001)" in verdict.paragraph
    assert "the generator loses (lower error in 0 of 13 environments, p < 0.001)" in verdict.paragraph
    assert "times One-per-Env (conditioned)" in verdict.paragraph
    assert "At 60 frames, twice the trained horizon" in verdict.paragraph
    assert "The environment matters" in verdict.paragraph


def test_the_environment_matters_only_where_the_environments_agree():
    """One hard environment decides a mean, and medians of few decide nothing."""
    metric = metrics(TYPICAL_ERRORS)
    errors = metric[metric["metric"] == "rmse"].copy()
    inside = errors.loc[errors["split"] == "interpolation", "environment"].unique()[:4]
    errors = errors[
        ~errors["environment"].isin(set(errors["environment"]) - set(inside)) | (errors["split"] != "interpolation")
    ]
    summary = summarise(errors, method_costs(), TRAINED_HORIZON, draws=200)
    words = give_verdict(summary, environment_errors(errors, TRAINED_HORIZON), TRAINED_HORIZON).paragraph
    assert "Whether the environment matters cannot be told" in words and "over 4 environments" in words


def test_verdict_says_when_there_is_no_skill():
    verdict = verdict_of(generator_end_to_end=(0.04, 1.3, 1.4))
    assert verdict.headline == "This forecast has no skill inside the range and outside the range"
    assert "climatology, which needs no network" in verdict.paragraph


def test_verdict_says_when_not_even_experts_have_skill():
    errors = dict.fromkeys(TYPICAL_ERRORS, (1.4, 1.4, 1.4))
    errors |= {"climatology": (0.4, 0.4, 0.4), "persistence": (0.5, 0.5, 0.5)}
    verdict = verdict_of(**{name.replace("-", "_"): typical for name, typical in errors.items()})
    assert "No network of this study has skill inside the range and outside the range." in verdict.paragraph
    assert "The environment hardly matters here" in verdict.paragraph


def test_verdict_does_not_call_noise_a_victory():
    verdict = verdict_of(generator_end_to_end=(0.04, 0.0598, 0.0998))
    assert "beat" not in verdict.headline
    assert "not significant" in verdict.paragraph


def test_verdict_says_when_the_generator_diverges():
    verdict = verdict_of(generator_end_to_end=(0.04, float("nan"), 0.05))
    assert verdict.headline.startswith("Generated weights diverge inside the range, but ")


def test_what_saw_frames_is_no_rival_of_what_is_told_parameters():
    """Fine-tuned on frames at given parameters, it knows more; from frames alone, it knows something else."""
    verdict = verdict_of(finetune_film=(0.01, 0.01, 0.01), in_context=(0.01, 0.01, 0.01))
    assert verdict.headline == verdict_of().headline
    assert "The best baseline inside the range is FiLM, matched compute" in verdict.paragraph


def test_the_verdict_mentions_what_leads_from_frames():
    paragraph = verdict_of(**{"context": (0.1, 0.03, 0.2)}).paragraph
    assert "Shown a few frames in the place of the parameters, From frames: most probable is at 0.0" in paragraph
    assert "inside the range, ahead of it and From frames: most probable is at 0.1" in paragraph
    assert "outside the range, behind it." in paragraph


def test_verdict_of_a_study_without_a_generator():
    summary = summarise(metrics({"erm": (1, 1, 1)}), method_costs(), TRAINED_HORIZON, draws=200)
    assert "No generator" in give_verdict(summary, pd.DataFrame(), TRAINED_HORIZON).headline
