from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from refusals import refused
from tiny_study import ROOT, default_config, without_parameters

from weightcast.core.environment_table import Environment, EnvironmentTable, Role
from weightcast.core.run import Run
from weightcast.cost.jobs import planned_jobs
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.config.load import parse_study
from weightcast.environments.config.study import Study
from weightcast.environments.jobs import (
    JOBS,
    AdaptToFrames,
    FinetuneBases,
    FoldBases,
    MapWeights,
    Plan,
    ShowRollouts,
    TrainBase,
    TrainContext,
)
from weightcast.environments.memory import LEAST_MB, memory_mb
from weightcast.environments.plan import (
    adapted_arms,
    base_environments,
    base_record,
    check_plan,
    context_seeds,
    expert_shards,
    recorded_environments,
    reference_shards,
    regressions,
    shard_size,
    source_settings,
    trajectory_shards,
    tuned_arms,
    weight_sources,
)


def table_of(*rows: tuple[str, Role]) -> EnvironmentTable:
    environments = tuple(Environment(id, {"beta": float(number)}, role) for number, (id, role) in enumerate(rows))
    return EnvironmentTable(environments, ("beta",), Path("table.csv"))


def visible(*ids: str) -> EnvironmentTable:
    return table_of(*((id, "visible") for id in ids))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The default study with shards of two environments, in a folder without results."""
    monkeypatch.chdir(tmp_path)
    config = default_config()
    config["zoo"]["shard_environments"] = 2
    return parse_study(config)


def write_record(study: Study, base: str, environments: Any) -> Path:
    """What the training of a base writes before its first step."""
    path = base_record(study, base)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(environments), encoding="utf-8")
    return path


# --- shards


def test_shards_are_consecutive_rows_of_one_role(study: Study) -> None:
    table = table_of(
        ("a", "visible"), ("p", "interpolation"), ("b", "visible"), ("c", "visible"), ("q", "extrapolation")
    )
    assert expert_shards(study, table) == {"visible-000": ["a", "b"], "visible-001": ["c"]}
    assert reference_shards(study, table) == {"unseen-000": ["p", "q"]}


@pytest.mark.parametrize("count", range(2, 7))
def test_appending_a_row_changes_or_adds_the_last_shard_alone(study: Study, count: int) -> None:
    ids = [f"e{number}" for number in range(count + 1)]
    before, after = expert_shards(study, visible(*ids[:-1])), expert_shards(study, visible(*ids))
    differing = [name for name in after if after[name] != before.get(name)]
    assert differing == [list(after)[-1]]


def test_no_unseen_environment_no_reference(study: Study) -> None:
    assert reference_shards(study, visible("a", "b")) == {}


# --- shards of trajectories


def many(count: int) -> EnvironmentTable:
    return table_of(*((f"e{number}", "interpolation" if number % 10 == 5 else "visible") for number in range(count)))


@pytest.mark.parametrize("count", [2, 100, 1000, 10_000])
def test_shards_of_trajectories_are_as_many_as_a_few_hundred(study: Study, count: int) -> None:
    table = many(count)
    found = trajectory_shards(study, table)
    assert [id for ids in found.values() for id in ids] == [row.id for row in (*table.visible, *table.unseen)]
    assert len({table[id].role for id in next(iter(found.values()))}) == 1
    assert len(found) == count if count <= 100 else len(found) < 700
    # No job is much longer than the rest: at most one in 64 of what comes before it.
    for role in ("visible", "unseen"):
        sizes = [len(ids) for name, ids in found.items() if name.startswith(role)]
        assert all(size == 1 or size <= sum(sizes[:place]) / 64 for place, size in enumerate(sizes))


def test_shards_of_trajectories_are_as_large_as_asked_for(study: Study) -> None:
    fixed = study.model_copy(update={"simulated_together": 4})
    assert [len(ids) for ids in trajectory_shards(fixed, many(30)).values()] == [4] * 6 + [3, 3]


@pytest.mark.parametrize("count", [3, 300, 1234])
def test_appending_a_row_changes_or_adds_the_last_shard_of_trajectories_alone(study: Study, count: int) -> None:
    ids = [f"e{number}" for number in range(count + 1)]
    before, after = trajectory_shards(study, visible(*ids[:-1])), trajectory_shards(study, visible(*ids))
    assert [name for name in after if after[name] != before.get(name)] == [list(after)[-1]]


@pytest.mark.parametrize("place", [0, 150, 300])
def test_an_environment_that_joins_after_a_base_was_begun_changes_none_of_its_shards(study: Study, place: int) -> None:
    ids = [f"e{number}" for number in range(300)]
    write_record(study, "erm", ids)
    before = trajectory_shards(study, visible(*ids))
    after = trajectory_shards(study, visible(*ids[:place], "joined", *ids[place:]))
    assert {name: after[name] for name in before} == before
    assert [after[name] for name in after if name not in before] == [["joined"]]


def test_a_record_that_does_not_hold_any_more_divides_no_shards(study: Study) -> None:
    write_record(study, "erm", ["a", "gone"])
    assert trajectory_shards(study.model_copy(update={"simulated_together": 9}), visible("b", "a", "c")) == {
        "visible-000": ["b", "a", "c"]
    }


# --- what jobs are told


def test_the_digest_of_settings_is_that_of_their_json(study: Study) -> None:
    settings = TrainBase.of(Plan(study, many(20)), "conditioned")
    plain = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    assert settings.digest == hashlib.sha256(plain.encode()).hexdigest()


# --- environments of the bases


def test_first_base_is_trained_on_all_visible_environments(study: Study) -> None:
    table = table_of(("a", "visible"), ("p", "interpolation"), ("b", "visible"))
    assert base_environments(study, table, "erm") == ["a", "b"]
    assert recorded_environments(study, "erm") is None


def test_an_environment_that_joins_does_not_retrain_a_base(study: Study) -> None:
    write_record(study, "erm", ["b", "a"])
    table = visible("a", "b", "c")
    assert base_environments(study, table, "erm") == ["b", "a"]
    assert base_environments(study, table, "conditioned") == ["a", "b", "c"]


def test_a_context_learns_from_so_many_environments_of_a_large_table(study: Study) -> None:
    assert study.context is not None
    bounded = study.model_copy(update={"context": study.context.model_copy(update={"environments": 4})})
    table = visible(*"abcdefgh")
    assert base_environments(bounded, table, "context") == ["a", "c", "e", "g"]
    assert base_environments(bounded, table, "conditioned") == list("abcdefgh")
    assert base_environments(bounded, visible(*"abc"), "context") == list("abc")
    write_record(bounded, "context", ["b", "f"])  # as it was begun
    assert base_environments(bounded, table, "context") == ["b", "f"]
    several = {"environments": 4, "seeds": [3, 0]}
    bounded = study.model_copy(update={"context": study.context.model_copy(update=several)})
    assert context_seeds(bounded) == {"context": 3, "context-0": 0}
    assert base_environments(bounded, table, "context-0") == ["a", "c", "e", "g"]  # begun anew, by its own record
    of_code = {"base": "context", "condition": "code", "end_to_end": False}
    config = default_config()
    config["context"]["environments"] = 4
    config["zoo"]["bases"] = [*config["zoo"]["bases"], "context"]
    config["generator"]["arms"]["on-codes"] = of_code
    check_plan(parse_study(config), of_default(4))
    with refused("config: context.environments: found 4, expected 8", "the arm on-codes"):
        check_plan(parse_study(config), of_default(8))


def test_further_seeds_of_a_context_are_further_jobs_and_change_none_that_was_there(study: Study) -> None:
    assert study.context is not None
    table = visible("a", "b", "c")
    several = study.model_copy(update={"context": study.context.model_copy(update={"seeds": [0, 1]})})
    alone = TrainContext.of(Plan(study, table))
    assert alone.digest == TrainContext.of(Plan(several, table)).digest
    assert "seeds" not in study.context.model_dump()  # nor does the file of a study that has one say so
    further = TrainContext.of(Plan(several, table), "context-1")
    assert (alone.context_seed, further.context_seed) == (0, 1) and further.digest != alone.digest


def of_default(count: int) -> EnvironmentTable:
    """A table with the parameters of the default study."""
    known = {"beta": 1.0, "D": 0.1}
    rows = tuple(Environment(f"e{number}", known, "visible") for number in range(count))
    return EnvironmentTable(rows, tuple(known), Path("table.csv"))


@pytest.mark.parametrize("table", [visible("a", "c"), table_of(("a", "visible"), ("b", "extrapolation"))])
def test_an_environment_that_leaves_retrains_a_base(study: Study, table: EnvironmentTable) -> None:
    write_record(study, "erm", ["a", "b"])
    assert base_environments(study, table, "erm") == [environment.id for environment in table.visible]


@pytest.mark.parametrize("environments", [None, "a", [1, 2], []])
def test_a_record_that_says_nothing_usable_does_not_count(study: Study, environments: Any) -> None:
    write_record(study, "erm", environments)
    assert base_environments(study, visible("a", "b"), "erm") == ["a", "b"]


def test_an_unreadable_record_does_not_count(study: Study) -> None:
    path = write_record(study, "erm", ["a"])
    whole = path.read_bytes()
    # A flipped byte may hit a space, which is not looked at; it must never be an error.
    for damaged in (whole[:3], whole[:-1], b"", b"\xff" * 64, bytes(7) + b"[1,2]", b"[" * 3000, b"{}"):
        path.write_bytes(damaged)
        assert base_environments(study, visible("a", "b"), "erm") == ["a", "b"]
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        base_environments(study, visible("a", "b"), "erm")


def train_until_killed(study: Study, table: EnvironmentTable, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin the training of a base as the pipeline does, and lose the process before its first step."""
    from weightcast.environments.dataset import TrajectoryFolder
    from weightcast.environments.stages.train_base import train_base

    def killed(*_: object, **__: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(TrajectoryFolder, "read", killed)
    output = study.results / "base" / f"{base}.safetensors"
    output.unlink(missing_ok=True)  # Snakemake deletes outputs before a job starts
    run = Run(outputs={"output": output})
    with pytest.raises(InterruptedError):
        settings = TrainBase.of(Plan(study, table), base)
        train_base(run, settings, trajectories=TrajectoryFolder(study.trajectories))


def test_a_kill_while_a_base_is_retrained_changes_nothing_of_what_is_planned(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base is an output of the job whose inputs depend on it: the plan must not read it."""
    first, grown = visible("a", "b"), visible("a", "b", "c")
    train_until_killed(study, first, "erm", monkeypatch)
    assert not (study.results / "base" / "erm.safetensors").exists()
    assert base_environments(study, grown, "erm") == ["a", "b"]

    planned = TrainBase.of(Plan(study, grown), "erm").digest
    train_until_killed(study, grown, "erm", monkeypatch)
    assert TrainBase.of(Plan(study, grown), "erm").digest == planned
    assert base_environments(study, grown, "conditioned") == ["a", "b", "c"]


def test_what_the_plan_reads_is_no_output(study: Study) -> None:
    """Whatever lies where a base is written, whole or damaged: the plan is the same."""
    write_record(study, "erm", ["b", "a"])
    base = study.results / "base" / "erm.safetensors"
    for content in (b"", b"anything"):
        base.write_bytes(content)
        assert base_environments(study, visible("a", "b", "c"), "erm") == ["b", "a"]


def test_who_deletes_the_folder_of_bases_starts_anew(study: Study) -> None:
    write_record(study, "erm", ["a", "b"])
    shutil.rmtree(study.results / "base")
    assert base_environments(study, visible("a", "b", "c"), "erm") == ["a", "b", "c"]


# --- settings of the source


def test_a_simulator_is_told_frames_and_trajectories(study: Study) -> None:
    settings = source_settings(study.data)
    assert settings == {
        "frame_step": 0.5, "grid_size": 24, "domain_length": 12.0, "frames": 61, "trajectories": 22
    }  # fmt: skip


@pytest.mark.parametrize(("key", "set_by"), [("frames", "data.frames"), ("trajectories", "data.trajectories")])
def test_frames_and_trajectories_are_set_once(study: Study, key: str, set_by: str) -> None:
    data = study.data.model_copy(update={"settings": {key: 61}})
    with refused(f"data.settings.{key}", f"{set_by} sets it"):
        source_settings(data)


def test_a_simulator_has_no_folder(study: Study) -> None:
    with refused("data.directory", "'mine'", "lambda-omega"):
        source_settings(study.data.model_copy(update={"directory": "mine"}))


def test_npy_files_lack_their_frame_step_alone(study: Study) -> None:
    data = study.data.model_copy(update={"source": "npy", "directory": "mine", "settings": {}})
    assert source_settings(data) == {"frame_step": 1.0}
    assert source_settings(data.model_copy(update={"settings": {"frame_step": 2}})) == {"frame_step": 2}
    with refused("data.settings.frame_step", "'long'"):
        source_settings(data.model_copy(update={"settings": {"frame_step": "long"}}))
    with refused("data.settings.grid_size", "unknown key", "frame_step"):
        source_settings(data.model_copy(update={"settings": {"grid_size": 3}}))
    with refused("data.settings.frame_step", "unknown key", "netcdf"):
        source_settings(data.model_copy(update={"source": "netcdf", "settings": {"frame_step": 2}}))


def test_one_visible_environment_is_too_few(study: Study) -> None:
    with refused("table.csv", "column role", "found 1 visible"):
        check_plan(study, table_of(("a", "visible"), ("p", "interpolation")))


def test_a_logarithm_is_taken_of_known_parameters_above_zero_alone(study: Study) -> None:
    table = table_of(("a", "visible"), ("b", "visible"), ("p", "extrapolation"))  # beta is 0, 1, 2
    above = EnvironmentTable(
        table.environments[1:] + table_of(("c", "visible"), ("d", "visible")).environments[1:],
        table.parameter_names,
        table.path,
    )
    check_plan(study.model_copy(update={"logarithmic_parameters": ["beta"]}), above)
    with refused("table.csv", "environment a", "column beta", "found 0", "above 0"):
        check_plan(study.model_copy(update={"logarithmic_parameters": ["beta"]}), table)
    with refused("logarithmic_parameters", "'gamma'", "table.csv: beta"):
        check_plan(study.model_copy(update={"logarithmic_parameters": ["gamma"]}), above)
    with refused("logarithmic_parameters", "'beta' twice"):
        parse_study(default_config() | {"logarithmic_parameters": ["beta", "beta"]})


# --- jobs


def test_files_of_weights_are_named_once(study: Study) -> None:
    assert tuned_arms(study) == ["conditioned"]
    sources = weight_sources(study, table_of(("a", "visible"), ("b", "visible"), ("p", "interpolation")))
    assert len(set(sources)) == len(sources)
    assert {"generator-conditioned", "generator-conditioned-weights-only", "generator-paper"} <= set(sources)
    assert "generator-paper-weights-only" not in sources


def test_unknown_environments_are_adapted_to_where_frames_are_observed_and_there_are_any(study: Study) -> None:
    table = table_of(("a", "visible"), ("b", "visible"), ("p", "interpolation"))
    study = study.model_copy(update={"evaluation": study.evaluation.model_copy(update={"observed": []})})
    observing = study.model_copy(
        update={"evaluation": study.evaluation.model_copy(update={"observed": [ObservedCase(frames=10)]})}
    )
    assert "observed/10-frames" not in weight_sources(study, table)
    assert "observed/10-frames" in weight_sources(observing, table)
    assert "observed/10-frames" not in weight_sources(observing, visible("a", "b"))
    assert adapted_arms(observing) == ["conditioned"]


# --- environments whose parameters nobody knows


def bare_table(table: EnvironmentTable) -> EnvironmentTable:
    return EnvironmentTable(tuple(Environment(row.id, {}, row.role) for row in table), (), table.path)


KNOWN = table_of(("a", "visible"), ("b", "visible"), ("p", "interpolation"))
OBSERVED = {"evaluation": default_config()["evaluation"] | {"observed": [{"frames": 10}]}}


@pytest.mark.parametrize("table", [KNOWN, bare_table(KNOWN)], ids=["hidden", "unknown"])
def test_a_study_without_what_is_told_parameters_has_no_job_of_it(table: EnvironmentTable) -> None:
    study = parse_study(without_parameters(default_config()) | OBSERVED)
    check_plan(study, table)
    plan = Plan(study, table)
    assert weight_sources(study, table) == ["bases", "finetuned", "zoo-erm", "observed/10-frames"]
    adapting = AdaptToFrames.of(plan, "10-frames")
    assert (adapting.ids, adapting.finetuned, adapting.experts_from) == (["a", "b", "p"], ("finetune-erm",), 0)
    assert FoldBases.of(plan).methods == ("erm",)
    assert FinetuneBases.of(plan).methods == ("finetune-erm",)
    assert ShowRollouts.of(plan).methods == ("one-per-env-erm", "erm")
    assert MapWeights.of(plan).bases == ("erm",)
    assert regressions(table) == (() if table is not KNOWN else ("nearest-expert", "polynomial", "gaussian-process"))
    assert all(memory_mb(stage, plan, {}) >= LEAST_MB for stage in JOBS)


def test_jobs_of_a_study_that_is_told_everything() -> None:
    plan = Plan(parse_study(default_config() | OBSERVED), KNOWN)
    assert FoldBases.of(plan).methods == ("erm", "film", "film-matched", "hypernetwork")
    assert FinetuneBases.of(plan).methods == ("finetune-erm", "finetune-film")
    adapting = AdaptToFrames.of(plan, "10-frames")
    assert adapting.methods == ("film-matched", "hypernetwork")
    assert (adapting.finetuned, adapting.experts_from) == (("finetune-erm", "finetune-film"), 1)


def test_a_part_of_what_is_told_parameters_may_be_left_out() -> None:
    config = without_parameters(default_config()) | OBSERVED
    config["baselines"]["hypernetwork"] = default_config()["baselines"]["hypernetwork"]
    plan = Plan(parse_study(config), KNOWN)
    assert "observed/10-frames" in weight_sources(plan.study, KNOWN)
    assert AdaptToFrames.of(plan, "10-frames").methods == ("hypernetwork",)
    with refused("baselines.hypernetwork:", "expected null", "table.csv has no parameter columns"):
        check_plan(plan.study, bare_table(KNOWN))


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        ("base", "conditioned", ("base.conditioned:", "expected null")),
        ("baselines", "film_matched", ("baselines.film_matched:", "expected null")),
        ("generator", "arms", ("generator.arms.paper.condition", "'parameters'", "another condition")),
    ],
)
def test_nothing_is_told_parameters_that_a_table_does_not_have(section: str, key: str, words: tuple[str, ...]) -> None:
    config = without_parameters(default_config())
    told = default_config()[section][key]
    config[section][key] = {"paper": told["paper"]} if key == "arms" else told
    with refused(*words, "table.csv has no parameter columns"):
        check_plan(parse_study(config), bare_table(KNOWN))


def test_no_logarithm_is_taken_of_parameters_that_nobody_knows() -> None:
    study = parse_study(without_parameters(default_config()) | {"logarithmic_parameters": ["beta"]})
    with refused("logarithmic_parameters", "'beta'", "table.csv: it has none"):
        check_plan(study, bare_table(KNOWN))


def test_downloads_are_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/era5.md says."""
    monkeypatch.chdir(ROOT)
    jobs = Counter(planned.rule for planned in planned_jobs([Path("config/era5.yaml")]))
    assert (jobs["download_era5"], jobs["cut_era5"]) == (204, 34)
    assert "simulate_environments" not in jobs


def test_planning_is_light() -> None:
    """Snakemake imports the plan in every process that it starts."""
    code = (
        "import sys, weightcast.environments.plan;"
        " print([m for m in ('torch', 'xarray', 'pandas', 'scipy') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("usual", "visible", "size"),
    [(6, 4, 4), (12, 5, 5), (6, 1500, 6), (12, 1500, 12), (6, 10_000, 39), (12, 100_000, 390)],
)
def test_shards_of_new_studies_grow_with_large_tables_alone(usual: int, visible: int, size: int) -> None:
    assert shard_size(usual, visible) == size
