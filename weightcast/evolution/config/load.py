"""Reading and checking the configuration of a study across time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from weightcast.core.config.messages import check_once, first_line, validated
from weightcast.core.config.yaml_file import read_yaml
from weightcast.core.errors import InputError
from weightcast.core.methods import OBSERVED
from weightcast.core.names import check_name
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.flow import FlowSettings
from weightcast.evolution.config.study import TimeStudy
from weightcast.samples.settings import SnapshotSettings


def parse_time_study(config: dict[str, Any], source: str | Path = "config") -> TimeStudy:
    """Check a configuration.

    Args:
        config: as loaded from YAML (or by Snakemake, overlays applied).
        source: named in the messages.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    study = validated(TimeStudy, config, source)
    for arm in study.flow.arms:
        try:
            study.flow.of_arm(arm)
        except ValidationError as error:
            raise InputError(first_line(error, source, FlowSettings, f"flow.arms.{arm}.settings.")) from None
    _check(study, source)
    return study


def load_time_study(path: str | Path) -> TimeStudy:
    """Read and check a configuration file.

    Raises:
        InputError: the file is missing, is not YAML, or :func:`parse_time_study` refuses it.
    """
    return parse_time_study(read_yaml(path), path)


def _check(study: TimeStudy, source: str | Path) -> None:
    """What no single section can know."""
    check_name(study.study, "study", source)
    data, flow = study.data, study.flow
    check_once(study.anchors.kinds, "anchors.kinds", source)
    check_once(flow.seeds, "flow.seeds", source)
    check_once(study.evaluation.leave_out, "evaluation.leave_out", source)
    if min(flow.seeds) < 0:
        raise InputError(f"{source}: flow.seeds: found {min(flow.seeds)}, expected 0 or more")
    bridge = study.anchors.bridge
    if bridge.jumps == "thinned" and (data.state != "counts" or bridge.growth):
        beside = "a real state" if data.state != "counts" else "growth: true"
        raise InputError(f"{source}: anchors.bridge.jumps: found thinned for {beside}, expected free")
    check_samples(data, source)
    check_density(study.density, source)
    for name, arm in flow.arms.items():
        check_name(name, "flow.arms", source)
        if name == "matching":  # flow-matching is a baseline
            raise InputError(f"{source}: flow.arms: found {name!r}, expected another name: a baseline has this one")
        if name.endswith(OBSERVED):  # which says of a method that it is shown frames
            raise InputError(f"{source}: flow.arms: found {name!r}, expected a name that does not end in {OBSERVED}")
        if arm.anchors not in study.anchors.kinds:
            raise InputError(
                f"{source}: flow.arms.{name}.anchors: found {arm.anchors!r}, expected one of anchors.kinds "
                f"({', '.join(study.anchors.kinds)})"
            )
        for key in ("seeds", "arms"):
            if key in arm.settings:
                raise InputError(
                    f"{source}: flow.arms.{name}.settings.{key}: found one, expected none: arms share flow.{key}"
                )
        settings = flow.of_arm(name)
        if settings.width % settings.heads:
            raise InputError(
                f"{source}: flow.heads: found {settings.heads} for the arm {name}, expected a divisor of the width "
                f"{settings.width}"
            )
    if study.evaluation.flow_matching and data.state == "counts":
        raise InputError(
            f"{source}: evaluation.flow_matching: found true for counts, expected false: it moves real numbers"
        )
    if study.evaluation.from_previous and data.state == "counts":
        raise InputError(
            f"{source}: evaluation.from_previous: found true for counts, expected false: many of these have the same "
            "rank, by which samples are carried along"
        )


def check_samples(data: SnapshotSettings, source: str | Path) -> None:
    """Check what settings of samples must agree on among themselves.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    check_once(data.dimensions, "data.dimensions", source)
    for name in data.dimensions:
        if not name or not name.isprintable():
            raise InputError(f"{source}: data.dimensions: found {name!r}, expected printable names")
    if (data.states is None) == (data.state == "counts"):
        expected = "a number larger than any count" if data.state == "counts" else "none for a real state"
        raise InputError(f"{source}: data.states: found {data.states}, expected {expected}")
    if data.imported and data.file is None:
        raise InputError(f"{source}: data.file: missing, expected your {data.source} file")
    if not data.imported and data.file is not None:
        raise InputError(f"{source}: data.file: found {data.file!r}, expected none: {data.source} is simulated")
    if data.imported != (data.trajectories is None):
        expected = "none: the file holds them" if data.imported else "how many to simulate: {train: ..., held_out: ...}"
        found = "missing" if data.trajectories is None else f"found {data.trajectories.train} to train"
        raise InputError(f"{source}: data.trajectories: {found}, expected {expected}")
    if not data.imported and data.mass is not None:
        raise InputError(
            f"{source}: data.mass: found {data.mass!r}, expected none: the trajectories of {data.source} neither die "
            "nor are born"
        )
    if data.whitened and (not data.imported or data.state == "counts"):
        what = "counts" if data.state == "counts" else f"what {data.source} simulates"
        raise InputError(
            f"{source}: data.whitened: found true for {what}, expected false: it is for files of real states"
        )
    if data.observed is not None:
        if sorted(set(data.observed)) != data.observed or data.observed[0] != 0:
            raise InputError(
                f"{source}: data.observed: found {data.observed}, expected numbers that increase from 0, the first time"
            )
        if data.observed_every != 1:
            raise InputError(
                f"{source}: data.observed_every: found {data.observed_every} beside data.observed, expected 1: one of "
                "them says which times are snapshots"
            )
        if data.trajectories is not None:
            data.seen(data.trajectories.times)
    if data.simulated_state not in (None, data.state):
        what = "counts" if data.simulated_state == "counts" else "has real states"
        raise InputError(
            f"{source}: data.state: found {data.state!r}, expected {data.simulated_state!r}: {data.source} {what}"
        )


def check_density(density: DensitySettings, source: str | Path) -> None:
    """Check what settings of a density must agree on among themselves.

    Raises:
        InputError: attention heads do not divide the width.
    """
    if density.backbone == "transformer" and density.hidden % density.heads:
        raise InputError(
            f"{source}: density.heads: found {density.heads}, expected a divisor of density.hidden ({density.hidden})"
        )
