"""The configuration that ``weightcast init --kind time`` writes: time_template.yaml, filled with what fits the data."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

import yaml

from weightcast.evolution.commands.sample_choices import Choices
from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import SampleFormat

TEMPLATE = Path(__file__).with_suffix(".yaml")
LINE = 100


def fill_time_template(
    name: str, file: Path, format: SampleFormat, samples: TimedSamples, choices: Choices, output: Path
) -> str:
    """A commented configuration, as text.

    Args:
        name: of the study.
        file: of the data.
        format: of that file.
        samples: what it holds.
        choices: settings that depend on it.
        output: where the configuration will lie; named in its comments.
    """
    values: dict[str, Any] = {
        "study": name,
        "format": format,
        "file": str(file),
        "settings": samples.settings,
        "dimensions": list(samples.dimensions),
        **{field: getattr(choices, field) for field in choices.__dataclass_fields__ if field != "snapshots"},
    }
    rows = "trajectories" if samples.trajectories else "samples of each time"
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        {key: _yaml(value) for key, value in values.items()}, name=name, output=output, rows=rows
    )


def _yaml(value: Any) -> str:
    """A value as YAML, quoted where YAML would take text for something else; a long one runs on below."""
    text = yaml.safe_dump([value], default_flow_style=True, width=LINE, sort_keys=False, allow_unicode=True)
    return text.strip()[1:-1].replace("\n", "\n  ")
