from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from weightcast.core.environment_table import EnvironmentTable, read_environments, write_environments
from weightcast.core.names import check_name

DATA = Path(__file__).parents[2] / "data"
GOOD = """\
id, role, beta, D
slow, visible, 0.6, 0.2
fast, visible, 1.4, 0.8

middle, interpolation, 1.0, 0.5
beyond, extrapolation, 1.6, 1e-1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "environments.csv"


def read(path: Path, text: str) -> EnvironmentTable:
    path.write_text(text, encoding="utf-8")
    return read_environments(path)


def test_a_table_is_read_in_its_order(path: Path) -> None:
    table = read(path, GOOD)
    assert table.ids == ("slow", "fast", "middle", "beyond")
    assert [environment.id for environment in table] == list(table.ids)
    assert len(table) == 4
    assert "slow" in table and "other" not in table
    assert table.parameter_names == ("beta", "D")
    assert table["middle"].parameters == {"beta": 1.0, "D": 0.5}


def test_roles_split_the_table(path: Path) -> None:
    table = read(path, GOOD)
    assert [environment.id for environment in table.visible] == ["slow", "fast"]
    assert [environment.id for environment in table.interpolation] == ["middle"]
    assert [environment.id for environment in table.extrapolation] == ["beyond"]
    assert [environment.id for environment in table.unseen] == ["middle", "beyond"]


def test_parameters_as_an_array(path: Path) -> None:
    table = read(path, GOOD)
    np.testing.assert_array_equal(table.parameter_array(["fast", "slow"]), [[1.4, 0.8], [0.6, 0.2]])
    assert table.parameter_array().shape == (4, 2)
    assert table.parameter_array([]).shape == (0, 2)
    assert table.parameter_array().dtype == np.float64


def test_columns_may_stand_in_any_order_and_behind_a_byte_order_mark(path: Path) -> None:
    table = read(path, "\ufeffbeta,role,id\r\n1.5,visible,a\r\n")
    assert table["a"].parameters == {"beta": 1.5}


def test_writing_and_reading_gives_the_same_table(path: Path, tmp_path: Path) -> None:
    table = read(path, f"id,role,x\na,visible,{math.pi!r}\nb,visible,1e-300\n")
    copy = tmp_path / "new" / "copy.csv"
    write_environments(copy, table)
    assert read_environments(copy).environments == table.environments
    assert [file.name for file in copy.parent.iterdir()] == ["copy.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        ("id,beta\na,1\n", ["line 1", "column role"]),
        ("role,beta\nvisible,1\n", ["line 1", "column id"]),
        ("id|role|beta\na|visible|1\n", ["line 1", "column id", "id|role|beta"]),
        ("id,role\na,interpolation\n", ["column role", "no visible"]),
        ("id,role,beta,beta\na,visible,1,1\n", ["line 1", "column 4", "'beta'"]),
        ("id,role,\na,visible,1\n", ["line 1", "column 3", "''"]),
        ("id,role,a=b\na,visible,1\n", ["line 1", "column 3", "'a=b'"]),
        ("id,role,environment\na,visible,1\n", ["line 1", "column 3", "'environment'"]),
        ("id,role,beta\na,visible,1\na,visible,2\n", ["line 3", "column id", "'a'", "line 2"]),
        ("id,role,beta\na,visible,1\n\nA,visible,2\n", ["line 4", "column id", "'A'", "line 2"]),
        (
            "id,role,beta\na,seen,1\n",
            ["line 2", "column role", "'seen'", "visible", "interpolation", "extrapolation"],
        ),
        ("id,role,beta\na,interpolation,1\n", ["column role", "no visible"]),
        ("id,role,beta\n", ["no visible"]),
        ("id,role,beta\na,visible,\n", ["line 2", "column beta", "''"]),
        ("id,role,beta\na,visible,one\n", ["line 2", "column beta", "'one'"]),
        ("id,role,beta\na,visible,nan\n", ["line 2", "column beta", "'nan'"]),
        ("id,role,beta\na,visible,-inf\n", ["line 2", "column beta", "'-inf'"]),
        ("id,role,beta\na,visible\n", ["line 2", "2 cells", "expected 3"]),
        ("id,role,beta\na,visible,0,5\n", ["line 2", "4 cells", "expected 3"]),
        ("id,role,beta\na/b,visible,1\n", ["line 2", "column id", "'a/b'"]),
        ('id,role,beta\n"a,visible,1\n', ["line 2", "CSV"]),
    ],
)
def test_a_bad_table_is_refused(path: Path, text: str, words: list[str]) -> None:
    with refused(path, *words):
        read(path, text)


def test_a_table_may_have_no_parameters(path: Path, tmp_path: Path) -> None:
    table = read(path, "role,id\nvisible,north\ninterpolation,south\n")
    assert table.parameter_names == ()
    assert [dict(environment.parameters) for environment in table] == [{}, {}]
    assert table.parameter_array().shape == (2, 0)
    write_environments(tmp_path / "copy.csv", table)
    assert (tmp_path / "copy.csv").read_text() == "id,role\nnorth,visible\nsouth,interpolation\n"
    assert read_environments(tmp_path / "copy.csv").environments == table.environments


def test_a_missing_table_is_refused(path: Path) -> None:
    with refused(path, "no such file"):
        read_environments(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path, "cannot be read"):
        read_environments(tmp_path)


def test_a_table_in_another_encoding_is_refused(path: Path) -> None:
    path.write_bytes("id,role,beta\na,visible,1\nKöln,visible,2\n".encode("latin-1"))
    with refused(path, "line 3", "UTF-8"):
        read_environments(path)


def test_an_unknown_id_is_refused(path: Path) -> None:
    table = read(path, GOOD)
    with refused(path, "'other'", "slow, fast, middle, beyond"):
        table["other"]
    with refused(path, "'other'"):
        table.parameter_array(["slow", "other"])


@pytest.mark.parametrize("name", ["a", "0", "beta_0.60-D_0.20", "A" * 64, "a..b"])
def test_fit_names(name: str) -> None:
    assert check_name(name, "study.name", "config.yaml") == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a.", "-a", "_a", ".a", "a b", "a/b", "a\\b", "a\n", "$a", "a;b", "a'b", "ä", "٣", "A" * 65],
)
def test_unfit_names_are_refused(name: str) -> None:
    with refused("config.yaml", "study.name", repr(name)):
        check_name(name, "study.name", "config.yaml")


@pytest.mark.parametrize(("file", "counts"), [("lambda-omega.csv", (24, 12, 6)), ("era5-sample.csv", (15, 5, 4))])
def test_roles_in_the_shipped_tables_are_what_they_say(file: str, counts: tuple[int, int, int]) -> None:
    table = read_environments(DATA / file)
    assert (len(table.visible), len(table.interpolation), len(table.extrapolation)) == counts
    visible = table.parameter_array([environment.id for environment in table.visible])
    for environment in table.unseen:
        values = table.parameter_array([environment.id])[0]
        inside = ((values >= visible.min(axis=0)) & (values <= visible.max(axis=0))).all()
        assert inside == (environment.role == "interpolation"), environment.id


def test_lambda_omega_ids_state_their_parameters() -> None:
    for environment in read_environments(DATA / "lambda-omega.csv"):
        assert environment.id == "beta_{beta:.2f}-D_{D:.2f}".format(**environment.parameters)


@pytest.mark.parametrize(("separator", "number"), [(";", "0.5"), (";", "0,5"), ("\t", "0,5")])
def test_other_separators(separator: str, number: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [["id", "role", "beta"], ["a", "visible", number], ["b", "interpolation", "2"]]
    path.write_text("\n".join(separator.join(row) for row in rows), encoding="utf-8")
    assert [row.parameters["beta"] for row in read_environments(path)] == [0.5, 2.0]
