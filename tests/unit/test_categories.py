"""Categories of environments as parameters: from columns of text to numbers, and back on the command line."""

from __future__ import annotations

import pytest
from refusals import refused

from weightcast.core.categories import parameters_of, unseen_categories
from weightcast.environments.commands.stated_parameters import stated_parameters

CELLS = {
    f"e{place}": {"line": ("HeLa", "A-549")[place % 2], "dose": f"{place}.5", "Batch": str(place // 3)}
    for place in range(9)
}


def test_a_category_is_one_where_an_environment_has_it() -> None:
    found, lines = parameters_of(CELLS, ["line", "dose", "Batch"])
    assert found["e4"] == {
        "line.A-549": 0.0, "line.HeLa": 1.0, "dose": 4.5, "Batch.0": 0.0, "Batch.1": 1.0, "Batch.2": 0.0,
    }  # fmt: skip
    for row in found.values():
        assert row["line.A-549"] + row["line.HeLa"] == 1 and sum(row[f"Batch.{one}"] for one in range(3)) == 1
    assert lines == [
        "column line: a category of 2 values, as parameters that are 1 or 0: line.A-549, line.HeLa",
        "column Batch: a category of 3 values, as parameters that are 1 or 0: Batch.0, Batch.1, Batch.2",
    ]
    assert unseen_categories(found, ["e0", "e1", "e2", "e3"]) == ["Batch.2"]


def test_values_that_leave_the_same_name_are_refused() -> None:
    cells = {f"e{place}": {"line": ("a b", "a-b")[place % 2]} for place in range(6)}
    with refused("column line: found a b, a-b", "differ in letters or digits"):
        parameters_of(cells, ["line"])


def test_a_category_is_stated_by_its_value() -> None:
    names = ("dose", "line.A-549", "line.HeLa")
    assert stated_parameters("line=HeLa,dose=3", names) == {"line.A-549": 0.0, "line.HeLa": 1.0, "dose": 3.0}
    assert stated_parameters("dose=1, line = A 549", names) == {"line.A-549": 1.0, "line.HeLa": 0.0, "dose": 1.0}
    with refused("--parameters: category 'line': found 'MCF7', expected one of A-549, HeLa"):
        stated_parameters("dose=1,line=MCF7", names)
    with refused("--parameters: parameter 'line.HeLa': found twice"):
        stated_parameters("line=HeLa,line.HeLa=1", names)


@pytest.mark.parametrize("text", ["dose", "dose=x"])
def test_what_is_no_number_is_refused_as_before(text: str) -> None:
    with refused("--parameters"):
        stated_parameters(text, ("dose",))
