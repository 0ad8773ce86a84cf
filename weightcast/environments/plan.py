"""The plan of a study: which job computes what. Pure functions of the configuration and the table of environments.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from weightcast.core.config.messages import first_line
from weightcast.core.environment_table import ROLES, Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.extras import require
from weightcast.core.methods import AVERAGE_PREFIX, CONTEXT
from weightcast.environments.config.condition import LABELLED, SHOWN_FRAMES
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.config.zoo import BaseName
from weightcast.records.settings import RecordSettings

Item = TypeVar("Item")

FEWEST_VISIBLE = 2
MANY = 64
"""Of what a study has so many of, one more is little."""
MANY_SHARDS = 256
"""Of experts, that planning need not have more of, whatever the size of the table."""
MOST_COMPARED = 256
"""Environments of each role whose weights are compared with all experts: more would say the same at a cost that grows
with the square of the table."""


def check_plan(study: Study, table: EnvironmentTable) -> None:
    """Check what neither the configuration nor the table knows alone.

    Raises:
        InputError: too few visible environments, parameters that are asked for and not there or have no logarithm, or
            settings that the data's source cannot have.
    """
    check_visible(table)
    if not table.parameter_names:
        _check_untold(study, table.path)
    told = [name for name, arm in study.generator.arms.items() if arm.condition == "code"]
    if told and study.context is not None and len(table.visible) > study.context.environments:
        raise InputError(
            f"config: context.environments: found {study.context.environments}, expected {len(table.visible)}, all "
            f"visible environments of {table.path}: the arm {told[0]} is told the code of each"
        )
    _check_logarithms(study.logarithmic_parameters, table)
    source_settings(study.data)


def check_visible(table: EnvironmentTable) -> None:
    """Raise an `InputError` where a table has too few visible environments."""
    if len(table.visible) < FEWEST_VISIBLE:
        raise InputError(
            f"{table.path}: column role: found {len(table.visible)} visible environment, expected {FEWEST_VISIBLE} or "
            "more: how weights depend on the environment is learned from them"
        )


def check_packages(study: Study) -> None:
    """Check what is installed where this runs, which need not be where the workflow is planned.

    Raises:
        InputError: an optional package that a job of the study will need is missing.
    """
    if study.explain is not None and study.explain.equations:
        require("pysindy", "symbolic", "explain: distillation")


def _check_untold(study: Study, table: Path) -> None:
    """Nothing may be told the parameters of a table that has none."""
    for trained in trained_maps(study).values():
        if trained.told and trained.condition == "parameters":
            field = trained.field.removesuffix(".training")
            raise InputError(
                f"config: {field}: found a network that is told the environments' parameters, expected null: {table} "
                "has no parameter columns"
            )
    for name, arm in study.generator.arms.items():
        if arm.condition == "parameters":
            raise InputError(
                f"config: generator.arms.{name}.condition: found 'parameters', expected another condition or no such "
                f"arm: {table} has no parameter columns"
            )


def _check_logarithms(names: Sequence[str], table: EnvironmentTable) -> None:
    for name in names:
        if name not in table.parameter_names:
            raise InputError(
                f"config: logarithmic_parameters: found {name!r}, expected parameters of {table.path}: "
                f"{', '.join(table.parameter_names) or 'it has none'}"
            )
        for environment in table:
            if environment.parameters[name] <= 0:
                raise InputError(
                    f"{table.path}: environment {environment.id}, column {name}: found "
                    f"{environment.parameters[name]:g}, expected a number above 0: logarithmic_parameters names it"
                )


def source_settings(data: DataSettings) -> dict[str, Any]:
    """Settings of the data's source: ``data.settings``, and what other keys of ``data`` say about it.

    A simulator is told ``frames`` and ``trajectories`` here, so that they stand in the configuration once. Files of
    your own know them; ``.npy`` files lack the time between frames alone (``frame_step``).

    Raises:
        InputError: a key that is set twice, or that the source does not have.
    """
    settings = dict(data.settings)
    if data.source == "zoo":
        for key, found in (("directory", data.directory), ("settings", data.settings or None)):
            if found is not None:
                raise InputError(
                    f"config: data.{key}: found {found!r}, expected none: zoo.published has what there is to set"
                )
        return {}
    if data.simulated:
        if data.directory is not None:
            raise InputError(
                f"config: data.directory: found {data.directory!r}, expected none: {data.source} makes its data"
            )
        for key, set_by in (("frames", "data.frames"), ("trajectories", "data.trajectories")):
            if key in settings:
                raise InputError(
                    f"config: data.settings.{key}: found {settings[key]!r}, expected none: {set_by} sets it"
                )
        return settings | {"frames": data.recorded_frames, "trajectories": data.trajectories.total}
    if data.source == "table":
        return record_settings(data).model_dump(mode="json")
    known = ("frame_step",) if data.source == "npy" else ()
    for key in settings:
        if key not in known:
            expected = f"only {', '.join(known)}" if known else "none"
            raise InputError(f"config: data.settings.{key}: unknown key, expected {expected} for {data.source} files")
    if data.source == "npy":
        step = settings.setdefault("frame_step", 1.0)
        if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step < float("inf"):
            raise InputError(f"config: data.settings.frame_step: found {step!r}, expected a number above 0")
    return settings


def record_settings(data: DataSettings) -> RecordSettings:
    """How a table is read and cut.

    Raises:
        InputError: ``data.settings`` has an unknown key, or a value that does not fit.
    """
    try:
        settings = RecordSettings.model_validate(data.settings)
    except ValidationError as error:
        raise InputError(first_line(error, "config", RecordSettings, "data.settings.")) from None
    if settings.columns is not None and len(settings.columns) != len(data.columns):
        raise InputError(
            f"config: data.settings.columns: found {len(settings.columns)}, expected {len(data.columns)} as "
            f"data.channels {'and data.inputs have' if data.inputs else 'has'}"
        )
    if settings.layout == "wide" and data.inputs:
        raise InputError(
            f"config: data.inputs: found {', '.join(data.inputs)} with a wide table, expected none: a column is a place"
        )
    return settings


def shard_size(usual: int, visible: int) -> int:
    """Environments of a shard of experts that a new study is given: the usual number, but of large tables more, so that
    there are not many more than ``MANY_SHARDS`` shards to plan.

    Args:
        usual: of a study of its kind.
        visible: environments of its table.
    """
    return min(max(usual, visible // MANY_SHARDS), visible)


def expert_shards(study: Study, table: EnvironmentTable) -> dict[str, list[str]]:
    """Visible environments whose experts one job trains together: ids by the shard's name.

    Consecutive rows of the table, so that appending a row changes the last shard or adds one.
    """
    return _shards("visible", [environment.id for environment in table.visible], study.zoo.shard_environments)


def reference_shards(study: Study, table: EnvironmentTable) -> dict[str, list[str]]:
    """The same for unseen environments, whose experts are the reference One-per-Env; empty if none is unseen."""
    return _shards("unseen", [environment.id for environment in table.unseen], study.zoo.shard_environments)


def shards(study: Study, table: EnvironmentTable) -> dict[str, list[str]]:
    """Both kinds of shards: ids by the shard's name."""
    return expert_shards(study, table) | reference_shards(study, table)


def trajectory_shards(study: Study, table: EnvironmentTable) -> dict[str, list[str]]:
    """Environments whose trajectories one job makes: ids by the shard's name, all of one role.

    Consecutive rows, so that appending one changes the last shard or adds one; but environments that joined the table
    after the training of a base was begun are in shards of their own: what a base was trained on stays as it is.
    """
    fixed = study.simulated_together
    bases = [*trained_maps(study), "in-context"]
    if study.context is None or len(table.visible) <= study.context.environments:
        bases += context_seeds(study)  # otherwise they see some of all ages
    seen = [set(base_environments(study, table, base)) for base in bases]
    classes: dict[tuple[bool, ...], list[str]] = {}
    for environment in table.visible:
        classes.setdefault(tuple(environment.id in ids for ids in seen), []).append(environment.id)
    by_age = [classes[by] for by in sorted(classes, key=sum, reverse=True)]  # seen by more bases: longer in the table
    unseen = [environment.id for environment in table.unseen]
    return _growing_shards("visible", by_age, fixed) | _growing_shards("unseen", [unseen], fixed)


def base_environments(study: Study, table: EnvironmentTable, base: str) -> list[str]:
    """Visible environments that a network of ``trained_maps`` is trained on.

    All of the table's, of a context no more than it is to learn from, except where its training has begun before and
    the environments of that time are all still visible: then those. A base that has seen enough is still a good start
    for the experts of an environment that joins later, so adding one trains that environment alone. Deleting
    ``results/<study>/base`` trains anew, on all.
    """
    visible = [environment.id for environment in table.visible]
    recorded = recorded_environments(study, base)
    if recorded and set(recorded) <= set(visible):
        return recorded
    of_context = study.context is not None and base in context_seeds(study)
    return _spread(visible, study.context.environments) if study.context and of_context else visible


def context_seeds(study: Study) -> dict[str, int]:
    """Seeds of the study's contexts by the names of their files: the first one's, which stands for the study wherever
    one context is used, has no number."""
    seeds = study.context.seeds if study.context else []
    return {f"{CONTEXT}-{seed}" if number else CONTEXT: seed for number, seed in enumerate(seeds)}


def _spread(ids: list[Item], most: int) -> list[Item]:
    """So many of them, evenly over their order."""
    return ids if len(ids) <= most else [ids[number * len(ids) // most] for number in range(most)]


def recorded_environments(study: Study, base: str) -> list[str] | None:
    """The environments that a base's training was begun with, or None if it was not, or the record cannot be read.

    The record is a file of its own, which the training writes before its first step. The base itself would not do:
    Snakemake deletes it before it is trained anew, and what had been planned would change under a kill.
    """
    try:
        environments = json.loads(base_record(study, base).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # the last: brackets in brackets, a thousand deep
        return None
    if isinstance(environments, list) and all(isinstance(id, str) for id in environments):
        return environments
    return None


def base_record(study: Study, base: str) -> Path:
    """Where the environments of a base are recorded: beside it, so that whoever deletes the folder starts anew."""
    return study.results / "base" / f".{base}.environments.json"


def shown_methods(study: Study) -> list[str]:
    """What the report shows side by side: the first arm's generator if there is one, experts of the very environment,
    the pooled network."""
    arms = study.generator.arms
    generators = [f"generator-{arm}" for arm in arms][:1]
    base = next((arm.base for arm in arms.values()), study.zoo.bases[0])
    return [*generators, f"one-per-env-{base}", f"{AVERAGE_PREFIX}{base}" if study.zoo.published else "erm"]


def finetuned_maps(study: Study) -> list[str]:
    """Networks of ``trained_maps`` that are fine-tuned on a few frames: the bases, unless nobody has trained them."""
    maps = {} if study.zoo.published else trained_maps(study)
    return [name for name, trained in maps.items() if trained.is_base]


def adapted_maps(study: Study) -> list[str]:
    """Networks of ``trained_maps`` that infer an unknown environment from frames: what is told it and is no base."""
    return [name for name, trained in trained_maps(study).items() if trained.told and not trained.is_base]


def regressions(table: EnvironmentTable) -> tuple[str, ...]:
    """Methods that regress a zoo's weights, without the base that ends their names: none where no parameters are
    known."""
    return ("nearest-expert", "polynomial", "gaussian-process") if table.parameter_names else ()


def sees_frames(study: Study) -> bool:
    """Whether a condition of the study is shown frames of every environment."""
    arms = study.generator.arms.values()
    kinds = [*([] if study.zoo.published else [study.base.condition]), *(arm.condition for arm in arms)]
    # Codes of unseen environments are inferred from frames, also for experts that start from them.
    return not SHOWN_FRAMES.isdisjoint(kinds) or "context" in study.zoo.bases


def labelled_bases(study: Study) -> list[str]:
    """Bases whose experts surrogate labels are made of: those of the arms that are told one."""
    return list(dict.fromkeys(arm.base for arm in study.generator.arms.values() if arm.condition in LABELLED))


def tuned_arms(study: Study) -> list[str]:
    """Arms whose generators are fine-tuned end to end. They are evaluated before it as well."""
    return [name for name, arm in study.generator.arms.items() if arm.end_to_end]


def weight_sources(study: Study, table: EnvironmentTable) -> list[str]:
    """Names of the files of weights that are rolled out: a file may hold several methods, and is not named by them."""
    return [
        "bases",
        *(["finetuned"] if finetuned_maps(study) else []),
        *(f"zoo-{base}" for base in study.zoo.bases),
        *(f"latents-{arm}" for arm in study.generator.arms),
        *(f"generator-{arm}" for arm in study.generator.arms),
        *(f"generator-{arm}-weights-only" for arm in tuned_arms(study)),
        *observed_sources(study, table)[:1],
    ]


def observed_sources(study: Study, table: EnvironmentTable) -> list[str]:
    """Files of weights made from frames of unseen environments, one a case; the first stands in metrics.csv."""
    return [f"observed/{case.name}" for case in study.evaluation.observed] if table.unseen else []


def trained_rivals(study: Study, table: EnvironmentTable) -> list[str]:
    """Files of what is trained for environments of which a few frames are known, and predicts otherwise than the
    study's predictor does."""
    found = {"in-context": study.baselines.in_context, "equations": study.baselines.equations}
    return [name for name, settings in found.items() if settings is not None and observed_sources(study, table)]


def regressed(study: Study) -> bool:
    """Whether states are regressed on those before."""
    return study.baselines.autoregression is not None or study.baselines.trees is not None


def choosing_environments(study: Study, table: EnvironmentTable) -> list[str]:
    """Visible environments on which settings are chosen of what uses observed frames.

    Evenly spread over the table: neighbours in it are neighbours in parameters.
    """
    visible, count = [environment.id for environment in table.visible], study.baselines.finetune.choosing_environments
    return visible[:: max(1, len(visible) // count)][:count]


def compared_frames(numbers: int) -> int:
    """Frames of an environment on which generated networks and experts are compared: fewer of large fields."""
    return min(8, max(4, 2**15 // numbers))


def compared_environments(environments: Sequence[Environment]) -> list[Environment]:
    """Those in which generated networks are compared with experts: all, of many :data:`MOST_COMPARED` of each role."""
    of_roles = [[environment for environment in environments if environment.role == role] for role in ROLES]
    kept = {environment.id for alike in of_roles for environment in _spread(alike, MOST_COMPARED)}
    return [environment for environment in environments if environment.id in kept]


def pictured_environments(table: EnvironmentTable) -> list[str]:
    """Three environments to draw: the first, the middle and the last visible one of the table."""
    visible = [environment.id for environment in table.visible]
    return list(dict.fromkeys([visible[0], visible[len(visible) // 2], visible[-1]]))


def pictured_unknown(table: EnvironmentTable) -> list[str]:
    """The unseen environments of which frames and forecast are drawn: the middle one inside, and the one outside."""
    roles = (table.interpolation, table.extrapolation)
    return [role[len(role) // 2].id for role in roles if role]


def experts_base(study: Study) -> BaseName:
    """The base whose experts are retrieved and weighted by frames: the last that is fine-tuned on frames itself."""
    return [base for base in study.zoo.bases if base in finetuned_maps(study)][-1]


def adapted_arms(study: Study) -> list[str]:
    """Arms that make weights of what is observed of an unknown environment: those that are told frames or a label, and
    those on the conditioned base, whose parameters are inferred."""
    arms = study.generator.arms.items()
    return [name for name, arm in arms if arm.condition in SHOWN_FRAMES or arm.base == "conditioned"]


def attended_arms(study: Study) -> list[str]:
    """Arms whose encoder's attention is explained: all that have any, where the configuration asks for it."""
    asked = study.explain is not None and study.explain.attention
    return [arm for arm in study.generator.arms if asked and study.generator.of_arm(arm)[0].coder == "attention"]


def _shards(prefix: str, ids: Sequence[str], size: int) -> dict[str, list[str]]:
    """Consecutive chunks of at most ``size`` ids, by a name that only the chunk's position decides."""
    starts = range(0, len(ids), size)
    return {f"{prefix}-{number:03d}": list(ids[start : start + size]) for number, start in enumerate(starts)}


def _growing_shards(prefix: str, classes: Sequence[Sequence[str]], size: int | None) -> dict[str, list[str]]:
    """Consecutive chunks of each class, of ``size`` ids; if None, of so many that a chunk is one in ``MANY`` of those
    before it: the first ones are of a single id, and however many there are, none takes much longer than the rest."""
    found: dict[str, list[str]] = {}
    before = 0
    for ids in classes:
        start = 0
        while start < len(ids):
            count = min(size or max(1, before // MANY), len(ids) - start)
            found[f"{prefix}-{len(found):03d}"] = list(ids[start : start + count])
            start, before = start + count, before + count
    return found
