"""What `weightcast check` says a study of environments across time will cost: every stage is rehearsed, on what the one
before it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from blank_figures import leave_blank
from command_line import run
from test_cli_check_time import costs, written
from tiny_study import ROOT

from weightcast.cost import rehearsal

MINI = ROOT / "tests" / "workflow" / "mini-families.yaml"
STAGES = {
    *("gather_snapshots", "choose_map", "train_family", "evaluate_family"),
    *("train_path_experts", "train_path_zoo", "train_path_diffusion", "train_path_vae", "train_path_generator"),
    *("evaluate_opponents", "summarise_family", "write_family_report"),
}
TABLE = """\
id,role,relaxation,noise
a,visible,0.3,0.5
b,visible,0.5,0.8
c,visible,0.8,0.6
d,visible,1,0.9
e,visible,1.2,0.7
f,interpolation,0.7,0.75
g,extrapolation,1.5,1
"""


def test_every_stage_has_its_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of real states, since flow matching is an opponent of these alone; of counts whole studies run elsewhere.
    Trainings are timed for a step, and what the report draws is left blank."""
    monkeypatch.setattr(rehearsal, "BUDGET", 0.0)
    leave_blank(monkeypatch)
    (tmp_path / "environments.csv").write_text(TABLE, encoding="utf-8")
    real = {"source": "ornstein-uhlenbeck", "settings": {}, "state": "real", "states": None, "dimensions": ["x", "y"]}
    real |= {"trajectories": {"train": 40, "held_out": 60, "times": 6}}  # every unit of time, to 5
    matching = {"training": {"steps": 4, "learning_rate": 0.01}, "width": 4, "batch": 8, "guidances": [1, 0.9]}
    config: dict[str, Any] = yaml.safe_load(MINI.read_text(encoding="utf-8"))
    config |= {
        "environments": str(tmp_path / "environments.csv"),
        "logarithmic_parameters": ["relaxation", "noise"],
        "data": config["data"] | real,
        "density": {"hidden": 4, "components": 2},
        "evaluation": config["evaluation"] | {"shown": {"few": {"times": [1, 2], "samples": 5}}, "times": None},
        "opponents": config["opponents"] | {"flow_matching": matching},
    }
    shown, errors = run(capsys, "check", "--config", written(tmp_path, config))
    assert errors == ""
    assert "not forecast" not in shown
    assert set(costs(shown)) == {"all", "resolve_config", "train_conditional_flow", *STAGES}
