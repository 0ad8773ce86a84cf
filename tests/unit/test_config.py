from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from refusals import refused
from tiny_study import ROOT, default_config, without_parameters

from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.config.yaml_file import read_yaml
from weightcast.environments.config.data import DataSource
from weightcast.environments.config.load import load_study, parse_study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.evolution.config.study import TimeStudy
from weightcast.families.config.study import FamilyStudy
from weightcast.studies import json_schema, load_any_study
from weightcast.systems import SYSTEM_NAMES
from weightcast.trajectories import FileFormat

CONFIGS = [
    ROOT / "config.yaml",
    *sorted((ROOT / "config").glob("*.yaml")),
    *sorted((ROOT / "config").glob("adaptation/*.yaml")),
    *sorted((ROOT / "config").glob("paper/*.yaml")),
    *sorted((ROOT / "config").glob("places/*.yaml")),
]
SCHEMA = ROOT / "config" / "schema.json"


def changed(key: str, value: Any) -> dict[str, Any]:
    """The default configuration with one key set."""
    config = copy.deepcopy(default_config())
    *sections, last = key.split(".")
    section = config
    for name in sections:
        section = section[name]
    section[last] = value
    return config


@pytest.fixture(scope="module")
def validator() -> jsonschema.protocols.Validator:
    """Of the schema, which is checked once."""
    schema = json_schema()
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_in_the_repository_is_valid(path: Path, validator: jsonschema.protocols.Validator) -> None:
    study = load_any_study(path)
    assert isinstance(study, TimeStudy | FamilyStudy) or study.trained_horizon in study.evaluation.horizons
    validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_schema_in_the_repository_is_that_of_the_types() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema(), (
        "config/schema.json is out of date: weightcast schema > config/schema.json"
    )


def test_schema_refuses_unknown_keys_everywhere() -> None:
    schema = json_schema()
    for section in schema["$defs"].values():
        assert section["additionalProperties"] is False


def test_every_system_is_a_source() -> None:
    assert set(get_args(DataSource)) == {*SYSTEM_NAMES, *get_args(FileFormat), "npz", "table", "zoo"}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("genrator", {}, ("genrator", "unknown key", "'generator'")),
        ("predictor.widht", 3, ("predictor.widht", "unknown key", "'width'")),
        ("evaluation.benchmark", True, ("evaluation.benchmark", "unknown key", "adaptation_scores")),
        ("predictor.zzz", 3, ("predictor.zzz", "unknown key", "one of kind, width, modes")),
        ("generator.arms.paper.vae", {"lattent": 4}, ("generator.arms.paper.vae.lattent", "'latent'")),
        ("generator.arms.paper.diffusion", {"training": {"stepps": 4}}, ("diffusion.training.stepps", "'steps'")),
        ("generator.arms.paper.vae", {"latent": 0}, ("generator.arms.paper.vae.latent", "found 0")),
        ("generator.arms.paper.base", "film", ("generator.arms.paper.base", "'film'")),
        ("generator.arms", {"a b": {"base": "erm", "end_to_end": False}}, ("generator.arms", "'a b'")),
        ("generator.vae.heads", 5, ("generator.vae.heads", "found 5", "width 64")),
        ("generator.diffusion.heads", 5, ("generator.diffusion.heads", "found 5", "width 64")),
        ("generator.diffusion", changed("seed", 0)["generator"]["diffusion"] | {"width": 9, "heads": 3}, ("even",)),
        ("generator.seeds", [0, 1, 0], ("generator.seeds", "found 0 twice")),
        ("generator.seeds", [-1], ("generator.seeds", "found -1")),
        ("zoo.bases", ["erm"], ("generator.arms.conditioned.base", "'conditioned'", "zoo.bases (erm)")),
        ("zoo.bases", ["erm", "erm"], ("zoo.bases", "'erm' twice")),
        ("base.conditioned", None, ("zoo.bases", "'conditioned'", "some of erm", "base.conditioned is null")),
        ("study", "a b", ("study", "'a b'", "letters, digits")),
        ("study", "../elsewhere", ("study", "'../elsewhere'")),
        ("study", "$(reboot)", ("study", "'$(reboot)'")),
        ("study", "", ("study", "''")),
        ("study", 3, ("study", "found 3", "string")),
        ("kind", "time", ("kind", "'time'", "'environments'")),
        ("seed", -1, ("seed", "found -1")),
        ("base.erm.steps", "many", ("base.erm.steps", "'many'", "integer")),
        ("base.erm.learning_rate", float("inf"), ("base.erm.learning_rate", "inf", "finite")),
        ("base.erm.learning_rate", float("nan"), ("base.erm.learning_rate", "nan", "finite")),
        ("base.erm.unroll", 31, ("base.erm.unroll", "found 31", "data.trained_frames (31)")),
        ("evaluation", None, ("evaluation", "None")),
        ("data.channels", ["u", "u"], ("data.channels", "'u' twice")),
        ("data.channels", ["u v"], ("data.channels", "'u v'")),
        ("data.channels", [], ("data.channels", "[]")),
        ("data.grid", [24], ("data.grid.1", "missing")),
        ("data.source", "lambda_omega", ("data.source", "'lambda_omega'", "'lambda-omega'", "'netcdf'")),
        ("data.source", "netcdf", ("data.directory", "missing")),
        ("data.trained_frames", 62, ("data.trained_frames", "found 62", "data.frames (61)")),
        ("data.trajectories.test", 0, ("data.trajectories.test", "found 0")),
        ("predictor.kind", "gru", ("predictor.kind", "'gru'", "one of 'fno', 'uno', 'unet', 'mlp', 'stencil'")),
        ("predictor", None, ("predictor", "None")),
        ("evaluation.horizons", [1, 30, 61], ("evaluation.horizons", "1 to 60")),
        ("evaluation.horizons", [1, 29], ("evaluation.horizons", "trained horizon 30")),
        ("evaluation.horizons", [30, 30], ("evaluation.horizons", "found 30 twice")),
        ("baselines.finetune.frames", 32, ("baselines.finetune.frames", "found 32", "data.trained_frames (31)")),
        ("baselines.equations", {"hill": [2]}, ("baselines.equations.hill", "found [2] for fields", "expected []")),
    ],
)
def test_bad_settings_are_refused(key: str, value: Any, words: tuple[str, ...]) -> None:
    with refused("my.yaml", *words):
        parse_study(changed(key, value), "my.yaml")


@pytest.mark.parametrize(
    ("predictor", "grid", "words"),
    [
        ({"modes": [13, 4]}, [24, 24], ("predictor.modes", "13 along y", "1 to 12, half of the grid of 24")),
        ({"modes": [4, 4]}, [24, 6], ("predictor.modes", "4 along x", "1 to 3, half of the grid of 6")),
        ({"modes": [0, 4]}, [24, 24], ("predictor.modes", "0 along y", "1 to 12")),
        ({"kind": "fno"}, [1, 1], ("predictor.kind", "'fno' for a grid of 1 x 1", "'mlp'")),
        ({}, [1, 24], ("predictor.modes", "4 along y", "expected 0", "a single point there")),
        ({"modes": [0, 13]}, [1, 24], ("predictor.modes", "13 along x", "1 to 12")),
        ({}, [24, 1], ("predictor.kind", "'fno' for a grid of 24 x 1", "along x, [1, 24]")),
        ({"kind": "unet"}, [1, 24], ("predictor.kind", "'unet' for a grid of 1 x 24", "'fno' or 'stencil'")),
        ({"kind": "fno", "levels": 2}, [24, 24], ("predictor.levels", "unknown key", "kind, width, modes, depth")),
        ({"kind": "uno", "widht": 3}, [24, 24], ("predictor.widht: unknown key", "'width'")),
        ({"kind": "uno", "levels": 3}, [24, 24], ("predictor.levels", "unknown key", "one of kind, width, modes, pro")),
        ({"kind": "uno", "modes": [[4, 4], [4]]}, [24, 24], ("predictor.modes.1.1: missing",)),
        ({"kind": "uno", "modes": []}, [24, 24], ("predictor.modes", "at least 1")),
        ({"kind": "uno", "modes": [[7, 4]]}, [24, 24], ("predictor.modes.0", "7 along y", "1 to 6", "grid of 12")),
        ({"kind": "uno", "modes": [[4, 4], [3, 4]]}, [24, 24], ("predictor.modes.1", "4 along x", "1 to 3")),
        ({"kind": "uno", "modes": [[1, 1]] * 3}, [5, 5], ("predictor.modes.2", "no such level", "single point")),
        ({"kind": "uno"}, [1, 1], ("predictor.kind", "'uno' for a grid of 1 x 1", "'mlp'")),
        ({"kind": "unet", "modes": [2, 2]}, [24, 24], ("predictor.modes", "unknown key", "kind, width, levels, pad")),
        ({"kind": "unet", "levels": 4}, [24, 24], ("predictor.levels", "found 4", "24 x 24", "divisible by 16")),
        ({"kind": "unet", "levels": 2}, [24, 22], ("predictor.levels", "24 x 22", "divisible by 4")),
        ({"kind": "unet", "levels": 0}, [24, 24], ("predictor.levels", "found 0")),
        ({"kind": "unet", "padding": "reflect"}, [24, 24], ("predictor.padding", "'reflect'", "'circular'")),
        ({"kind": "unet", "downsampling": "max"}, [24, 24], ("predictor.downsampling", "'max'", "'strided'")),
        ({"kind": "unet"}, [1, 1], ("predictor.kind", "'unet' for a grid of 1 x 1", "'mlp'")),
        (
            {"kind": "mlp"},
            [24, 24],
            ("predictor.kind", "'mlp' for a grid of 24 x 24", "'fno', 'uno', 'unet' or 'stencil'"),
        ),
        ({"kind": "mlp", "modes": [1, 1]}, [1, 1], ("predictor.modes", "unknown key", "kind, width, depth, activ")),
        ({"kind": "mlp", "activation": "relu"}, [1, 1], ("predictor.activation", "'relu'", "'tanh', 'gelu' or 'silu'")),
    ],
)
def test_predictors_that_do_not_fit_are_refused(predictor: dict[str, Any], grid: list[int], words: tuple[str]) -> None:
    config = changed("data.grid", grid) | {"predictor": predictor}
    with refused("my.yaml: ", *words):
        parse_study(config, "my.yaml")


@pytest.mark.parametrize(
    ("predictor", "grid"),
    [
        ({}, [24, 24]),
        ({"modes": [12, 1]}, [24, 2]),
        ({"kind": "uno", "modes": [[6, 7], [3, 3]]}, [24, 27]),
        ({"kind": "unet", "levels": 3}, [24, 8]),
        ({"kind": "mlp"}, [1, 1]),
    ],
)
def test_predictors_of_every_kind_are_taken(predictor: dict[str, Any], grid: list[int]) -> None:
    config = changed("data.grid", grid) | {"predictor": predictor}
    settings = parse_study(config).predictor
    assert settings.kind == predictor.get("kind", "fno")
    jsonschema.validate(config, json_schema())
    assert PredictorSettings(**settings.model_dump(mode="json")).root == settings


def test_schema_knows_which_keys_a_kind_of_predictor_has() -> None:
    for predictor in ({"kind": "mlp", "modes": [1, 1]}, {"levels": 2}, {"kind": "gru"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(default_config() | {"predictor": predictor}, json_schema())


def test_missing_section_is_refused() -> None:
    config = default_config()
    del config["predictor"]
    with refused("my.yaml: predictor: missing"):
        parse_study(config, "my.yaml")


def test_methods_that_are_told_parameters_may_be_left_out() -> None:
    config = without_parameters(default_config())
    study = parse_study(config)
    assert list(trained_maps(study)) == ["erm"]
    jsonschema.validate(config, json_schema())
    for section, names in (("base", ["conditioned"]), ("baselines", ["film_matched", "hypernetwork"])):
        for name in names:
            del config[section][name]
    assert parse_study(config) == study


def test_trained_maps_are_those_of_the_configuration() -> None:
    study = parse_study(default_config())
    maps = trained_maps(study)
    assert list(maps) == ["erm", "conditioned", "film-matched", "hypernetwork"]
    assert [trained.method for trained in maps.values()] == ["erm", "film", "film-matched", "hypernetwork"]
    assert [name for name, trained in maps.items() if trained.is_base] == ["erm", "conditioned"]
    assert [name for name, trained in maps.items() if not trained.told] == ["erm"]
    for trained in maps.values():
        training = study
        for key in trained.field.split("."):
            training = getattr(training, key)
        assert training == trained.training


def test_numbers_as_yaml_writes_them() -> None:
    """YAML takes 1e-3 for text, since there is no dot in it."""
    assert parse_study(changed("base.erm.learning_rate", "1e-3")).base.erm.learning_rate == 1e-3


def test_arm_overrides_single_keys() -> None:
    study = parse_study(changed("generator.arms.paper.vae", {"training": {"steps": 7}}))
    vae, _ = study.generator.of_arm("paper")
    assert vae.training.steps == 7
    assert vae.training.weight_decay == study.generator.vae.training.weight_decay
    assert study.generator.of_arm("conditioned")[0] == study.generator.vae


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"study: [", ("not YAML",)),
        (b"- a\n- b\n", ("found list", "mapping")),
        (b"", ("found NoneType", "mapping")),
        (b"study: \xff\n", ("UTF-8",)),
        (b"study: a\nseed: 1\nstudy: b\n", ("line 3: study", "second time", "line 1")),
        (b"zoo: {members: 1, members: 2}\n", ("line 1: members", "second time")),
    ],
)
def test_files_that_are_no_configuration_are_refused(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with refused(path, *words):
        load_study(path)


def test_a_key_may_stand_beside_one_that_is_merged_in(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("a: {b: &inner {c: 1, d: 1}}\nouter: &outer {<<: *inner, c: 2}\nlast: {<<: *outer, d: 3}\n")
    assert read_yaml(path)["last"] == {"c": 2, "d": 3}


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "none.yaml", "No such file"):
        load_study(tmp_path / "none.yaml")


@pytest.mark.parametrize("section", ["base", "arm"])
def test_codes_belong_to_their_own_map(section: str) -> None:
    config = default_config()
    told = config["base"] if section == "base" else config["generator"]["arms"]["paper"]
    told["condition"] = "code"
    expected = "expected parameters or frames" if section == "base" else "expected code with context"
    with refused("condition: found 'code'", expected, "codes belong to the map"):
        parse_study(config)
