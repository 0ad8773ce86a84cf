"""Configurations of studies across time: what is valid, and what is said of what is not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from refusals import refused
from tiny_study import ROOT, default_config

from weightcast.environments.config.study import Study
from weightcast.evolution.config.load import load_time_study, parse_time_study
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.report.published import published_figures, published_words
from weightcast.samples import formats
from weightcast.samples.settings import CountingSystem, RealSystem, SampleFormat, StochasticSystem
from weightcast.studies import KINDS, json_schema, kind_of, load_any_study, parse_any_study
from weightcast.systems.stochastic import STOCHASTIC_SYSTEMS

EPIDEMIC = ROOT / "config" / "epidemic.yaml"
CONFIGS = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]
ACROSS_TIME = [path for path in CONFIGS if kind_of(yaml.safe_load(path.read_text(encoding="utf-8"))) == "time"]
IMPORTED = {"source": "csv", "file": "mine.csv", "state": "real", "dimensions": ["x"]}


def epidemic(**sections: Any) -> dict[str, Any]:
    """The epidemic's configuration, some sections replaced."""
    config: dict[str, Any] = yaml.safe_load(EPIDEMIC.read_text(encoding="utf-8"))
    return config | sections


def changed(key: str, value: Any, config: dict[str, Any] | None = None) -> dict[str, Any]:
    """A configuration with one key set."""
    config = copy.deepcopy(epidemic() if config is None else config)
    *sections, last = key.split(".")
    section = config
    for name in sections:
        section = section[name]
    section[last] = value
    return config


# --- what is valid ---


def test_the_repository_has_configurations_across_time():
    assert {"epidemic.yaml", "embryoid-body.yaml", "mouse-hematopoiesis.yaml"} <= {path.name for path in ACROSS_TIME}


@pytest.mark.parametrize("path", ACROSS_TIME, ids=lambda path: path.name)
def test_every_configuration_across_time_in_the_repository_is_valid(path: Path) -> None:
    study = load_time_study(path)
    assert study.kind == "time"
    assert load_any_study(path) == study
    assert study.results == Path("results") / study.study
    assert study.snapshots == Path("data") / study.study / "snapshots.nc"
    for arm in study.flow.arms:
        assert list(study.flow.of_arm(arm).arms) == [arm]


def test_the_kind_decides_what_a_configuration_is_checked_as() -> None:
    assert isinstance(parse_any_study(epidemic()), TimeStudy)
    assert isinstance(parse_any_study(default_config()), Study)
    assert [kind_of({}), kind_of({"kind": "environments"}), kind_of({"kind": "time"}), kind_of(None)] == [
        "environments", "environments", "time", "environments",
    ]  # fmt: skip
    assert KINDS == ("environments", "time", "environments-time")


def test_every_simulator_and_every_format_is_a_source() -> None:
    assert set(get_args(StochasticSystem)) == set(STOCHASTIC_SYSTEMS)
    assert set(get_args(SampleFormat)) == set(formats.SUFFIXES.values())
    for source in get_args(SampleFormat):
        assert parse_time_study(epidemic(data=IMPORTED | {"source": source})).data.imported
    assert not parse_time_study(epidemic()).data.imported


def test_numbers_as_yaml_writes_them() -> None:
    """YAML takes 1e-6 for text, since there is no dot in it."""
    assert parse_time_study(changed("flow.energy", "1e-6")).flow.energy == 1e-6


def test_an_arm_overrides_single_keys_and_leaves_the_others() -> None:
    override = {"width": 64, "control_path": {"dimensions": 1}, "likelihood_training": {"steps": 9}}
    flow = parse_time_study(changed("flow.arms.ode.settings", override)).flow
    mine, other = flow.of_arm("ode"), flow.of_arm("cde")
    assert (mine.width, mine.control_path.dimensions, mine.likelihood_training.steps) == (64, 1, 9)
    assert mine.control_path.kind == flow.control_path.kind
    assert mine.likelihood_training.learning_rate == flow.likelihood_training.learning_rate
    assert mine.anchor_training == flow.anchor_training
    assert (other.width, other.control_path, other.likelihood_training) == (
        flow.width, flow.control_path, flow.likelihood_training,
    )  # fmt: skip
    assert list(mine.arms) == ["ode"]
    assert mine.arms["ode"] == flow.arms["ode"].model_copy(update={"settings": {}})
    assert mine.of_arm("ode") == mine
    paper = flow.of_arm("paper")
    assert (paper.control_path.kind, paper.control_path.dimensions) == ("autoencoder", 1)


# --- what is refused ---


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("anchrs", {}, ("anchrs: unknown key", "'anchors'")),
        ("data.sorce", "csv", ("data.sorce: unknown key", "'source'")),
        ("data.trajectories.trian", 3, ("data.trajectories.trian: unknown key", "'train'")),
        ("density.hiden", 3, ("density.hiden: unknown key", "'hidden'")),
        ("anchors.bridge.per_intervall", 3, ("anchors.bridge.per_intervall", "'per_interval'")),
        ("flow.solver.zzz", 3, ("flow.solver.zzz", "one of method, steps, tolerance, adjoint")),
        ("flow.arms.cde.dynamcs", "ode", ("flow.arms.cde.dynamcs", "'dynamics'")),
        ("flow.arms.cde.settings", {"widht": 3}, ("flow.arms.cde.settings.widht: unknown key", "'width'")),
        (
            "flow.arms.ode.settings",
            {"solver": {"methd": "rk4"}},
            ("flow.arms.ode.settings.solver.methd: unknown key", "'method'"),
        ),
        ("flow.arms.ode.settings", {"width": 0}, ("flow.arms.ode.settings.width", "found 0")),
        ("evaluation.sampels", 3, ("evaluation.sampels", "'samples'")),
        ("study", "a b", ("study", "'a b'", "letters, digits")),
        ("study", "../elsewhere", ("study", "'../elsewhere'")),
        ("seed", -1, ("seed", "found -1")),
        ("kind", "environments", ("kind", "'environments'", "'time'")),
        ("flow", None, ("flow", "None")),
        ("data.source", "epidemics", ("data.source", "'epidemics'")),
        ("data.dimensions", ["S", "I", "S"], ("data.dimensions: found 'S' twice",)),
        ("data.dimensions", ["S", "", "R"], ("data.dimensions: found ''", "printable")),
        ("data.dimensions", ["S", "I\n", "R"], ("data.dimensions: found 'I\\n'", "printable")),
        ("data.dimensions", [], ("data.dimensions", "[]")),
        ("data.states", None, ("data.states: found None", "larger than any count")),
        ("data.states", 1, ("data.states", "found 1")),
        ("data.states", 5000, ("data.states", "found 5000")),
        ("data.state", "real", ("data.states: found 52", "none for a real state")),
        ("data.file", "mine.csv", ("data.file: found 'mine.csv'", "none: epidemic is simulated")),
        ("data.trajectories", None, ("data.trajectories: missing", "how many to simulate")),
        ("data.held_out", 1.0, ("data.held_out", "found 1.0")),
        ("data.observed_every", 0, ("data.observed_every", "found 0")),
        ("density.backbone", "lstm", ("density.backbone", "'lstm'")),
        ("density", {"backbone": "transformer", "hidden": 16, "heads": 3}, ("density.heads: found 3", "(16)")),
        ("anchors.kinds", ["joint", "joint"], ("anchors.kinds: found 'joint' twice",)),
        ("anchors.kinds", ["joined"], ("anchors.kinds.0", "'joined'")),
        ("anchors.kinds", [], ("anchors.kinds", "[]")),
        ("anchors.kinds", ["joint", "aligned"], ("flow.arms.cde.anchors: found 'bridged'", "(joint, aligned)")),
        ("anchors.training.learning_rate", float("inf"), ("anchors.training.learning_rate", "inf", "finite")),
        ("flow.seeds", [0, 1, 0], ("flow.seeds: found 0 twice",)),
        ("flow.seeds", [3, -1], ("flow.seeds: found -1", "0 or more")),
        ("flow.seeds", [], ("flow.seeds", "[]")),
        ("flow.arms", {}, ("flow.arms", "{}")),
        ("flow.arms", {"a b": {"dynamics": "ode", "anchors": "joint"}}, ("flow.arms", "'a b'")),
        ("flow.arms.cde.objective", "mse", ("flow.arms.cde.objective", "'mse'")),
        ("flow.arms.cde", {"anchors": "joint"}, ("flow.arms.cde.dynamics: missing",)),
        ("flow.heads", 5, ("flow.heads: found 5 for the arm cde", "width 32")),
        ("flow.arms.ode.settings", {"heads": 3}, ("flow.heads: found 3 for the arm ode", "width 32")),
        ("flow.control_path.dimensions", 9, ("flow.control_path.dimensions", "found 9")),
        ("evaluation.interpolations", ["spline"], ("evaluation.interpolations.0", "'spline'")),
        ("evaluation.leave_out", [2, 2], ("evaluation.leave_out: found 2 twice",)),
        ("evaluation.flow_matching", True, ("evaluation.flow_matching: found true for counts", "false")),
        ("evaluation.from_previous", True, ("evaluation.from_previous: found true for counts", "false", "rank")),
    ],
)
def test_bad_settings_are_refused(key: str, value: Any, words: tuple[str, ...]) -> None:
    with refused("my.yaml", *words):
        parse_time_study(changed(key, value), "my.yaml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file": None}, ("data.file: missing", "your csv file")),
        ({"trajectories": {"train": 5, "held_out": 5}}, ("data.trajectories: found 5 to train", "the file holds them")),
        ({"states": 7}, ("data.states: found 7", "none for a real state")),
        ({"state": "counts"}, ("data.states: found None", "larger than any count")),
    ],
)
def test_bad_settings_of_a_file_are_refused(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    parse_time_study(epidemic(data=IMPORTED), "my.yaml")
    with refused("my.yaml", *words):
        parse_time_study(epidemic(data=IMPORTED | changes), "my.yaml")


def test_a_simulator_of_real_states_is_refused() -> None:
    config = changed("data.state", "real", changed("data.states", None))
    with refused("my.yaml: data.state: found 'real', expected 'counts': epidemic counts"):
        parse_time_study(config, "my.yaml")


def test_a_simulator_of_counts_that_is_none_is_refused() -> None:
    data = epidemic()["data"] | {"source": "ornstein-uhlenbeck", "dimensions": ["x", "y"]}
    with refused("my.yaml: data.state: found 'counts', expected 'real': ornstein-uhlenbeck has real states"):
        parse_time_study(epidemic(data=data), "my.yaml")


def test_simulators_are_told_apart_by_their_states() -> None:
    assert {name for name, build in STOCHASTIC_SYSTEMS.items() if build().counts} == set(get_args(CountingSystem))
    assert {name for name, build in STOCHASTIC_SYSTEMS.items() if not build().counts} == set(get_args(RealSystem))


@pytest.mark.parametrize("section", ["study", "kind", "data", "anchors", "flow"])
def test_a_missing_section_is_refused(section: str) -> None:
    config = epidemic()
    del config[section]
    with refused(f"my.yaml: {section}: missing"):
        parse_time_study(config, "my.yaml")


@pytest.mark.parametrize("kind", ["space", "", 3, None, ["time"]])
def test_an_unknown_kind_is_refused(kind: Any) -> None:
    with refused("my.yaml: kind", repr(kind), "environments, time"):
        parse_any_study(epidemic(kind=kind), "my.yaml")


@pytest.mark.parametrize("config", [[], "text", None])
def test_what_is_no_mapping_is_refused(config: Any) -> None:
    for parse in (parse_time_study, parse_any_study):
        with refused("my.yaml: found", type(config).__name__, "mapping"):
            parse(config, "my.yaml")


def test_files_that_are_no_configuration_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    for load in (load_time_study, load_any_study):
        with refused(tmp_path / "none.yaml", "No such file"):
            load(tmp_path / "none.yaml")
        path.write_text("study: [", encoding="utf-8")
        with refused(path, "not YAML"):
            load(path)


def merged(below: dict, above: dict) -> dict:
    """As Snakemake lays one configuration over another."""
    return below | {
        key: merged(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }


def test_an_arm_that_is_null_is_left_out() -> None:
    config = changed("flow.arms.ode", None)
    jsonschema.validate(config, json_schema())  # as the Snakefile does
    study = parse_time_study(config)
    assert "ode" not in study.flow.arms and "cde" in study.flow.arms


def test_a_study_needs_an_arm_that_is_not_null() -> None:
    with refused("flow.arms"):
        parse_time_study(changed("flow.arms", {"ode": None}))


@pytest.mark.parametrize("path", sorted((ROOT / "config/sensitivity").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sensitivity_run_is_a_valid_study_of_its_own(path: Path) -> None:
    base = yaml.safe_load((ROOT / "config/epidemic.yaml").read_text(encoding="utf-8"))
    change = yaml.safe_load(path.read_text(encoding="utf-8"))
    study = parse_time_study(merged(base, change), path)
    assert study.study == f"epidemic-{path.stem}"
    assert study != parse_time_study(base | {"study": study.study}, path)  # it does change something


def protocol_base(name: str) -> Path:
    """The configuration that a protocol lies over, as config/protocols/README.md says."""
    rows = (ROOT / "config/protocols/README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in rows if row.startswith("|") and name in row.split("|")[1].replace(" ", "").split(",")]
    return ROOT / row.split("|")[2].strip()


@pytest.mark.parametrize("path", sorted((ROOT / "config/protocols").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_protocol_is_a_valid_study_with_published_figures(path: Path) -> None:
    base = yaml.safe_load(protocol_base(path.stem).read_text(encoding="utf-8"))
    study = parse_time_study(merged(base, yaml.safe_load(path.read_text(encoding="utf-8"))), path)
    assert study.study == path.stem and path.stem in study.evaluation.published
    left_out = [one for one in study.evaluation.published if published_words(one).split == "held_out"]
    assert bool(study.evaluation.leave_out) or not left_out
    for protocol in study.evaluation.published:
        words = published_words(protocol)
        assert all(len(row.figures) == len(words.columns) for row in published_figures(protocol))
    if study.data.whitened:
        assert study.data.settings["first_dimensions"] == len(study.data.dimensions) == 5


def test_whitened_is_for_files_of_real_states() -> None:
    with refused("data.whitened: found true for counts", "files of real states"):
        parse_time_study(changed("data.whitened", True))
