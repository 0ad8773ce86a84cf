"""A family of paths that is trained on births and deaths, against the exact law: Poisson and binomial counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from families_kit import birth_death_settings, trained_birth_death
from torchdiffeq import odeint

from weightcast.cli.main import main
from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import Density, Laws
from weightcast.evolution.state_space import Reals
from weightcast.families.code_regression import prior_of_parameters
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.paths import PathSettings
from weightcast.families.path_map import PathMap
from weightcast.families.public import PathFamily
from weightcast.families.snapshots import EnvironmentSnapshots, FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import SeenSamples, state_space, train_paths
from weightcast.samples.record import Loadings
from weightcast.systems.birth_death import birth_death

SETTINGS = InferenceSettings(starts=4, steps=100, proposals=128, draws=16)
SHOWN = (2, 4)
"""Positions of the times 1.4 and 2.8, at which visible environments have snapshots."""
LATER = [3.5, 4.2]
"""After what is shown; 3.5 is the time of no visible snapshot."""


@pytest.fixture(scope="module")
def trained():
    return trained_birth_death()


@pytest.fixture(scope="module")
def law(trained):
    """The law of the environment that no training has seen, as two early snapshots of 100 samples tell it."""
    family, snapshots, _ = trained
    new = snapshots.environments["new"]
    shown = {float(new.times[place]): new.train[place][:100] for place in SHOWN}
    return PathFamily(dataclasses.replace(family, metadata={"dimensions": ["X"]}), SETTINGS).infer(shown)


@pytest.fixture
def results(trained, tmp_path: Path) -> Path:
    """A study's folder, as far as `evolve` reads it."""
    config = {
        "study": "births",
        "kind": "environments-time",
        "environments": "births.csv",
        "data": birth_death_settings().model_dump(mode="json"),
        "paths": {"seeds": [0], "training": {"steps": 1, "learning_rate": 0.01}},
        "inference": SETTINGS.model_dump(mode="json"),
        "evaluation": {"shown": {"two": {"samples": 20}}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    metadata = {"dimensions": ["X"], "seed": 0, "seconds": 1.0}
    dataclasses.replace(trained[0], metadata=metadata).save(tmp_path / "families/codes-0.safetensors")
    return tmp_path


def exact(birth: float = 9.0):
    law = birth_death(birth=birth, death=0.8, molecules=12, horizon=4.2).law
    assert law is not None
    return law


def test_means_and_variances_of_a_new_environment_are_those_of_its_law(law):
    drawn = law.members(LATER, 500)
    for place, time in enumerate(LATER):
        # A twentieth of the mean is half of the distance to the next visible rate of births.
        assert drawn[:, place].mean() == pytest.approx(exact().mean(time)[0], rel=0.06)
        assert law.sample([time], 4000)[0].var() == pytest.approx(exact().variance(time)[0], rel=0.25)


def test_the_law_at_a_time_is_a_probability_that_is_near_the_exact_one(law):
    counts = np.arange(40.0)[:, None]
    found = np.exp(law.log_prob(counts, 3.5))

    assert found.sum() == pytest.approx(1.0, abs=1e-4)
    distance = 0.5 * np.abs(found - np.exp(exact().log_prob(counts, 3.5))).sum()
    assert distance < 0.1  # the law of the visible rate 10 has 0.15, the one of 12 has 0.40


def test_bands_hold_the_truth_and_more_samples_make_them_narrower(trained, law):
    family, snapshots, _ = trained
    new = snapshots.environments["new"]
    few = {float(new.times[place]): new.train[place][:5] for place in SHOWN}
    wide = PathFamily(dataclasses.replace(family, metadata={"dimensions": ["X"]}), SETTINGS).infer(few)

    width = [(band.high - band.low).mean() for band in (one.mean_band(LATER, 300) for one in (wide, law))]
    assert width[0] > 1.5 * width[1]
    band = wide.mean_band(LATER, 300)
    assert band.holds(np.stack([exact().mean(time) for time in LATER])).all()
    tail = wide.tail_band(LATER, [14.0], 300)
    assert tail.holds(np.stack([exact().exceedance(14, time) for time in LATER])).all()


def test_parameters_say_the_code_as_well(trained):
    family, _, _ = trained
    scaled = family.scaling.apply(np.array([[9.0]]))
    prior = prior_of_parameters(family, scaled)[0]
    times = torch.tensor([3.5], dtype=torch.double)
    drawn = family.density.sample(family.weights(times, prior.mean[None]), 4000, 0)

    assert float(drawn.mean()) == pytest.approx(exact().mean(3.5)[0], rel=0.06)
    told = PathFamily(dataclasses.replace(family, metadata={"dimensions": ["X"]}), SETTINGS)
    samples = told.infer(parameters={"birth": 9.0}).sample([3.5], 4000)
    assert samples.mean() == pytest.approx(exact().mean(3.5)[0], rel=0.1)


def test_a_family_is_the_same_after_it_was_written(trained, tmp_path):
    family = trained[0]
    family.save(tmp_path / "family.safetensors")
    read = TrainedFamily.load(tmp_path / "family.safetensors")

    times, codes = torch.tensor([0.7, 3.5], dtype=torch.double), family.codes[:2]
    assert torch.equal(read.weights(times, codes), family.weights(times, codes))
    assert (read.ids, read.told, read.first, read.last) == (family.ids, "codes", 0.0, 4.2)
    assert torch.equal(read.prior.factor, family.prior.factor)


def test_a_flow_solves_its_equation():
    """As torchdiffeq does with steps of its own, each member to a time of its own."""
    with Run().initialised(0):
        path_map = PathMap(11, 3, "flow", 4, 8)
        path_map.begin(torch.arange(11.0), 1.0)
    codes = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    times = torch.tensor([-1.0, -0.4, 0.0, 0.7, 1.0])
    found = path_map(times, codes)
    for place, time in enumerate(times):
        code = codes[place : place + 1]
        begin = path_map.start(torch.cat([torch.tensor([[-1.0]]), code], dim=1))

        def rate(now, state, code=code):
            return path_map.coefficients(torch.cat([state, now.reshape(1, 1), code], dim=1))

        ends = torch.tensor([-1.0, max(float(time), -1 + 1e-6)])
        steps = odeint(rate, begin, ends, rtol=1e-8, atol=1e-8)[-1]
        torch.testing.assert_close(
            found[place], (path_map.origin + steps @ path_map.directions)[0], rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("kind", ["low-rank", "deep", "flow"])
def test_weights_are_linear_in_the_code_where_the_map_is(kind):
    with Run().initialised(0):
        path_map = PathMap(11, 3, kind, 4, 8)
        path_map.begin(torch.arange(11.0), 1.0)
    first, second = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    times = torch.linspace(-1, 1, 5)
    halfway = path_map(times, 0.5 * first + 0.5 * second)
    mean = 0.5 * path_map(times, first) + 0.5 * path_map(times, second)

    assert halfway.shape == (5, 11)
    assert torch.allclose(halfway, mean, atol=1e-5) == (kind == "low-rank")
    again = PathMap(**path_map.describe())
    again.load_state_dict(path_map.state_dict())
    assert torch.equal(again(times, first), path_map(times, first))


def test_snapshots_are_drawn_by_environment_and_rows_from_their_own_snapshot(trained):
    _, snapshots, _ = trained
    one = snapshots.environments["a"]
    sparse = dataclasses.replace(one, observed=np.arange(7) == 4, train=tuple(part[:3] for part in one.train))
    family = FamilySnapshots({"a": sparse, "f": snapshots.environments["f"]}, ("X",), 40)
    seen = SeenSamples.of(family, ["a", "f"])
    environments, times, values = seen.draw(2000, 5, 0)

    assert float((environments == 0).float().mean()) == pytest.approx(0.5, abs=0.05)  # though it has one snapshot of 5
    assert set(times[environments == 0].tolist()) == {one.times[4]}
    assert set(values[environments == 0].unique().tolist()) <= set(one.train[4][:3, 0])
    assert set(times[environments == 1].tolist()) == set(one.times[::2])


def test_evolve_writes_samples_and_bands_of_a_new_environment(results, trained, capsys):
    new = trained[1].environments["new"]
    rows = [f"{new.times[place]},{value:g}" for place in SHOWN for value in new.train[place][:30, 0]]
    (results / "new.csv").write_text("\n".join(["time,X", *rows]))
    command = ["evolve", str(results), "--snapshots", str(results / "new.csv"), "--times", "0:4.2:0.7", "-n", "50"]
    main([*command, "-o", str(results / "out.csv"), "--bands", str(results / "bands.csv")])

    out = pd.read_csv(results / "out.csv")
    assert set(out["environment"]) == {"new"}
    assert len(out) == 7 * 50 and set(np.round(out["time"], 9)) == set(np.round(np.arange(7) * 0.7, 9))
    bands = np.genfromtxt(results / "bands.csv", delimiter=",", names=True)
    assert (bands["low"] <= bands["median"]).all() and (bands["median"] <= bands["high"]).all()
    assert "an ensemble of 16 paths" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["1.4,12", "1.4,9", "2.8,10"] * 8, "the samples fit"),
        (["1.4,39", "1.4,0", "2.8,39", "2.8,0"] * 8, "outside of what the study knows: at time"),
        (["0,12"] * 20, "nothing was learned from these samples"),
    ],
)
def test_evolve_says_what_samples_are_worth(results, trained, tmp_path, capsys, rows, words):
    """Of a study whose own samples are still there; the effective number of draws is said each time."""
    folder = tmp_path / "work"
    place = folder / "results/births"
    place.mkdir(parents=True)
    (place / "config.yaml").write_text((results / "config.yaml").read_text())
    (place / "families").symlink_to(results / "families")
    trained[1].save(folder / "data/births/snapshots.nc")
    (folder / "new.csv").write_text("\n".join(["time,X", *rows]))
    command = ["evolve", str(place), "--snapshots", str(folder / "new.csv"), "--times", "1,4", "-n", "20"]
    main([*command, "-o", str(folder / "o.csv"), "--bands", str(folder / "b.csv"), "--tails", "X=8"])

    said = capsys.readouterr()
    assert words in said.out + said.err
    assert "among 128 proposals of codes" in said.out and f"{folder / 'new.csv'}: samples by time: " in said.out
    tails = pd.read_csv(folder / "b.csv").query("dimension == 'X > 8'")
    assert len(tails) == 2 and tails["high"].between(tails["low"], 1).all()


def test_evolve_writes_the_laws_of_visible_environments(results, trained):
    command = ["evolve", str(results), "--times", "1.4,2.8", "-n", "200", "-o", str(results / "out.csv")]
    main([*command, "--environment", "f", "a"])

    out = pd.read_csv(results / "out.csv")
    assert out["environment"].drop_duplicates().tolist() == ["f", "a"]
    for id, birth in (("f", 12.0), ("a", 4.0)):
        of_law = exact(birth)
        mean = out[(out["environment"] == id) & (out["time"] == 2.8)]["X"].mean()
        # Four standard errors of 200 draws, and a twentieth for what training leaves.
        allowed = 4 * (of_law.variance(2.8)[0] / 200) ** 0.5 + 0.05 * of_law.mean(2.8)[0]
        assert mean == pytest.approx(of_law.mean(2.8)[0], abs=allowed)
    main([*command, "--environment", "all"])
    assert set(pd.read_csv(results / "out.csv")["environment"]) == set("abcdef")


def test_evolve_writes_genes_where_the_samples_have_loadings(results, trained, tmp_path, monkeypatch, capsys):
    """Of components that were trained on as they are kept; of others, or without any, none."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    snapshots = trained[1]
    loadings = Loadings(np.array([[0.6, 0.8]]), np.array([1.0, -1.0]), ("up", "down"))
    folder = tmp_path / "work"
    place = folder / "results/births"
    place.mkdir(parents=True)
    (place / "config.yaml").write_text((results / "config.yaml").read_text())
    metadata = {"dimensions": ["X"], "seed": 0, "seconds": 1.0, "data_digest": snapshots.digest}
    dataclasses.replace(trained[0], metadata=metadata).save(place / "families/codes-0.safetensors")
    command = ["evolve", str(place), "--environment", "b", "--times", "0.7,2", "-n", "6", "-o", str(folder / "x.h5ad")]
    main(command)
    assert " genes" not in "".join(capsys.readouterr())
    dataclasses.replace(snapshots, loadings=loadings).save(folder / "data/births/snapshots.nc")
    main(command)
    assert "with 2 genes" in capsys.readouterr().out
    with h5py.File(folder / "x.h5ad") as file:
        drawn = file["obsm/X_state"][()]
        np.testing.assert_allclose(file["X"][()], drawn * [0.6, 0.8] + [1.0, -1.0], rtol=1e-6)
        assert file["obs/environment/categories"][0] == b"b"
        np.testing.assert_array_equal(file["obs/time"][()], np.repeat([0.7, 2.0], 6))
    main([*command, "--without-genes"])
    with h5py.File(folder / "x.h5ad") as file:
        assert file["X"].shape == (12, 1)
    few = {id: snapshots.environments[id] for id in "ab"}
    dataclasses.replace(snapshots, environments=few, loadings=loadings).save(folder / "data/births/snapshots.nc")
    capsys.readouterr()
    main(command)
    said = capsys.readouterr()
    assert "found other samples" in said.err and " genes" not in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--times", "0,1"], "--snapshots: missing"),
        (["--times", "0,1", "--environment", "z"], "expected all or some of a, b"),
        (["--times", "0,1", "--environment", "a", "--parameters", "birth=9"], "--environment: found --parameters"),
        (["--times", "0,5", "--parameters", "birth=9"], "from 0 to 4.2"),
        (["--times", "0,1", "--parameters", "rate=9"], "'rate': unknown, expected birth"),
        (["--times", "0,1", "--parameters", "birth=9", "--arm", "cde"], "--arm: found cde, expected none"),
        (["--times", "0,1", "--parameters", "birth=9", "--extrapolate"], "--extrapolate: found it, expected none"),
        (["--times", "0,1", "--environment", "all", "b"], "found all beside others"),
        (["--times", "0,1", "--environment", "z"], "b, c, d and 2 more"),
        (["--times", "-1:1:0.5", "--parameters", "birth=9"], "--times: found -1, expected one from 0"),
        (["--times", "0,1", "--parameters", "birth=9", "--bands", "out.csv"], "--bands: found out.csv, the file of"),
        (["--times", "0,1", "--parameters", "birth=9", "--bands", "bands.txt"], "expected a table, .csv"),
        (["--times", "0,1", "--parameters", "birth=9", "--tails", "X=9"], "--tails: found it without --bands"),
        (
            ["--times", "0,1", "--parameters", "birth=9", "--bands", "b.csv", "--tails", "Z=9"],
            "--tails: found 'Z', expected one of X",
        ),
        (["--times", "0,1", "--parameters", "birth=9", "--condition", "a=b"], "--condition: found ['a=b'], expected"),
        (["--times", "0,1", "--snapshots", "late.csv"], "late.csv: time: found 9"),
        (["--times", "0,1", "--snapshots", "many.csv"], "whole numbers from 0 to 39"),
    ],
)
def test_evolve_refuses_what_it_cannot_do(results, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(results)
    Path("late.csv").write_text("time,X\n1,3\n9,4\n")
    Path("many.csv").write_text("time,X\n1,3\n2,40\n")
    with pytest.raises(SystemExit) as ended:
        main(["evolve", str(results), *arguments, "-o", "out.csv"])

    assert ended.value.code == 1
    said = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(said) == 1 and words in said[0]
    assert not Path("out.csv").exists()


def test_samples_of_another_shape_are_refused(trained):
    family = PathFamily(dataclasses.replace(trained[0], metadata={"dimensions": ["X"]}), SETTINGS)
    with pytest.raises(InputError, match="expected \\(samples, 1\\)"):
        family.infer({1.0: np.zeros((3, 2))})
    with pytest.raises(InputError, match="neither samples nor parameters"):
        family.infer()
    with pytest.raises(InputError, match="expected one of a, b"):
        family.environment("z")


def test_zeros_that_repeat_have_a_probability_of_their_own_in_each_environment() -> None:
    """Of a gene that is seldom seen: the part of zeros is the parameter of the environment, the rest is normal."""
    shares = {"a": 0.2, "b": 0.4, "c": 0.6, "d": 0.8}
    rows = tuple(Environment(id, {"zeros": share}, "visible") for id, share in shares.items())
    random, times = np.random.default_rng(4), np.array([0.0, 1.0])

    def samples(share: float) -> np.ndarray:
        return np.where(random.random((400, 1)) < share, 0.0, 2.0 + 0.3 * random.standard_normal((400, 1)))

    environments = {
        id: EnvironmentSnapshots(
            times, np.array([True, True]), *(tuple(samples(share) for _ in times) for _ in range(2)), False
        )
        for id, share in shares.items()
    }
    snapshots = FamilySnapshots(environments, ("gene",), None)
    training = {"steps": 300, "learning_rate": 0.01, "members": 8, "batch": 64}
    family, _ = train_paths(
        Run(), "parameters", "deep", snapshots, EnvironmentTable(rows, ("zeros",), Path("genes.csv")), list(shares),
        PathSettings.model_validate({"rank": 8, "width": 16, "training": training}),
        DensitySettings(hidden=8, components=2), seed=1, name="genes",
    )  # fmt: skip
    weights = family.weights(torch.full((4,), 0.5, dtype=torch.double), family.parameters)
    zero = torch.zeros(1, 1, dtype=torch.double)
    found = [Density(Laws.of(family.density, one[None]), 0.5).log_prob(zero).exp().item() for one in weights]
    assert found == pytest.approx(list(shares.values()), abs=0.08)


def test_where_nothing_repeats_there_is_nothing_of_its_own() -> None:
    snapshots = FamilySnapshots(
        {"a": EnvironmentSnapshots(np.array([0.0]), np.array([True]), (np.arange(50.0)[:, None],), ((),), False)},
        ("x",),
        None,
    )
    assert type(state_space(snapshots, ["a"], DensitySettings())) is Reals
