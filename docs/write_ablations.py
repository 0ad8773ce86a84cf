"""Put the numbers of the ablations that have been run into docs/ablations.md.

python docs/write_ablations.py        after `make ablations`; replaces what stands between the markers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from write_results import ROOT, replaced

from weightcast.cli.compare import gather
from weightcast.core.config.overlay import overlaid
from weightcast.core.report.number_formats import number
from weightcast.environments.config.load import parse_study
from weightcast.environments.config.study import Study

CONFIGS = ROOT / "config" / "ablation"
COMMON = "common"
SPLITS = ("visible", "interpolation", "extrapolation")
MISSING, NONE = "not run", "-"


def read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their whole names."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def changes(common: Study, study: Study, arm: str, overlay: Mapping[str, Any]) -> str:
    """What is other than in the arm `paper` of what all ablations share, setting by setting."""
    found = [
        (name, value) for name, value in flat(overlay) if not name.startswith(("study", "generator.", "conditions."))
    ]
    paper, own = settings_of(common, "paper"), settings_of(study, arm)
    found += [(name, value) for name, value in own.items() if paper[name] != value]
    return ", ".join(f"`{name}: {value}`" for name, value in found) or "nothing"


def settings_of(study: Study, arm: str) -> dict[str, Any]:
    """What an arm is told, and all settings that are its own, by their whole names."""
    vae, diffusion = study.generator.of_arm(arm)
    sections = {"vae": vae.model_dump(), "diffusion": diffusion.model_dump()}
    frames = study.conditions_of(arm).frames
    return {"condition": study.generator.arms[arm].condition} | dict(flat(sections | {"frames": frames.model_dump()}))


def medians(summary: pd.DataFrame, method: str) -> str:
    """Error of a method visible / inside / outside."""
    rows = summary[summary["method"] == method].set_index("split")["median"]
    if rows.empty:
        return NONE  # what sees frames is not regressed on
    return " / ".join(number(rows[split]) if split in rows.index else MISSING for split in SPLITS)


def rows() -> Iterator[str]:
    """A row of the table for each arm of each ablation; where a study has not been run, it says so."""
    common = overlaid(read(ROOT / "config.yaml"), read(CONFIGS / f"{COMMON}.yaml"))
    paper = parse_study(common, CONFIGS / f"{COMMON}.yaml")
    for path in sorted(CONFIGS.glob("*.yaml")):
        if path.stem == COMMON:
            continue
        overlay = read(path)
        study = parse_study(overlaid(common, overlay), path)
        results = ROOT / study.results
        run = (results / "summary.csv").is_file()
        summary = gather([results], metrics=["rmse"]) if run else None
        for arm, settings in study.generator.arms.items():
            methods = (f"one-per-env-{settings.base}", f"decoded-{arm}", f"latent-regression-{arm}", f"generator-{arm}")
            cells = [MISSING if summary is None else medians(summary, method) for method in methods]
            yield f"| {path.stem}: {arm} | {changes(paper, study, arm, overlay)} | {' | '.join(cells)} |"


def main() -> None:
    page = ROOT / "docs" / "ablations.md"
    lines = [
        "| study: arm | other than in `paper` | experts | encoded, decoded | latent regression | generated |",
        "|---|---|---|---|---|---|",
        *rows(),
    ]
    page.write_text(replaced(page.read_text(encoding="utf-8"), "ablations", "\n".join(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
