"""The card of a published zoo: README.md with the front matter that hubs of models and data read."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import yaml

HUB_LICENCES = frozenset(
    (
        *("apache-2.0", "mit", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd-2-clause", "bsd-3-clause", "isc", "zlib"),
        *("bsd-3-clause-clear", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0"),
        *("cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0"),
        *("cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0"),
        *("cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0"),
        *("eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "ms-pl"),
        *("mpl-2.0", "odc-by", "odbl", "ofl-1.1", "osl-3.0", "postgresql", "ncsa", "unlicense", "pddl", "lppl-1.3c"),
    )
)
"""Identifiers of licences that hubs know; any other one is named beside ``other``."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
TAGS = ("weightcast", "model-zoo", "weight-space-learning", "dynamical-systems")
SHOWN_ENVIRONMENTS = 50


def data_card(described: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the card.

    Args:
        described: what the manifest says.
        files: of numbers, with digests and lengths.
    """
    parts = [_front_matter(described), _words(described), _environments(described), *_zoos(described)]
    parts += [_states(described), _files(files), _loading(described)]
    return "\n".join(parts)


def _front_matter(described: Mapping[str, Any]) -> str:
    experts = sum(len(zoo["experts"]) for zoo in described["zoos"].values())
    licence = described["licence"].lower()
    known = {"license": licence} if licence in HUB_LICENCES else {"license": "other", "license_name": licence}
    metadata = known | {
        "pretty_name": f"{described['name']}: a zoo of weights",
        "library_name": "weightcast",
        "tags": [*TAGS, described["system"]["source"]],
        "size_categories": [next((size for most, size in _SIZES if experts < most), "n>1M")],
    }
    return f"---\n{yaml.safe_dump(metadata, sort_keys=False)}---\n"


def _words(described: Mapping[str, Any]) -> str:
    system, zoos = described["system"], described["zoos"]
    count = sum(len(zoo["experts"]) for zoo in zoos.values())
    step = f"{system['frame_step']:g}{' ' + unit if (unit := system['units'].get('time')) else ''}"
    grid = tuple(system["grid"])
    where = "a state without a grid" if grid == (1, 1) else f"fields of {grid[0]} x {grid[1]} points (y, x)"
    settings = ", ".join(f"{name} {value}" for name, value in system["settings"].items())
    lines = [
        f"# {described['name']}: a zoo of weights",
        "",
        f"{count} small networks (*experts*), each of which forecasts one environment of a dynamical system by a step "
        "from a frame to the next. Written by weightcast " + described["written_by"] + ".",
        "",
        f"- **Licence:** {described['licence']}",
        f"- **System:** {system['source']}" + (f" ({settings})" if settings else ""),
        f"- **Frames:** {', '.join(_with_units(system['channels'], system['units']))}; {where}, {step} apart; training "
        f"saw the first {system['trained_frames']} of a trajectory",
        "- **Numbers:** float32, a row an expert; parameters of the network in the order of `parameters` in zoo.json, "
        "each flattened",
        "",
    ]
    return "\n".join(lines)


def _with_units(channels: list[str], units: Mapping[str, str]) -> list[str]:
    return [f"{name} ({units[name]})" if name in units else name for name in channels]


def _environments(described: Mapping[str, Any]) -> str:
    names, rows = described["parameter_names"], described["environments"]
    logarithmic = described["logarithmic_parameters"]
    lines = ["## Environments", ""]
    lines.append(f"{len(rows)}, those that training saw. Environments that were kept for tests are not published.")
    if logarithmic:
        lines.append(f"Of {', '.join(logarithmic)} ratios count, not differences.")
    lines += ["", f"| {' | '.join(['environment', *names])} |", "|---" * (1 + len(names)) + "|"]
    for row in rows[:SHOWN_ENVIRONMENTS]:
        lines.append("| " + " | ".join([row["id"], *(f"{row['parameters'][name]:g}" for name in names)]) + " |")
    if len(rows) > SHOWN_ENVIRONMENTS:
        lines.append("| " + " | ".join(["...", *("" for _ in names)]) + " |")
        lines += ["", f"The other {len(rows) - SHOWN_ENVIRONMENTS} are in zoo.json."]
    return "\n".join([*lines, ""])


def _zoos(described: Mapping[str, Any]) -> list[str]:
    parts = []
    from_base = described["trained_with"]["zoo"]["initialisation"] == "base"
    for base, zoo in sorted(described["zoos"].items()):
        start = f"each started from the base ({zoo['base']}), which had been trained on all of these environments"
        experts = zoo["experts"]
        seconds = sum(expert["seconds"] for expert in experts)
        diverged = sum(expert["diverged"] for expert in experts)
        architecture = ", ".join(f"{name} {value}" for name, value in zoo["architecture"].items())
        lines = [
            f"## Experts from the base `{base}`",
            "",
            f"- **Architecture:** {architecture}; {zoo['weights']:,} weights",
            f"- **Experts:** {len(experts)}, of which {diverged} diverged; "
            + (start if from_base else "each started from random weights of its own"),
            *_errors(zoo),
            f"- **Cost:** {_seconds(seconds)} for all experts together, {_seconds(zoo['base_seconds'])} for their base",
            f"- **Normalisation:** mean {zoo['normalisation']['mean']}, scale {zoo['normalisation']['scale']}",
            "",
        ]
        parts.append("\n".join(lines))
    return parts


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def _errors(zoo: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, words in (("validation_error", "trajectories of validation"), ("train_error", "training trajectories")):
        errors = [one[name] for one in zoo["experts"] if one[name] is not None and not one["diverged"]]
        if errors:
            spread = f"{min(errors):.3g} to {max(errors):.3g}, median {median(errors):.3g}"
            lines.append(f"- **Error of one step** on {words}, in normalised units: {spread}")
    if (forecast := zoo["forecast"]) is not None:
        lines.append(
            f"- **Error of {forecast['horizon']} steps** on test trajectories (RMSE over the field's standard "
            f"deviation, median over {forecast['environments']} environments): {forecast['median_rmse']:.3g}"
        )
    return lines


def _states(described: Mapping[str, Any]) -> str:
    states = described["states"]
    return "\n".join(
        [
            "## Sample states",
            "",
            f"`{states['file']}` has {len(states['frames'])} frames of each environment, `states` [environment, state, "
            "channel, y, x], in physical units, taken from training trajectories; zoo.json says which frames.",
            "",
        ]
    )


def _files(files: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["## Files", "", "| file | bytes | SHA-256 |", "|---|---|---|"]
    lines += [f"| {name} | {one['bytes']:,} | `{one['sha256']}` |" for name, one in sorted(files.items())]
    return "\n".join([*lines, ""])


def _loading(described: Mapping[str, Any]) -> str:
    first = described["environments"][0]["id"]
    base = sorted(described["zoos"])[0]
    file = described["zoos"][base]["shards"][0]["file"]
    return f"""## How to load it

A study that begins from this zoo, verified first:

```
weightcast zoo import DIR --name mine -o mine.yaml
snakemake --cores all --configfile mine.yaml
```

Its experts as torch modules, frames [batch, channel, y, x] in physical units -> the next ones:

```python
from weightcast import PublishedZoo

zoo = PublishedZoo.open("DIR")
expert, *others = zoo.predictors("{first}", base="{base}")
forecast = expert.rollout(zoo.states()[0], steps=10)
```

Without weightcast:

```python
from safetensors import safe_open

with safe_open("DIR/{file}", "pt") as file:
    weights = file.get_slice("weights")[0]
```
"""
