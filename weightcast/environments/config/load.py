"""Checking the configuration of a study across environments: what sections must agree on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from weightcast.core.config.messages import check_once, first_line, validated
from weightcast.core.config.settings import MOST_WEIGHTS, Settings
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.core.methods import ENSEMBLE, OBSERVED, REFINED, WEIGHTS_ONLY
from weightcast.core.names import check_name
from weightcast.core.nets.sizes import count_weights
from weightcast.environments.config.condition import LABELLED, UNREGRESSED, FramesSettings
from weightcast.environments.config.data import GAPPY_SOURCES, LAND_SOURCES, TAKEN, DataSettings
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.kept_best import check_best
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.config.vae import VAESettings


def parse_study(config: dict[str, Any], source: str | Path = "config") -> Study:
    """Check a configuration.

    Args:
        config: as loaded from YAML (or by Snakemake, overlays applied).
        source: named in the messages.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    study = validated(Study, config, source)
    _check(study, source)
    return study


def load_study(path: str | Path) -> Study:
    """Read and check a configuration file.

    Raises:
        InputError: the file is missing, is not YAML, or :func:`parse_study` refuses it.
    """
    return parse_study(read_yaml(path), path)


def _check_condition(study: Study, arm: str, vae: VAESettings, source: str | Path) -> None:
    """Weights relative to a conditioned base are a function of what that base is told."""
    chosen, told = study.generator.arms[arm], study.base.condition
    if chosen.base != "conditioned" or vae.relative_to == "mean":
        return
    if vae.relative_to == "auto" and study.base.map != "auto":
        raise InputError(
            f"{source}: generator.vae.relative_to: found 'auto' with base.map {study.base.map!r}, expected 'base' or "
            "'mean', or base.map: auto, which leaves out the environments that choose"
        )
    if chosen.condition != told:
        raise InputError(
            f"{source}: generator.arms.{arm}.condition: found {chosen.condition!r}, expected {told!r} as "
            "base.condition, or generator.vae.relative_to: mean"
        )


def _check_coordinates(study: Study, arm: str, diffusion: DiffusionSettings, source: str | Path) -> None:
    """What a diffusion does with coordinates beside conditioning on them, it does with a few numbers alone."""
    condition = study.generator.arms[arm].condition
    if condition not in UNREGRESSED:
        return
    field = f"{source}: generator.arms.{arm}.diffusion"
    if diffusion.relative_to == "regression":
        raise InputError(
            f"{field}.relative_to: found 'regression' with the condition {condition!r}, expected 'mean': observed "
            "frames are too many numbers to regress on"
        )
    if diffusion.left_out:
        raise InputError(
            f"{field}.left_out: found {diffusion.left_out:g} with the condition {condition!r}, expected 0: observed "
            "frames do not say which environments lie at the edge"
        )


def _check_conditions(study: Study, source: str | Path) -> None:
    if study.base.map == "auto" and study.base.condition != "parameters":
        raise InputError(
            f"{source}: base.map: found 'auto' with base.condition {study.base.condition!r}, expected 'film' or "
            "'low-rank': only parameters say which environments lie at the edge"
        )
    if study.base.condition in LABELLED:
        raise InputError(
            f"{source}: base.condition: found {study.base.condition!r}, expected 'parameters' or 'frames': labels are "
            "made of a base's experts"
        )
    if study.base.condition == "code":  # learned with its own map, in the section context
        raise InputError(
            f"{source}: base.condition: found 'code', expected parameters or frames: codes belong to the map that they "
            "were learned with (context)"
        )
    for name, arm in study.generator.arms.items():
        if (arm.condition == "code") != (arm.base == "context"):
            raise InputError(
                f"{source}: generator.arms.{name}.condition: found {arm.condition!r} with the base {arm.base!r}, "
                "expected code with context, and another with another: codes belong to the map that they were learned "
                "with"
            )
    if set(study.zoo.bases) == {"context"}:
        raise InputError(f"{source}: zoo.bases: found 'context' alone, expected another base beside it")
    _check_branches(study.conditions.frames, "conditions.frames", source)


def _check_published(study: Study, source: str | Path) -> None:
    """What a study that begins from a published zoo can have: networks made of weights, and none that is trained on
    trajectories."""
    zoo, arms = study.zoo, study.generator.arms
    if zoo.published is None:
        if study.data.source == "zoo":
            raise InputError(f"{source}: zoo.published: missing, expected a folder: data.source is 'zoo'")
        return
    if len(zoo.bases) > 1 or zoo.bases == ["context"]:
        raise InputError(
            f"{source}: zoo.bases: found {', '.join(zoo.bases)} with zoo.published, expected one, erm or conditioned"
        )
    trained = {
        "context": study.context,
        "baselines.film_matched": study.baselines.film_matched,
        "baselines.hypernetwork": study.baselines.hypernetwork,
        "baselines.in_context": study.baselines.in_context,
        "baselines.equations": study.baselines.equations,
        "evaluation.observed": study.evaluation.observed or None,
        "explain": study.explain if study.explain and study.explain.equations else None,
    }
    for field, settings in trained.items():
        if settings is not None:
            raise InputError(f"{source}: {field}: found settings with zoo.published, expected none: experts are all")
    for name, arm in arms.items():
        if arm.condition != "parameters":
            raise InputError(
                f"{source}: generator.arms.{name}.condition: found {arm.condition!r} with zoo.published, expected "
                "'parameters'"
            )
        if study.generator.of_arm(name)[0].relative_to != "mean":
            raise InputError(
                f"{source}: generator.arms.{name}.vae.relative_to: found "
                f"{study.generator.of_arm(name)[0].relative_to!r} with zoo.published, expected 'mean': bases are not "
                "published"
            )


def _refuse_plain_states(study: Study, source: str | Path, found_with: str, why: str) -> None:
    """Refuse what is about plain states: equations, and predictors that others have published."""
    there = {
        "context.equations": study.context is not None and study.context.equations is not None,
        "baselines.equations": study.baselines.equations is not None,
        "explain.equations": study.explain is not None and study.explain.equations,
        "zoo.published": study.zoo.published is not None,
    }
    for field in (name for name, found in there.items() if found):
        raise InputError(f"{source}: {field}: found it with {found_with}, expected none: {why}")


def _check_inputs(study: Study, source: str | Path) -> None:
    """Inputs have names of their own, files that hold them, and predictors that can be shown them."""
    data = study.data
    if not data.input_columns:
        return
    sections: dict[str, tuple[Sequence[str], tuple[str, ...]]] = {
        "inputs": (list(data.inputs), ("table", "netcdf")),
        "calendar": (data.calendar, ("table",)),
    }
    for name, (found, sources) in sections.items():
        check_once(found, f"data.{name}", source)
        if found and data.source not in sources:
            raise InputError(
                f"{source}: data.{name}: found {', '.join(found)} with the source {data.source!r}, expected none, or "
                f"the source {' or '.join(sources)}"
            )
    for column in data.inputs:
        check_name(column, "data.inputs", source)
    for column in data.input_columns:
        if column in data.channels or data.input_columns.count(column) > 1:
            raise InputError(
                f"{source}: data.inputs: found {column!r}, which is a channel or of the calendar, expected another name"
            )
    with_inputs = f"data.inputs ({', '.join(data.input_columns)})"
    _refuse_plain_states(study, source, with_inputs, "what it is about depends on the state alone")
    if "context" in study.zoo.bases:  # codes of its experts' environments are inferred from states alone
        raise InputError(
            f"{source}: zoo.bases: found context with {with_inputs}, expected erm or conditioned: experts over codes "
            "are not shown inputs yet"
        )


def _check_files(study: Study, source: str | Path) -> None:
    """Names of dimensions are those of NetCDF files, each for one; windows are cut of files of trajectories."""
    data = study.data
    if data.windows and data.source not in ("netcdf", "npy"):
        raise InputError(
            f"{source}: data.windows: found true with the source {data.source!r}, expected false, or netcdf or npy"
        )
    own = list(data.dimensions.values())
    check_once(own, "data.dimensions", source)
    if own and data.source != "netcdf":
        raise InputError(
            f"{source}: data.dimensions: found {', '.join(own)} with the source {data.source!r}, expected none, or the "
            "source netcdf"
        )


def _check_transforms(study: Study, source: str | Path) -> None:
    """Transforms are of channels, and of nothing that is about these in their own units."""
    data = study.data
    known = ", ".join(data.channels)
    for name in data.transforms:
        if name in data.input_columns:
            raise InputError(f"{source}: data.transforms: found the input {name!r}, expected channels alone ({known})")
        if name not in data.channels:
            raise InputError(f"{source}: data.transforms: found {name!r}, expected some of data.channels ({known})")
    if data.transforms:
        transformed = f"data.transforms ({', '.join(data.transforms)})"
        _refuse_plain_states(study, source, transformed, "what it is about are channels in their own units")


def _check_history(study: Study, source: str | Path) -> None:
    """What sees one frame alone is not there, and what is shown is enough to be judged by."""
    data = study.data
    if data.history == 1:
        return
    if getattr(study.predictor, "integrator", "map") == "rk4":
        raise InputError(
            f"{source}: predictor.integrator: found 'rk4' with data.history {data.history}, expected 'map': a rate of "
            "change is one of a single frame"
        )
    remembered = f"data.history {data.history}"
    _refuse_plain_states(study, source, remembered, "what it is about depends on one frame alone")
    least, baselines = data.history + 1, study.baselines
    shown = {
        **{f"evaluation.observed.{place}": case.frames for place, case in enumerate(study.evaluation.observed)},
        "baselines.finetune": baselines.finetune.frames,
        **({"baselines.in_context": baselines.in_context.frames} if baselines.in_context is not None else {}),
        **({"context.choice": study.context.choice.frames} if study.context is not None else {}),
        "conditions.frames": study.conditions.frames.frames,
        **{f"generator.arms.{arm}.frames": study.conditions_of(arm).frames.frames for arm in study.generator.arms},
    }
    by_codes = "context" in study.zoo.bases  # codes of unseen environments are inferred from what conditions see
    for field, frames in shown.items():
        if frames < least and (by_codes or not field.startswith(("conditions", "generator"))):
            raise InputError(
                f"{source}: {field}.frames: found {frames} with data.history {data.history}, expected {least} or more: "
                "so many are seen, and judged by the next"
            )


def _check_gaps(study: Study, source: str | Path) -> None:
    """Values may be missing where files are the user's own, and what needs all of them is not there."""
    data = study.data
    if data.land and data.source not in LAND_SOURCES:
        raise InputError(
            f"{source}: data.land: found it with the source {data.source!r}, expected none, or the source "
            f"{', '.join(LAND_SOURCES)}"
        )
    if data.missing is not None and data.source not in LAND_SOURCES:
        further = ": of a table data.settings.missing says it" if data.source == "table" else ""
        raise InputError(
            f"{source}: data.missing: found it with the source {data.source!r}, expected none, or the source "
            f"{', '.join(LAND_SOURCES)}{further}"
        )
    if data.regrid is not None and (data.source != "netcdf" or data.land or data.grid == (1, 1)):
        beside = "data.land" if data.land else f"the source {data.source!r} and a grid of {list(data.grid)}"
        raise InputError(
            f"{source}: data.regrid: found it with {beside}, expected null, or NetCDF files of fields without land"
        )
    if strangers := [name for name in data.land if name not in data.columns]:
        raise InputError(
            f"{source}: data.land: found {', '.join(strangers)}, expected names of data.channels or data.inputs"
        )
    if data.gaps is None:
        return
    if data.source not in GAPPY_SOURCES:
        raise InputError(
            f"{source}: data.gaps: found it with the source {data.source!r}, expected none, or the source "
            f"{', '.join(GAPPY_SOURCES)}"
        )
    _refuse_plain_states(study, source, "data.gaps", "what it is about are rates of change, of whole frames")


def _check_branches(frames: FramesSettings, field: str, source: str | Path) -> None:
    """Something must be made of frames."""
    if not (frames.statistics or frames.responses or frames.spectra):
        raise InputError(
            f"{source}: {field}: found statistics, responses and spectra switched off, expected one or more"
        )


def _check_arm(study: Study, arm: str, source: str | Path) -> None:
    """The VAE and the diffusion of an arm, which are complete only with the arm's overrides."""
    sections: dict[str, tuple[str, type[Settings]]] = {
        "VAESettings": ("vae", VAESettings),
        "DiffusionSettings": ("diffusion", DiffusionSettings),
        "FramesSettings": ("frames", FramesSettings),
    }
    try:
        vae, diffusion = study.generator.of_arm(arm)
        frames = study.conditions_of(arm).frames
    except ValidationError as error:
        name, section = sections[error.title]
        raise InputError(first_line(error, source, section, f"generator.arms.{arm}.{name}.")) from None
    if study.generator.arms[arm].frames and study.generator.arms[arm].condition != "frames":
        raise InputError(
            f"{source}: generator.arms.{arm}.frames: found settings of the condition 'frames', expected none: the arm "
            f"is told {study.generator.arms[arm].condition!r}"
        )
    _check_branches(frames, f"generator.arms.{arm}.frames", source)
    _check_condition(study, arm, vae, source)
    _check_coordinates(study, arm, diffusion, source)
    for name, width, heads in (("vae", vae.width, vae.heads), ("diffusion", diffusion.width, diffusion.heads)):
        if width % heads:
            raise InputError(
                f"{source}: generator.{name}.heads: found {heads} for the arm {arm}, expected a divisor of the width "
                f"{width}"
            )
    if diffusion.width % 2:
        raise InputError(
            f"{source}: generator.diffusion.width: found {diffusion.width} for the arm {arm}, expected an even number: "
            "half of it are sines of the noise step, half cosines"
        )


def _check(study: Study, source: str | Path) -> None:
    """What no single section can know."""
    check_name(study.study, "study", source)
    check_once(study.logarithmic_parameters, "logarithmic_parameters", source)
    check_once(study.data.channels, "data.channels", source)
    for key in ("channels", "inputs"):
        if taken := [name for name in getattr(study.data, key) if name in TAKEN]:
            raise InputError(
                f"{source}: data.{key}: found {', '.join(taken)}, expected other names than {', '.join(TAKEN)}, which "
                "dimensions of trajectories have"
            )
    check_once(study.zoo.bases, "zoo.bases", source)
    check_once(study.generator.seeds, "generator.seeds", source)
    if study.context is not None:
        check_once(study.context.seeds, "context.seeds", source)
    check_once(study.evaluation.horizons, "evaluation.horizons", source)
    if min(study.generator.seeds) < 0:
        raise InputError(f"{source}: generator.seeds: found {min(study.generator.seeds)}, expected 0 or more")
    data, predictor, maps = study.data, study.predictor, trained_maps(study)
    if (weights := count_weights(predictor, len(data.channels), data.beside)) > MOST_WEIGHTS:
        raise InputError(
            f"{source}: predictor: found settings of {weights:,} weights, expected at most {MOST_WEIGHTS:,}"
        )
    for base in study.zoo.bases:
        if base == "context":
            if study.context is None:
                raise InputError(f"{source}: zoo.bases: found 'context', expected a section context beside it")
            if study.context.equations is not None:
                raise InputError(
                    f"{source}: context.equations: found settings, and 'context' among zoo.bases, expected null: "
                    "experts are networks, and equations may stand in the place of these"
                )
        elif base not in maps:
            known = ", ".join(name for name, trained in maps.items() if trained.is_base)
            raise InputError(
                f"{source}: zoo.bases: found {base!r}, expected some of {known}: base.{base} is null or left out"
            )
    for field, equations in (
        ("context", study.context and study.context.equations),
        ("baselines", study.baselines.equations),
    ):
        if equations and equations.hill and data.grid != (1, 1):
            raise InputError(
                f"{source}: {field}.equations.hill: found {equations.hill} for fields, expected []: rates that "
                "saturate are looked for in states without a grid alone"
            )
    _check_conditions(study, source)
    for channel in data.channels:
        check_name(channel, "data.channels", source)
    for arm in study.generator.arms:
        check_name(arm, "generator.arms", source)
        for ending in (WEIGHTS_ONLY, OBSERVED, ENSEMBLE, REFINED):  # names of methods that are made of an arm's
            if arm.endswith(ending):
                raise InputError(
                    f"{source}: generator.arms: found {arm!r}, expected a name that does not end in {ending}"
                )
        if study.generator.arms[arm].base not in study.zoo.bases:
            raise InputError(
                f"{source}: generator.arms.{arm}.base: found {study.generator.arms[arm].base!r}, "
                f"expected one of zoo.bases ({', '.join(study.zoo.bases)})"
            )
        _check_arm(study, arm, source)
    _check_published(study, source)
    _check_inputs(study, source)
    _check_files(study, source)
    _check_transforms(study, source)
    _check_history(study, source)
    _check_gaps(study, source)
    of_table = data.source == "table"
    if data.imported and not of_table and data.directory is None:
        raise InputError(f"{source}: data.directory: missing, expected the folder with your {data.source} files")
    if of_table and not data.files:
        raise InputError(f"{source}: data.files: missing, expected the files of your table")
    if of_table and data.directory is not None:
        raise InputError(f"{source}: data.directory: found {data.directory!r}, expected none: a table has data.files")
    if of_table and data.grid != (1, 1):
        raise InputError(f"{source}: data.grid: found {list(data.grid)}, expected [1, 1]: a table holds no fields")
    if data.files and not of_table:
        raise InputError(f"{source}: data.files: found {data.files}, expected none: {data.source} is no table")
    check_best(study, source)
    misfit = predictor.misfit(data.grid)
    if misfit is not None:
        raise InputError(f"{source}: predictor.{misfit}")
    misfit = study.explain.misfit(data.grid) if study.explain else None
    if misfit is not None:
        raise InputError(f"{source}: explain: {misfit}")
    for name in ("autoregression", "trees"):
        if getattr(study.baselines, name) is not None and data.grid != (1, 1):
            raise InputError(
                f"{source}: baselines.{name}: found it with a grid of {list(data.grid)}, expected null: states without "
                "a grid alone are regressed"
            )
    check_once([case.name for case in study.evaluation.observed], "evaluation.observed", source)
    for position, case in enumerate(study.evaluation.observed):
        if case.frames > data.recorded_frames:
            raise InputError(
                f"{source}: evaluation.observed.{position}.frames: found {case.frames}, expected at most data.frames "
                f"({data.frames}{_and_history(data)})"
            )
        there = data.of_role("interpolation").trajectories.train
        if case.trajectories > there:
            raise InputError(
                f"{source}: evaluation.observed.{position}.trajectories: found {case.trajectories}, expected at most "
                f"{there}, the trajectories to train of an unseen environment"
            )
    if data.trained_frames > data.frames:
        raise InputError(
            f"{source}: data.trained_frames: found {data.trained_frames}, expected at most data.frames ({data.frames})"
        )
    horizons = study.evaluation.horizons
    if max(horizons) >= data.frames or min(horizons) < 1:
        raise InputError(
            f"{source}: evaluation.horizons: found {horizons}, expected 1 to {data.frames - 1}, "
            f"the frames of data.frames ({data.frames}) after the first"
        )
    if study.trained_horizon not in horizons:
        raise InputError(
            f"{source}: evaluation.horizons: found {horizons}, expected the trained horizon {study.trained_horizon} "
            "(data.trained_frames - 1) among them"
        )
    trainings = {
        **{f"{trained.field}.unroll": trained.training.unroll for trained in maps.values()},
        "zoo.training.unroll": study.zoo.training.unroll,
        "zoo.training_erm.unroll": study.zoo.training_from("erm").unroll,
        "generator.end_to_end.training.unroll": study.generator.end_to_end.training.unroll,
    }
    in_context = study.baselines.in_context
    if in_context is not None:
        trainings["baselines.in_context.training.unroll"] = in_context.training.unroll
    for field, unroll in trainings.items():
        if unroll >= data.trained_frames:
            raise InputError(
                f"{source}: {field}: found {unroll}, expected less than data.trained_frames ({data.trained_frames})"
            )
    if study.zoo.published is None and data.with_history(study.baselines.finetune.frames) > data.trained_frames:
        raise InputError(
            f"{source}: baselines.finetune.frames: found {study.baselines.finetune.frames}, expected at most "
            f"data.trained_frames ({data.trained_frames}{_and_history(data)})"
        )


def _and_history(data: DataSettings) -> str:
    """What recorded frames there are beside those that have a whole history."""
    return f" and {data.history - 1} before them" if data.history > 1 else ""
