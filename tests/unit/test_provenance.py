"""Lists of the code that a stage runs: kept, and found again without reading any imports while nothing has changed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from weightcast.core import provenance
from weightcast.core.provenance import code_files, keep_code


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small library in which everything of one folder counts."""
    package = tmp_path / "weightcast"
    (package / "kinds").mkdir(parents=True)
    files = {
        "__init__": "",
        "stage": "from weightcast.helper import one\nfrom weightcast.kinds import two\n",
        "helper": "one = 1\n",
        "other": "three = 3\n",
        "kinds/__init__": "two = 2\n",
        "kinds/first": "",
    }
    for name, text in files.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    monkeypatch.setattr(provenance, "BY_NAME", {package / "kinds"})
    forget()
    yield package
    forget()


def forget() -> None:
    """As a process does that starts."""
    provenance._digest.cache_clear()
    provenance._imported.cache_clear()


def listed(folder: Path) -> list[str]:
    forget()
    path = keep_code(folder, "weightcast.stage")
    return [line.split("  ")[1].removeprefix("weightcast/") for line in path.read_text().splitlines()]


ALL = ["__init__.py", "helper.py", "kinds/__init__.py", "kinds/first.py", "stage.py"]


def test_an_unchanged_list_is_kept_without_reading_imports(package: Path, tmp_path: Path, monkeypatch) -> None:
    assert listed(tmp_path) == ALL
    before = (tmp_path / "stage.txt").stat()
    monkeypatch.setattr(ast, "parse", lambda *_: pytest.fail("imports were read"))
    assert listed(tmp_path) == ALL
    assert (tmp_path / "stage.txt").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("helper", "from weightcast.other import three\none = 1\n", sorted([*ALL, "other.py"])),
        ("helper", "one = 10\n", ALL),
        ("stage", "", ["__init__.py", "stage.py"]),
        ("kinds/second", "", sorted([*ALL, "kinds/second.py"])),
        ("other", "three = 30\n", ALL),
    ],
    ids=["import", "value", "fewer", "by name", "of others"],
)
def test_every_edit_that_matters_is_seen(
    name: str, text: str, expected: list[str], package: Path, tmp_path: Path
) -> None:
    listed(tmp_path)
    before = (tmp_path / "stage.txt").read_text()
    (package / f"{name}.py").write_text(text, encoding="utf-8")
    assert listed(tmp_path) == expected == [name.removeprefix("weightcast/") for name in code_files("weightcast.stage")]
    assert ((tmp_path / "stage.txt").read_text() == before) == (name == "other")


def test_a_file_that_is_gone_and_a_list_that_is_damaged_are_seen(package: Path, tmp_path: Path) -> None:
    listed(tmp_path)
    (package / "kinds/first.py").unlink()
    assert listed(tmp_path) == [name for name in ALL if name != "kinds/first.py"]
    for damaged in ("", "no list", "abc  weightcast/stage.py"):
        (tmp_path / "stage.txt").write_text(damaged)
        assert "helper.py" in listed(tmp_path)
