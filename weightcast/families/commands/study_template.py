"""The configuration that ``weightcast init --kind environments-time`` writes: study_template.yaml, filled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml

from weightcast.core.environment_table import EnvironmentTable
from weightcast.environments.commands.parameter_scale import logarithmic_parameters
from weightcast.environments.commands.quick_study import quick_text
from weightcast.families.commands.family_choices import FamilyChoices
from weightcast.families.commands.found_samples import FoundSamples

TEMPLATE = Path(__file__).with_suffix(".yaml")
LINE = 100
KINDS = ["low-rank", "deep"]
PRIORS = ["gaussian", "mixture", "diffusion"]
WIDTHS = [1.25, 2, 3]
INFLATIONS = [1, 1.5, 2, 3, 4, 6, 9]


def fill_family_template(
    name: str, found: FoundSamples, table: EnvironmentTable, choices: FamilyChoices, output: Path, quick: bool = False
) -> str:
    """A commented configuration, as text.

    Args:
        name: of the study.
        found: samples, and how they are read.
        table: of the environments.
        choices: settings that depend on both.
        output: where the configuration will lie; named in its comments.
        quick: whether it is to be over in minutes.
    """
    shown = dict(list(choices.shown.items())[-1:]) if quick else choices.shown
    values: dict[str, Any] = {
        "study": name,
        "environments": str(table.path),
        "logarithmic": logarithmic_parameters(table),
        "format": found.format,
        "file": str(found.path),
        "settings": found.settings,
        "dimensions": list(found.dimensions),
        "kinds": KINDS[1:] if quick else KINDS,
        "maps": 1,
        "widened": WIDTHS[::2] if quick else WIDTHS,
        "priors": PRIORS[:1] if quick else PRIORS,
        "inflations": INFLATIONS[::2] if quick else INFLATIONS,
        "flow_matching": {} if choices.state == "real" and table.parameter_names and not quick else None,
        **{field: getattr(choices, field) for field in choices.__dataclass_fields__ if field != "shown"},
    }
    rows = "trajectories" if all(one.trajectories for one in found.samples.values()) else "samples of each time"
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        {key: _yaml(value) for key, value in values.items()},
        name=name,
        output=output,
        rows=rows,
        shown="\n".join(f"    {case}: {_case(settings)}" for case, settings in shown.items()),
    )
    return quick_text(text) if quick else text


def _case(settings: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(settings), default_flow_style=True, width=10**6, sort_keys=False).strip()


def _yaml(value: Any) -> str:
    """A value as YAML, quoted where YAML would take text for something else; a long one runs on below."""
    text = yaml.safe_dump([value], default_flow_style=True, width=LINE, sort_keys=False, allow_unicode=True)
    return text.strip()[1:-1].replace("\n", "\n  ")
