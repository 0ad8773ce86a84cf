"""A study that begins from a published zoo: its configuration and its table of environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from textwrap import indent
from typing import Any

import yaml

from weightcast.core.environment_table import Environment, EnvironmentTable, Role
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.seeds import derive_seed
from weightcast.environments.commands.study_template import (
    OF_FIELDS,
    OF_STATES,
    choose_horizons,
    in_yaml,
    split_trajectories,
)
from weightcast.environments.config.load import parse_study
from weightcast.environments.config.study import Study
from weightcast.environments.config.zoo import PublishedBase
from weightcast.environments.plan import FEWEST_VISIBLE, check_plan, shard_size
from weightcast.environments.published.check import check_published
from weightcast.environments.published.reading import PublishedZoo

TEMPLATE = Path(__file__).with_name("zoo_template.yaml")
FEWEST_TO_LEAVE_OUT = 4
"""Visible environments from which on some can be left out of a first training."""
LEFT_OUT = 0.25


@dataclass(frozen=True)
class Beginning:
    """A study to be written.

    Attributes:
        zoo: that it begins from.
        base: whose experts are used.
        name: of the study.
        seed: of the study, also of the draw of what is held out.
        table: of environments.
        output: where the configuration will lie, the table beside it.
    """

    zoo: PublishedZoo
    base: PublishedBase
    name: str
    seed: int
    table: EnvironmentTable
    output: Path

    def write(self) -> Study:
        """Write the configuration and its table.

        Raises:
            InputError: the zoo's settings make no study. Nothing is written then.
        """
        text = self._text()
        study = parse_study(yaml.safe_load(text), self.output)
        check_plan(study, self.table)
        check_published(study, self.table)
        self.table.save(self.table.path)
        with written_whole(self.output) as partial:
            partial.write_text(text, encoding="utf-8")
        return study

    def _text(self) -> str:
        manifest = self.zoo.manifest
        system, experts, visible = manifest.system, manifest.zoos[self.base], len(self.table.visible)
        state = system.grid == [1, 1]
        members = max(expert.member for expert in experts.experts) + 1
        train, validation, test = split_trajectories(len(manifest.states.frames))
        frames = max(3, system.trained_frames)
        trained_with = {name: dict(manifest.trained_with.get(name, {})) for name in ("base", "zoo")}
        for name in ("published", "bases", "members", "shard_environments"):
            trained_with["zoo"].pop(name, None)
        sizes = OF_STATES if state else OF_FIELDS
        values: dict[str, Any] = {
            "study": self.name,
            "seed": self.seed,
            "table": str(self.table.path),
            "logarithmic": manifest.logarithmic_parameters,
            "channels": system.channels,
            "grid": system.grid,
            "frames": frames,
            "trajectories": {"train": train, "validation": validation, "test": test},
            "folder": str(self.zoo.folder),
            "bases": [self.base],
            "of_base": self.base,
            "members": members,
            "shard_environments": shard_size(24, visible),
            "left_out": LEFT_OUT if visible >= FEWEST_TO_LEAVE_OUT else 0.0,
            "functional_batch": sizes["functional_batch"],
            "vae_batch": min(8 if state else 16, members * visible),
            "diffusion_batch": min(16 if state else 32, members * visible),
            "pooled": min(8, visible),
            "unroll": min(2, frames - 1),
            "folds": min(6, visible),
            "horizons": choose_horizons(frames, frames),
        }
        return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
            {key: in_yaml(value) for key, value in values.items()},
            name=self.name,
            output=self.output,
            predictor=_section(experts.predictor.model_dump(mode="json")),
            base=_section(trained_with["base"]),
            zoo=_section(trained_with["zoo"]),
        )


def held_out_table(
    zoo: PublishedZoo, base: PublishedBase, path: Path, ids: Sequence[str] | None, share: float, seed: int
) -> EnvironmentTable:
    """The environments of a zoo that have experts, some of which are held out as unseen ones.

    Those inside the range of the visible ones' parameters are for interpolation, the others for extrapolation.

    Args:
        zoo: published.
        base: whose experts are used.
        path: where the table will lie.
        ids: that are to be held out; None: drawn.
        share: of all, if they are drawn.
        seed: of the draw: whether one is held out depends on its name and on which others there are, not on order.

    Raises:
        InputError: there are no parameters, an id is none of the zoo, or too few are left visible.
    """
    manifest = zoo.manifest
    if not manifest.parameter_names:
        raise InputError(
            f"{zoo.path}: parameter_names: found none, expected parameters: nothing else says which weights to generate"
        )
    there = [environment for environment in manifest.environments if zoo.rows_of(base, environment.id)]
    known = [environment.id for environment in there]
    if ids is None:
        drawn = sorted(known, key=lambda id: derive_seed(seed, "hold out", id))
        ids = drawn[: max(1, round(share * len(known)))] if share else []
    for id in ids:
        if id not in known:
            raise InputError(f"--hold-out: found {id!r}, expected some of {', '.join(known)[:300]}")
    held_out = set(ids)
    visible = [environment for environment in there if environment.id not in held_out]
    if len(visible) < FEWEST_VISIBLE:
        raise InputError(
            f"--hold-out: found {len(held_out)} of {len(known)} environments, expected {FEWEST_VISIBLE} or more left"
        )
    names = tuple(manifest.parameter_names)
    ranges = {name: [environment.parameters[name] for environment in visible] for name in names}

    def role(parameters: dict[str, float]) -> Role:
        inside = all(min(ranges[name]) <= parameters[name] <= max(ranges[name]) for name in names)
        return "interpolation" if inside else "extrapolation"

    rows = [
        Environment(
            environment.id,
            {name: environment.parameters[name] for name in names},
            role(environment.parameters) if environment.id in held_out else "visible",
        )
        for environment in there
    ]
    return EnvironmentTable(tuple(rows), names, path)


def _section(values: dict[str, Any]) -> str:
    if not values:
        return ""
    return indent(yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110).rstrip(), "  ")
