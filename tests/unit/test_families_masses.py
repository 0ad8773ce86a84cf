"""Sizes of populations in many environments: exact normal distributions, files, scores and the command."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import run
from families_kit import trained_birth_death
from refusals import refused

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.families.cases import cases_of
from weightcast.families.config.evaluation import ShownSettings
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.load import parse_family_study
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.gathering import import_family
from weightcast.families.masses import MassCurves, constant_growth
from weightcast.families.public import PathFamily
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import with_masses
from weightcast.samples.settings import SnapshotSettings

SETTINGS = InferenceSettings(starts=2, steps=60, proposals=128, draws=64)
TIMES = np.array([0.0, 1.0, 2.0, 3.0, 4.0])


def logistic(rate: float, times: np.ndarray = TIMES) -> np.ndarray:
    """Growth that slows down: from 1 to 10."""
    return 10 / (1 + 9 * np.exp(-rate * times))


def test_a_curve_follows_what_codes_say() -> None:
    """Of rates that are told exactly, the curve of a new one lies between those of its neighbours."""
    rates = np.linspace(0.5, 2.0, 16)
    curves = MassCurves.fit([(TIMES, logistic(rate)) for rate in rates], rates[:, None])
    found = np.exp(curves.log_growth(np.array([[1.23]]), TIMES, 0.0))[0]
    np.testing.assert_allclose(found, logistic(1.23), rtol=0.06)
    since = np.exp(curves.log_growth(np.array([[1.23]]), TIMES, 2.0))[0]
    np.testing.assert_allclose(since, found / found[2])


def test_shown_masses_tell_what_codes_do_not() -> None:
    """Codes that say nothing, and two early masses: later ones are nearer than at constant growth."""
    random = np.random.default_rng(0)
    rates = random.uniform(0.5, 2.0, 24)
    curves = MassCurves.fit([(TIMES, logistic(rate)) for rate in rates], random.normal(size=(24, 2)))
    errors, constant = [], []
    for rate in (0.7, 1.0, 1.4, 1.8):
        true = logistic(rate)
        shown = {1.0: true[1], 2.0: true[2]}
        found = np.exp(curves.log_growth(np.zeros((1, 2)), TIMES, 1.0, shown))[0]
        errors.append(abs(found[4] / (true[4] / true[1]) - 1))
        constant.append(abs(np.exp(constant_growth(shown, TIMES))[4] / (true[4] / true[1]) - 1))
    assert np.mean(errors) < 0.2 and np.mean(constant) > 1.0


def test_bands_hold_nine_tenths() -> None:
    """Curves of random slopes, which codes half explain, with noise: exact normal distributions."""
    random = np.random.default_rng(1)

    def masses(slope: float) -> np.ndarray:
        return np.exp(slope * TIMES + 0.02 * random.normal(size=len(TIMES)))

    codes = random.normal(size=(200, 1))
    slopes = 0.3 + 0.1 * codes[:, 0] + 0.1 * random.normal(size=200)
    curves = MassCurves.fit([(TIMES, masses(slope)) for slope in slopes[:100]], codes[:100])
    held = []
    for code, slope in zip(codes[100:], slopes[100:], strict=True):
        true = masses(slope)
        drawn = curves.log_growth(
            np.repeat(code[None], 400, 0), TIMES, 0.0, {0.0: true[0], 1.0: true[1]},
            random.normal(size=(400, curves.coefficients)),
        )  # fmt: skip
        low, high = np.quantile(np.exp(drawn[:, 4]), [0.05, 0.95])
        held.append(low <= true[4] / true[0] <= high)
    assert 0.82 <= np.mean(held) <= 0.97


def test_curves_are_kept_and_checked() -> None:
    curves = MassCurves.fit([(TIMES, logistic(rate)) for rate in (0.5, 1.0, 2.0)], np.array([[0.0], [1.0], [2.0]]))
    again = MassCurves.described(curves.describe())
    code = np.array([[0.4]])
    np.testing.assert_array_equal(again.log_growth(code, TIMES, 1.0), curves.log_growth(code, TIMES, 1.0))
    for change in ({"knots": [0.0, 0.0, 1.0, 2.0, 3.0]}, {"covariance": [[1.0]]}, {"noise": float("nan")}):
        with pytest.raises(InputError, match="masses: "):
            MassCurves.described(curves.describe() | change)
    with refused("data.mass", "two times"):
        MassCurves.fit([(TIMES[:1], np.ones(1))], np.zeros((1, 1)))


def long_table(path: Path) -> Path:
    """Two environments whose samples grow in number, with the same sizes in a column, tenfold."""
    random = np.random.default_rng(0)
    rows = [
        {"environment": id, "time": time, "size": 10 * count, "x": random.normal()}
        for id, rate in (("a", 2), ("b", 3))
        for time in (0, 1, 2)
        for count in [20 * rate**time]
        for _ in range(count)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(("mass", "settings", "factor"), [("samples", {}, 1), ("column", {"mass_column": "size"}, 10)])
def test_sizes_come_from_the_file(mass: str, settings: dict, factor: int, tmp_path: Path) -> None:
    file = long_table(tmp_path / "long.csv")
    data = SnapshotSettings.model_validate(
        {"source": "csv", "file": str(file), "state": "real", "dimensions": ["x"], "mass": mass, "settings": settings}
    )
    table = EnvironmentTable(
        (Environment("a", {}, "visible"), Environment("b", {}, "interpolation")), (), tmp_path / "t.csv"
    )
    found = import_family(data, table, 0)
    assert found.environments["b"].masses.tolist() == [20 * factor, 60 * factor, 180 * factor]
    found.save(tmp_path / "snapshots.nc")
    read = FamilySnapshots.load(tmp_path / "snapshots.nc")
    assert read.digest == found.digest and read.has_masses
    assert read.environments["a"].mass_at([1, 7]) == {1.0: 40.0 * factor}


def test_sizes_of_all_environments_are_no_list() -> None:
    config = yaml.safe_load((Path(__file__).parents[1] / "workflow/mini-families.yaml").read_text())
    config["data"] = {
        "source": "csv", "file": "long.csv", "state": "real", "dimensions": ["x"], "mass": [1, 2],
    }  # fmt: skip
    config["opponents"] = {}
    with refused("data.mass: found [1.0, 2.0]", "samples or column"):
        parse_family_study(config)


@pytest.fixture(scope="module")
def growing():
    """Births at seven rates, of populations that grow the faster the higher the rate."""
    family, snapshots, table = trained_birth_death(maps=2)
    environments = {
        id: dataclasses.replace(one, masses=np.exp(0.05 * table[id].parameters["birth"] * one.times))
        for id, one in snapshots.environments.items()
    }
    told = dataclasses.replace(snapshots, environments=environments)
    return with_masses(family, told), told, table


def test_sizes_of_a_new_environment(growing, tmp_path: Path) -> None:
    family, snapshots, _ = growing
    family.save(tmp_path / "family.safetensors")
    read = TrainedFamily.load(tmp_path / "family.safetensors")
    assert all(one.masses is not None for one in read.members)
    new = snapshots.environments["new"]
    shown = {float(new.times[place]): new.train[place][:100] for place in (2, 4)}
    loaded = PathFamily(dataclasses.replace(read, metadata={"dimensions": ["X"]}), SETTINGS)
    told = loaded.infer(shown, masses=new.mass_at(shown))
    untold = loaded.infer(shown)
    true = np.exp(0.05 * 9 * (4.2 - min(shown)))
    assert told.mass([4.2])[0] == pytest.approx(true, rel=0.05)
    band, wide = told.mass_band([4.2]), untold.mass_band([4.2])
    assert band.low[0] < true < band.high[0]
    assert np.log(wide.high / wide.low) > np.log(band.high / band.low)
    with refused("masses: time 1.4: found -1, expected a number above 0"):
        loaded.infer(shown, masses={1.4: -1.0})
    bare = PathFamily(dataclasses.replace(family, masses=None, further=(), metadata={"dimensions": ["X"]}), SETTINGS)
    with refused("masses: found some, expected none"):
        bare.infer(shown, masses={1.4: 1.0})
    with refused("mass: found a study without sizes"):
        bare.infer(shown).mass([4.2])


def test_sizes_are_scored(growing) -> None:
    _, snapshots, _ = growing
    (case,) = cases_of(snapshots, ["new"], {"two": ShownSettings(times=[1.4, 2.8], samples=20)}, 0)
    test = TestEnvironment("s", "new", "interpolation", snapshots.environments["new"], [6], 50, np.ones(1))
    assert test.since(case) == pytest.approx(1.4) and sorted(test.shown_masses(case)) == pytest.approx([1.4, 2.8])
    true = np.log(snapshots.environments["new"].mass_at([4.2])[4.2] / test.shown_masses(case)[test.since(case)])
    (exact,) = test.mass_rows("m", 0, np.array([[true]]), case)
    assert (exact["metric"], exact["value"]) == ("relative_mass_error", pytest.approx(0, abs=1e-12))
    rows = list(test.mass_rows("m", 0, true + np.array([[-0.2], [0.1], [0.1]]), case))
    assert rows[0]["value"] == pytest.approx(np.exp(0.1) - 1) and rows[1]["value"] == 1.0


def test_evolve_writes_sizes(growing, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family, snapshots, _ = growing
    metadata = {"dimensions": ["X"], "seed": 0, "seconds": 1.0}
    dataclasses.replace(family, metadata=metadata).save(tmp_path / "families/codes-0.safetensors")
    config = {
        "study": "births", "kind": "environments-time", "environments": "births.csv",
        "data": {"source": "csv", "file": "x.csv", "state": "counts", "states": 40, "dimensions": ["X"],
                 "mass": "samples"},
        "paths": {"seeds": [0], "training": {"steps": 1, "learning_rate": 0.01}},
        "inference": {"starts": 1, "steps": 20, "proposals": 64, "draws": 8},
        "evaluation": {"shown": {"two": {"samples": 20}}},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    new = snapshots.environments["new"]
    rows = [(new.times[place], value) for place, count in ((2, 20), (4, 38)) for value in new.train[place][:count, 0]]
    pd.DataFrame(rows, columns=["time", "X"]).to_csv(tmp_path / "new.csv", index=False)
    shown, _ = run(
        capsys, "evolve", tmp_path, "--snapshots", tmp_path / "new.csv", "--times", "1.4,2.8,4.2", "-n", "10",
        "-o", tmp_path / "out.csv", "--bands", tmp_path / "bands.csv",
    )  # fmt: skip
    assert "with masses from 1 to " in shown
    written = pd.read_csv(tmp_path / "out.csv").groupby("time")["mass"].sum()
    assert written[1.4] == pytest.approx(1) and written[2.8] == pytest.approx(1.9, rel=0.15)
    assert written[4.2] > written[2.8]
    bands = pd.read_csv(tmp_path / "bands.csv")
    assert set(bands["dimension"]) == {"X", "(mass)"}


def test_numbers_that_grow_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    rows = [
        {"patient": f"p{place}", "time": time, "x": random.normal()}
        for place in range(6) for time in range(4) for _ in range(40 + 20 * place * time)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv("long.csv", index=False)
    shown, _ = run(
        capsys, "init", "--kind", "environments-time", "--data", "long.csv", "--environment", "patient",
        "--name", "mine", "-o", "my.yaml",
    )  # fmt: skip
    assert "numbers of samples rise or fall steadily in 5 of 6 environments" in shown
    text = Path("my.yaml").read_text()
    assert "  mass: null  # sizes of the populations" in text
    Path("my.yaml").write_text(text.replace("  mass: null", "  mass: samples"))
    shown, _ = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "sizes of the populations, from numbers of samples, are learned as well (data.mass)" in shown
