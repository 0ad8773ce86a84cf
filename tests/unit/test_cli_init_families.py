"""``weightcast init --kind environments-time``: what it finds, what it chooses, and that `check` takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import refused, run
from family_files import TIMES, births, rates, write_cells, write_folder
from pydantic import BaseModel

from weightcast.core.environment_table import read_environments
from weightcast.families.config.load import parse_family_study
from weightcast.families.config.study import FamilyStudy

CONFIG = Path("my.yaml")
TABLE = Path("my-environments.csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(data: str = "long.csv", *options: str) -> list[str]:
    return ["init", "--kind", "environments-time", "--data", data, "--name", "my", "-o", str(CONFIG), *options]


def study() -> FamilyStudy:
    return parse_family_study(yaml.safe_load(CONFIG.read_text(encoding="utf-8")), CONFIG)


def in_order(capsys: pytest.CaptureFixture[str]) -> str:
    shown, errors = run(capsys, "check", "--config", CONFIG, "--no-timing")
    assert "my.yaml is in order" in shown
    return shown + errors


def test_a_long_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    births().to_csv("long.csv", index=False)
    shown, errors = run(capsys, *arguments("long.csv", "--environment", "well", "--parameters", "rate", "line"))
    assert errors == ""
    for words in (
        "8 environments: well-0, well-1",
        "5 times of each, from 0 to 4, the same in all",
        "40 trajectories, the same at every time",
        "1 dimensions: X;",
        "note: ids of environments: well 0 is well-0",
        "note: column trajectory is not used: numbers the trajectories",
        "note: column n_counts is not used: by its name a total",
        "note: column line: a category of 2 values, as parameters that are 1 or 0: line.A549, line.HeLa",
        "parameters, on the scale that visible values speak for: rate linear",
        "state: counts",
        "shown of a new environment: ",
        "samples at 1, 2; later times are scored",  # time 0 is a point, the same in all: nothing to be learned there
    ):
        assert words in shown, words
    assert "column rate is not used" not in shown

    made, table = study(), read_environments(TABLE)
    largest = births().X.max()
    assert made.data.states is not None and 1.25 * (largest + 1) <= made.data.states < 1.25 * (largest + 1) + 1
    assert made.data.settings == {
        "time_column": "time", "environment_column": "well", "trajectory_column": "trajectory",
    }  # fmt: skip
    assert (made.paths.code, made.paths.left_out) == (1, 2)
    assert table.ids == tuple(f"well-{place}" for place in range(8))
    assert table.parameter_names == ("rate", "line.A549", "line.HeLa")
    np.testing.assert_array_equal(table.parameter_array()[:, 0], rates(8))
    np.testing.assert_array_equal(table.parameter_array()[:, 1], [0.0, 1.0] * 4)
    assert len(table.visible) == 6
    seen = table.parameter_array([one.id for one in table.visible])
    for one in table.unseen:  # held out at random; what lies beyond a visible parameter is outside
        values = np.array(list(one.parameters.values()))
        inside = ((values >= seen.min(0)) & (values <= seen.max(0))).all()
        assert one.role == ("interpolation" if inside else "extrapolation")
    assert "well" not in in_order(capsys)


def test_a_folder_with_a_table_without_roles(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(Path("each"), births(), ["time", "X", "rate"])
    (Path("each") / "README.md").write_text("of mine")
    lines = ["id,rate", *(f"w{place},{rate}" for place, rate in enumerate(rates(8)))]
    Path("table.csv").write_text("\n".join(lines))
    shown, _ = run(capsys, *arguments("each", "--table", "table.csv", "--held-out", "farthest"))
    assert "note: not used: README.md" in shown
    assert "note: column rate is not used: never changes in an environment" in shown
    assert "roles: the farthest from the others by their parameters; 6 visible" in shown
    table = read_environments(TABLE)
    assert table.parameter_names == ("rate",)
    assert {one.parameters["rate"] for one in table.unseen} <= {4.0, 5.0, 10.0, 11.0}
    in_order(capsys)
    assert study().data.dimensions == ["X"]


def test_a_complete_table_is_used_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(Path("each"), births(), ["time", "X"])
    roles = ["visible"] * 5 + ["interpolation", "extrapolation"]
    lines = ["id,role,rate", *(f"w{place},{role},{rates(8)[place]}" for place, role in enumerate(roles))]
    Path("table.csv").write_text("\n".join(lines))
    shown, _ = run(capsys, *arguments("each", "--table", "table.csv"))
    assert study().environments == "table.csv" and not TABLE.exists()
    assert "roles: as table.csv has them; 5 visible, 1 inside, 1 outside" in shown
    assert "note: not in table.csv, and not used: w7" in shown
    words = ("--held-out: found it", "table.csv has a column role")
    refused(capsys, *arguments("each", "--table", "table.csv", "--force", "--held-out", "random"), words=words)


def test_without_parameters_the_farthest_are_so_by_their_law(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Births at the rates 4 to 11: means after four units of time differ by more than their spread only at the ends."""
    births(samples=400).drop(columns=["rate", "line"]).to_csv("long.csv", index=False)
    options = ("--environment", "well", "--held-out", "farthest-by-law", "--held-out-count", "2")
    shown, _ = run(capsys, *arguments("long.csv", *options))
    assert "roles: the farthest from the others by their law; 6 visible, 0 inside, 2 outside" in shown
    held_out = {rates(8)[int(one.id.removeprefix("well-"))] for one in read_environments(TABLE).unseen}
    assert held_out <= {4.0, 5.0, 10.0, 11.0}
    assert "parameters: none" in shown
    assert "found no parameters" in in_order(capsys)


def test_named_environments_columns_and_conditions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = births(10).assign(Y=lambda one: one.X / 2)
    frame.to_csv("long.csv", index=False)
    options = ("--environment", "well", "--state", "Y", "--condition", "line=HeLa", "--held-out", "well 4",
               "--leave-out", "well-8")  # fmt: skip
    shown, _ = run(capsys, *arguments("long.csv", *options))
    assert "4 environments: well-0, well-2, well-4, well-6" in shown and "1 dimensions: Y" in shown
    assert [one.id for one in read_environments(TABLE).unseen] == ["well-4"]
    assert study().data.settings["condition"] == {"line": "HeLa"}
    assert study().data.state == "real"
    in_order(capsys)


def test_environments_of_their_own_times(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = births()
    shift = frame.well.str[-1].astype(int) / 100
    frame.assign(time=frame.time + shift)[["well", "time", "X"]].to_csv("long.csv", index=False)
    shown, _ = run(capsys, *arguments("long.csv", "--environment", "well"))
    assert "5 times of each, from 0 to 4.07, their own" in shown
    assert "of the first 2 snapshots" in shown
    case = next(iter(study().evaluation.shown.values()))
    assert (case.times, case.snapshots) == (None, 2)
    in_order(capsys)


def test_cells_of_patients(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cells(Path("cells.h5ad"), births())
    shown, _ = run(capsys, *arguments("cells.h5ad", "--environment", "well", "--parameters", "line", "--time", "day"))
    assert "found h5ad data in cells.h5ad" in shown and "3 dimensions: pca_0, pca_1, pca_2" in shown
    assert "note: 6 genes by varm PCs, which lead from X to obsm X_pca" in shown
    assert read_environments(TABLE).parameter_names == ("line.A549", "line.HeLa")
    made = study()
    assert made.data.settings == {"time_column": "day", "environment_column": "well", "representation": "X_pca"}
    assert (made.data.source, made.data.state, made.density.hidden) == ("h5ad", "real", 24)
    assert made.opponents.flow_matching is not None and made.opponents.rate_fit is None
    in_order(capsys)


def test_quick(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    births().to_csv("long.csv", index=False)
    run(capsys, *arguments("long.csv", "--environment", "well", "--quick"))
    made = study()
    assert (made.paths.seeds, made.paths.training.steps, made.paths.kinds) == ([0], 100, ["deep"])
    assert len(made.evaluation.shown) == 1
    assert "--quick" in CONFIG.read_text(encoding="utf-8")


def keys(section: Any) -> Any:
    """The keys of a configuration, without values and without those of cases."""
    if not isinstance(section, dict):
        return None
    return {name: None if name in ("shown", "settings") else keys(value) for name, value in section.items()}


def all_keys(model: type[BaseModel]) -> dict[str, Any]:
    """The keys that a configuration can have, section by section."""
    found = {}
    for name, field in model.model_fields.items():
        types = [field.annotation, *get_args(field.annotation)]
        section = next((kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        found[name] = all_keys(section) if section is not None and name != "shown" else None
    return found


def test_the_configuration_has_every_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    births().to_csv("long.csv", index=False)
    run(capsys, *arguments("long.csv", "--environment", "well"))
    text = CONFIG.read_text(encoding="utf-8")
    expected = all_keys(FamilyStudy)
    expected["data"].pop("trajectories")  # of simulators alone
    for key in ("whitened", "observed"):  # across time alone
        expected["data"].pop(key)
    expected["inference"].pop("code_diffusion")  # as by default
    expected["opponents"] |= {"rate_fit": None, "flow_matching": None}  # of simulators, and of real states
    expected["opponents"]["trend"] = expected["inference"]["encoder"] = expected["paths"]["zoo"] = None  # as by default
    assert keys(yaml.safe_load(text)) == expected
    assert "$" not in text and max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--environment", "place"], ("no column 'place'", "well, trajectory")),
        (["--environment", "well", "--held-out", "well-9"], ("--held-out", "no place 'well-9'")),
        (["--environment", "well", "--held-out-count", "6"], ("--held-out", "found 2 that stay visible, expected 3")),
        (["--environment", "well", "--parameters", "X"], ("column X: found", "in well-0", "one value")),
        (["--environment", "well", "--leave-out", "nowhere"], ("--leave-out: found 'nowhere'",)),
        (["--environment", "well", "--time", "time", "rate"], ("--time: found time rate, expected one column",)),
        (["--environment", "well", "--grid", "4", "4"], ("--grid", "--kind environments-time")),
        (["--environment", "well", "--state", "X", "--dimensions", "X"], ("--state: found X beside --dimensions",)),
        (["--environment", "well", "--frames", "4"], ("--frames: found 4",)),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: tuple[str, ...]
) -> None:
    births().to_csv("long.csv", index=False)
    refused(capsys, *arguments("long.csv", *options), words=words, output=CONFIG)
    assert not TABLE.exists()


def test_too_little_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    births(3).to_csv("long.csv", index=False)
    words = ("found 3 environments, expected 4 or more",)
    refused(capsys, *arguments("long.csv", "--environment", "well"), words=words, output=CONFIG)
    frame = births()
    once = frame[(frame.well != "well 2") | (frame.time == TIMES[-1])]
    once.to_csv("long.csv", index=False)
    options = ("--environment", "well", "--held-out", "well-2", "--force")
    refused(capsys, *arguments("long.csv", *options), words=("well-2: found one time",), output=CONFIG)
    # As a visible environment it is no harm: it is only never left out to choose.
    run(capsys, *arguments("long.csv", "--environment", "well", "--held-out", "well-3"))
    in_order(capsys)


def test_files_of_a_folder_that_do_not_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    each = write_folder(Path("each"), births(), ["time", "X"])
    np.save(each / "w9.npy", np.zeros((30, 3, 2)))
    refused(capsys, *arguments("each"), words=("each: found csv, npy, expected files of one format",), output=CONFIG)
    (each / "w9.npy").unlink()
    pd.DataFrame({"time": [0, 1] * 20, "Z": np.arange(40) ** 2}).to_csv(each / "w9.csv", index=False)
    refused(capsys, *arguments("each"), words=("w9: found the dimensions Z, expected some of X",), output=CONFIG)
    refused(capsys, *arguments("each", "--environment", "well"), words=("--environment", "a folder"), output=CONFIG)
    refused(
        capsys,
        *arguments("each", "--settings", "representation=X"),
        words=("data.settings.representation: found X", "components of its own"),
        output=CONFIG,
    )


def test_categories_that_say_nothing_are_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = births()
    frame["donor"] = frame.well.str[-1].astype(int)  # whole numbers under a name that labels
    frame["medium"] = "water"
    frame["batch"] = frame.donor // 3
    frame.to_csv("long.csv", index=False)
    options = ("--environment", "well", "--parameters", "donor", "medium", "batch")
    shown, _ = run(capsys, *arguments("long.csv", *options))
    assert "column donor: 8 values in 8 environments say nothing of another one: left out" in shown
    assert "column medium: water in all environments: left out" in shown
    assert read_environments(TABLE).parameter_names == ("batch.0", "batch.1", "batch.2")
    options = (*options, "--held-out", "well-6", "well-7", "--force")
    TABLE.unlink()
    assert "note: batch.2: of no visible environment" in run(capsys, *arguments("long.csv", *options))[0]


def test_a_table_that_init_wrote_is_written_again_if_it_must_be(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    births().to_csv("long.csv", index=False)
    run(capsys, *arguments("long.csv", "--environment", "well"))
    TABLE.write_text("mine")
    CONFIG.unlink()
    refused(capsys, *arguments("long.csv", "--environment", "well"), words=("exists already", "--force"))
    run(capsys, *arguments("long.csv", "--environment", "well", "--force"))
    assert len(read_environments(TABLE)) == 8
