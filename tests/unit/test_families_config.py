"""Studies of environments across time: what a configuration and its table may say, and how results are summarised."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from weightcast.cli.main import main
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.environment_table import Environment, EnvironmentTable, read_environments
from weightcast.core.errors import InputError
from weightcast.core.methods import method, shown_as
from weightcast.cost.families import FamilyPart
from weightcast.families.config.load import check_family_table, parse_family_study
from weightcast.families.jobs import (
    ChooseMap,
    EvaluateFamily,
    EvaluateOpponents,
    FamilyPlan,
    SummariseFamily,
    TrainFamily,
    TrainPathExperts,
    TrainPathVae,
    TrainPathZoo,
)
from weightcast.families.memory import memory_mb
from weightcast.families.runtime import runtime_minutes
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.summary import summarise_environments
from weightcast.studies import parse_any_study

ROOT = Path(__file__).parents[2]


def mini(**changes) -> dict:
    """The mini study with some keys set: paths.code=3 as ``paths__code=3``."""
    config = read_yaml(ROOT / "tests/workflow/mini-families.yaml")
    for keys, value in changes.items():
        section = config
        *folders, last = keys.split("__")
        for folder in folders:
            section = section.setdefault(folder, {})
        section[last] = value
    return config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"study": "../away"}, "study"),
        ({"paths__kinds": ["deep", "deep"]}, "paths.kinds"),
        ({"paths__seeds": [-1]}, "paths.seeds: found -1"),
        ({"paths__maps": 0}, "paths.maps"),
        ({"paths__kind": "deep"}, "paths.kind"),
        ({"paths__zoo__vae__heads": 3}, "paths.zoo.vae.heads: found 3"),
        ({"paths__zoo__vae__code": 0}, "paths.zoo.vae.code"),
        ({"paths__zoo__vae__diffusion__heads": 3}, "paths.zoo.vae.diffusion.heads: found 3"),
        ({"paths__zoo__vae__diffusion__condition_dropout": 0}, "paths.zoo.vae.diffusion.condition_dropout"),
        ({"inference__draws": 99}, "inference.draws: found 99, expected at most inference.proposals (16)"),
        ({"evaluation__shown": {"few": {"times": [2, 1], "samples": 3}}}, "found 2 followed by 1"),
        ({"evaluation__shown": {"a/b": {"samples": 3}}}, "evaluation.shown"),
        ({"data__states": None}, "data.states"),
        ({"data__file": "x.csv"}, "data.file"),
        ({"kind": "both"}, "environments, time, environments-time"),
        ({"opponents__flow_matching": {}}, "opponents.flow_matching: found it for counts, expected null"),
        (
            {"data__source": "ecology", "data__dimensions": ["first", "second"], "opponents__rate_fit": {}},
            "opponents.rate_fit: found it for data.source ecology, whose rates",
        ),
        (
            {
                "data": {"source": "csv", "file": "a.csv", "state": "real", "dimensions": ["x"]},
                "opponents__rate_fit": {},
            },
            "data.source csv, whose equations nobody has said, expected null",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes, words):
    with pytest.raises(InputError) as found:
        parse_any_study(mini(**changes), "study.yaml")
    assert words in str(found.value) and "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("left_out", "logarithmic", "roles", "words"),
    [
        (3, [], "vvvvi", "expected to leave 2 or more"),
        (2, [], "vvvvv", "expected one to test on"),
        (2, ["rate"], "vvvvi", "logarithmic_parameters: found 'rate'"),
        (2, ["birth"], "vvvvi", "expected a number above 0"),
    ],
)
def test_tables_that_do_not_fit_are_refused(left_out, logarithmic, roles, words):
    names = {"v": "visible", "i": "interpolation"}
    rows = tuple(Environment(f"e{place}", {"birth": float(place)}, names[role]) for place, role in enumerate(roles))
    study = parse_family_study(mini(paths__left_out=left_out, logarithmic_parameters=logarithmic))
    with pytest.raises(InputError, match=words.replace("(", "\\(")):
        check_family_table(study, EnvironmentTable(rows, ("birth",), Path("t.csv")))


def test_jobs_are_told_what_they_use_and_no_more():
    before, after = (
        FamilyPlan(parse_family_study(mini(**changes)))
        for changes in ({}, {"evaluation__bootstrap": 200, "paths__seeds": [0, 1, 2]})
    )
    assert SummariseFamily.of(before).digest != SummariseFamily.of(after).digest
    assert ChooseMap.of(before, "codes").digest == ChooseMap.of(after, "codes").digest
    assert TrainFamily.of(before, "codes", "1").digest == TrainFamily.of(after, "codes", "1").digest
    assert EvaluateFamily.of(before, "1").digest == EvaluateFamily.of(after, "1").digest
    assert TrainFamily.of(before, "codes", "1").digest != TrainFamily.of(before, "codes", "0").digest


def test_maps_are_told_to_those_who_infer_codes_alone():
    one, three = (FamilyPlan(parse_family_study(mini(paths__maps=maps))) for maps in (1, 3))
    assert ChooseMap.of(one, "codes").digest != ChooseMap.of(three, "codes").digest
    assert TrainFamily.of(one, "codes", "0").digest != TrainFamily.of(three, "codes", "0").digest
    for told in ("parameters", "nothing"):
        assert TrainFamily.of(one, told, "0").digest == TrainFamily.of(three, told, "0").digest
    assert ChooseMap.of(one, "parameters").digest == ChooseMap.of(three, "parameters").digest
    of = {"told": "codes", "seed": "0"}
    assert memory_mb("train_family", one, of) <= memory_mb("train_family", three, of)


def test_a_network_that_reads_samples_is_told_to_those_who_infer_codes_alone():
    without, reading = (FamilyPlan(parse_family_study(mini(inference__encoder=one))) for one in (None, {"width": 8}))
    assert "encoder" not in TrainFamily.of(without, "codes", "0").model_dump()
    assert "encoder" not in EvaluateFamily.of(without, "0").model_dump()["inference"]
    assert TrainFamily.of(without, "codes", "0").digest != TrainFamily.of(reading, "codes", "0").digest
    assert EvaluateFamily.of(without, "0").digest != EvaluateFamily.of(reading, "0").digest
    for told in ("parameters", "nothing"):
        assert TrainFamily.of(without, told, "0").digest == TrainFamily.of(reading, told, "0").digest
    of = {"told": "codes", "seed": "0"}
    assert memory_mb("train_family", without, of) < memory_mb("train_family", reading, of)
    assert runtime_minutes("train_family", without, of) <= runtime_minutes("train_family", reading, of)


def test_a_zoo_of_paths_is_told_to_its_own_job_and_to_who_scores_it():
    without, zoo = (FamilyPlan(parse_family_study(mini(paths__zoo=one, opponents={}))) for one in (None, {"knots": 4}))
    for told in ("codes", "parameters"):
        assert ChooseMap.of(without, told).digest == ChooseMap.of(zoo, told).digest
        assert TrainFamily.of(without, told, "0").digest == TrainFamily.of(zoo, told, "0").digest
    assert "zoo" not in without.study.model_dump()["paths"] and not without.study.has_opponents
    assert zoo.study.has_opponents  # it is scored with them
    assert "inference" not in EvaluateOpponents.of(without, "0").model_dump()
    assert EvaluateOpponents.of(zoo, "0").inference is not None
    assert TrainPathZoo.of(zoo, "0").digest != TrainPathZoo.of(zoo, "1").digest
    assert memory_mb("train_path_zoo", zoo, {"seed": "0"}) > 0
    assert runtime_minutes("train_path_zoo", zoo, {"seed": "0"}) > 0


def test_jobs_ask_for_more_of_larger_studies():
    small, large = (
        FamilyPlan(parse_family_study(mini(paths__training={"steps": steps, "learning_rate": 0.1, "members": members})))
        for steps, members in ((1000, 8), (100_000, 4096))
    )
    of = {"told": "codes", "seed": "0"}
    assert memory_mb("train_family", small, of) < memory_mb("train_family", large, of)
    assert runtime_minutes("train_family", small, of) < runtime_minutes("train_family", large, of)


def test_summaries_take_medians_of_errors_and_means_of_what_is_held():
    rows = [
        {
            "study": "s",
            "method": name,
            "split": "interpolation",
            "environment": environment,
            "seed": seed,
            "horizon": horizon,
            "metric": metric,
            "value": value,
        }
        for name, shift in ((shown_as("path-ensemble", "few"), 0.0), ("pooled-path", 1.0))
        for environment, base in (("a", 1.0), ("b", 2.0), ("c", 9.0))
        for seed in (0, 1)
        for horizon in (3, 4)
        for metric, value in (("wasserstein", base + shift + horizon), ("mean_coverage_90", float(base < 5)))
    ]
    costs = pd.DataFrame(
        [
            {"method": name, "parameters": 5, "train_seconds": 1.0, "adapt_seconds": 0.5}
            for name in (shown_as("path-ensemble", "few"), "pooled-path")
        ]
    )
    summary = summarise_environments(pd.DataFrame(rows), costs, 200).set_index(["method", "metric"])

    assert summary.loc[("pooled-path", "wasserstein"), "median"] == 2 + 1 + 3.5
    assert summary.loc[(shown_as("path-ensemble", "few"), "mean_coverage_90"), "median"] == pytest.approx(2 / 3)
    assert (summary["n"] == 3).all()
    held = summary.loc[(shown_as("path-ensemble", "few"), "mean_coverage_90")]
    assert 0 <= held["ci_low"] < 2 / 3 < held["ci_high"] <= 1
    assert np.isfinite(summary["median"]).all()


def test_methods_that_are_shown_something_are_known_with_their_case():
    found = method(shown_as("nearest-path-likelihood", "20-samples"))
    assert (found.family, found.label) == ("baseline", "Nearest path, by likelihood, shown: 20-samples")
    with pytest.raises(InputError):
        method("unknown-shown-few")
    with pytest.raises(InputError):
        method("path-shown-")


def test_check_says_what_a_study_would_do(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    main(["check", "--config", "tests/workflow/mini-families.yaml", "--no-timing"])

    said = capsys.readouterr().out
    assert "5 visible, of which 2 are left out once to choose" in said and "1 inside, 1 outside to test on" in said
    assert "many: 20 samples at each of 1, 2" in said
    assert "rate constants fitted to the shown samples" in said and "visible environments interpolated" in said
    assert "the shown samples alone, along a damped trend" in said and "a network that reads samples" in said
    assert "experts of all visible environments begin at each of these, 4 steps" in said
    assert "a diffusion of their codes is compared with a normal prior, 4 steps" in said
    assert "an autoencoder of the experts' paths is trained, 4 steps" in said
    assert "a conditional diffusion of its codes is trained, 4 steps" in said


def test_a_rehearsal_has_few_environments_and_says_how_the_rest_grows(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    study = parse_family_study(mini())
    plan, table = FamilyPlan(study), read_environments(study.environments)
    part = FamilyPart(plan, table, tmp_path)

    assert part.table.ids == ("a", "b", "c", "f")
    assert list(FamilySnapshots.load(tmp_path / "snapshots.nc").environments) == ["a", "b", "c", "f"]
    found = part.inputs(None, {"snapshots": "whole.nc", "table": "whole.csv", "choice": "kept.yaml"})
    assert found == {
        "snapshots": str(tmp_path / "snapshots.nc"),
        "table": str(tmp_path / "environments.csv"),
        "choice": "kept.yaml",
    }
    grows, trainings = {}, {}
    for stage, settings in (
        ("choose_map", ChooseMap.of(plan, "codes")),
        ("evaluate_family", EvaluateFamily.of(plan, "0")),
        ("train_family", TrainFamily.of(plan, "codes", "0")),
        ("train_path_experts", TrainPathExperts.of(plan, "0")),
        ("train_path_vae", TrainPathVae.of(plan, "0")),
    ):
        planned = SimpleNamespace(settings=lambda plan, own=settings: own, job=SimpleNamespace(stage=stage))
        (told,) = part.told(planned)
        grows[stage], trainings[stage] = told.grows, dict(told.trainings)
    # Two environments are left out, with a search for each of two kinds of map, three widths of the first prior, two
    # further priors and two inflations; one of one width and one of these are rehearsed. Two unseen ones are scored,
    # of which the part has one.
    assert grows == {
        **{"choose_map": 2 * (2 + 3 + 2 + 2) / (2 + 1 + 2 + 1), "evaluate_family": 2, "train_family": 1},
        **{"train_path_experts": 2, "train_path_vae": 1},
    }
    # A step is of all experts: of five visible environments and two unseen ones in the place of three and one. One of
    # the autoencoder is of three, as many as it is told.
    assert trainings["train_path_experts"] == {"zoo": 5 / 3, "unseen": 2}
    assert trainings["train_path_vae"] == {"autoencoder": 1}
    gathered = part.instead(SimpleNamespace(job=SimpleNamespace(stage="gather_snapshots")))
    assert gathered is not None and gathered.seconds > 0
