"""Checking the configuration of a study of environments across time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weightcast.core.config.messages import check_once, validated
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.names import check_name
from weightcast.evolution.config.load import check_density, check_samples
from weightcast.families.config.opponents import UNFITTED
from weightcast.families.config.study import FamilyStudy


def parse_family_study(config: dict[str, Any], source: str | Path = "config") -> FamilyStudy:
    """Check a configuration.

    Args:
        config: as loaded from YAML (or by Snakemake, overlays applied).
        source: named in the messages.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    study = validated(FamilyStudy, config, source)
    _check(study, source)
    return study


def check_family_table(study: FamilyStudy, table: EnvironmentTable, source: str | Path = "config") -> None:
    """What a configuration and its table must agree on.

    Raises:
        InputError: too few visible environments, no unseen one, an opponent that needs parameters where there are none,
            or a logarithm of a parameter that has none.
    """
    visible = len(table.visible)
    if visible < study.paths.left_out + 2:
        raise InputError(
            f"{source}: paths.left_out: found {study.paths.left_out} of {visible} visible environments, expected to "
            "leave 2 or more to train on"
        )
    if not table.unseen:
        raise InputError(f"{table.path}: column role: found visible environments alone, expected one to test on")
    for opponent in ("rate_fit", "flow_matching"):
        if getattr(study.opponents, opponent) is not None and not table.parameter_names:
            raise InputError(f"{table.path}: found no parameters, expected some for opponents.{opponent}")
    for name in study.logarithmic_parameters:
        if name not in table.parameter_names:
            known = ", ".join(table.parameter_names) or "none"
            raise InputError(f"{source}: logarithmic_parameters: found {name!r}, expected some of {known}")
        for environment in table:
            if environment.parameters[name] <= 0:
                raise InputError(
                    f"{table.path}: {environment.id}, column {name}: found {environment.parameters[name]:g}, expected "
                    "a number above 0, which has a logarithm"
                )


def _check(study: FamilyStudy, source: str | Path) -> None:
    """What no single section can know."""
    check_name(study.study, "study", source)
    check_samples(study.data, source)
    if study.data.held_out == 0:
        raise InputError(f"{source}: data.held_out: found 0, expected part of the samples, which the evaluation needs")
    if isinstance(study.data.mass, list):
        raise InputError(
            f"{source}: data.mass: found {study.data.mass!r}, expected samples or column: every environment has "
            "sizes of its own"
        )
    for name, found in (("whitened", study.data.whitened), ("observed", study.data.observed)):
        if found:
            raise InputError(f"{source}: data.{name}: found {found}, expected none: it is for one system (kind: time)")
    check_density(study.density, source)
    check_once(study.paths.kinds, "paths.kinds", source)
    check_once(study.paths.seeds, "paths.seeds", source)
    check_once(study.logarithmic_parameters, "logarithmic_parameters", source)
    if min(study.paths.seeds) < 0:
        raise InputError(f"{source}: paths.seeds: found {min(study.paths.seeds)}, expected 0 or more")
    for name, shown in study.evaluation.shown.items():
        check_name(name, "evaluation.shown", source)
        _check_increasing(shown.times, f"evaluation.shown.{name}.times", source)
    _check_increasing(study.evaluation.times, "evaluation.times", source)
    _check_opponents(study, source)
    _check_vae(study, source)
    if study.inference.draws > study.inference.proposals:
        raise InputError(
            f"{source}: inference.draws: found {study.inference.draws}, expected at most inference.proposals "
            f"({study.inference.proposals})"
        )


def _check_opponents(study: FamilyStudy, source: str | Path) -> None:
    """Opponents need what they know to be known."""
    system = study.data.source
    if study.opponents.rate_fit is not None and (study.data.imported or system in UNFITTED):
        reason = UNFITTED.get(system, "whose equations nobody has said")
        raise InputError(f"{source}: opponents.rate_fit: found it for data.source {system}, {reason}, expected null")
    if study.opponents.flow_matching is not None and study.data.state == "counts":
        raise InputError(
            f"{source}: opponents.flow_matching: found it for counts, expected null: it moves real numbers"
        )


def _check_vae(study: FamilyStudy, source: str | Path) -> None:
    """Heads of attention share a width among themselves."""
    vae = None if study.paths.zoo is None else study.paths.zoo.vae
    if vae is None:
        return
    sections = {"paths.zoo.vae": (vae.width, vae.heads)}
    if vae.diffusion is not None:
        sections["paths.zoo.vae.diffusion"] = (vae.diffusion.width, vae.diffusion.heads)
    for name, (width, heads) in sections.items():
        if width % heads:
            raise InputError(
                f"{source}: {name}.heads: found {heads}, expected a number that divides {name}.width ({width})"
            )


def _check_increasing(times: list[float] | None, field: str, source: str | Path) -> None:
    for first, second in zip(times or [], (times or [])[1:], strict=False):
        if not first < second:
            raise InputError(f"{source}: {field}: found {first:g} followed by {second:g}, expected increasing times")
