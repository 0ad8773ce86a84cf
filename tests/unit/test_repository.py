"""What has to hold of the repository as a whole: its files, its lock, its links, and the code lists of its stages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import weightcast
from weightcast.core.provenance import PACKAGE, UNTRACED, code_files
from weightcast.studies import stages_of
from weightcast.systems import SYSTEM_NAMES, load_system

ROOT = Path(__file__).parents[2]
NOT_IN_ALL = ("parquet", "flow-matching", "grib")  # each brings hundreds of megabytes, of which little is used
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
STAGES = {name: f"{package}.{name}" for package, jobs in stages_of().items() for name in jobs}
LARGEST_FILE = 1_000_000
UNPICKLING = re.compile(r"\b(pickle|torch|joblib)\.load\(|\ballow_pickle\s*=\s*True|\byaml\.(unsafe_|full_)?load\(")
LINK = re.compile(r"\]\(([^)\s]+)\)")

RECORD_IMPORTS = """
import builtins, importlib, json, sys

folder, package, untraced, *modules = sys.argv[1:]
imported, plain = {}, builtins.__import__


def noting(name, globals=None, locals=None, fromlist=(), level=0):
    found = plain(name, globals, locals, fromlist, level)
    names = [name, *(f"{name}.{part}" for part in fromlist or ())]
    imported.setdefault((globals or {}).get("__name__"), []).extend(names)
    return found


# What a module imports is noted as it is imported for the first time, whichever stage that is for.
builtins.__import__ = noting
stages = {module: getattr(importlib.import_module(module), module.rpartition(".")[2]) for module in modules}
builtins.__import__ = plain
for module, stage in stages.items():
    # Followed from module to module as they were imported, but not through those that are left out on purpose.
    found, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        file = getattr(sys.modules.get(name), "__file__", None) or ""
        if file.startswith(package) and name not in found:
            found[name] = file
            parents = name.split(".")
            waiting += [".".join(parents[:depth]) for depth in range(1, len(parents))]
            waiting += imported.get(name, []) if file not in untraced.split(":") else []
    with open(f"{folder}/{stage.name}.json", "w") as record:
        json.dump([file for file in found.values() if file not in untraced.split(":")], record)
"""


def tracked_files() -> list[Path]:
    """Files that git tracks; skips the test where there is no git checkout."""
    try:
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [file for name in names.split("\0") if name and (file := ROOT / name).is_file()]


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def test_no_tracked_file_is_large() -> None:
    assert not [file for file in tracked_files() if file.stat().st_size > LARGEST_FILE]


def test_nothing_unpickles() -> None:
    code = [file for file in tracked_files() if file.suffix in (".py", ".smk") or file.name == "Snakefile"]
    checked = [file for file in code if "tests" not in file.relative_to(ROOT).parts]
    assert checked
    assert not [file for file in checked if UNPICKLING.search(file.read_text(encoding="utf-8"))]


def test_version_is_said_once() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project()["version"] == weightcast.__version__ == citation["version"]


def test_lock_has_a_fitting_pin_for_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    extras = project()["optional-dependencies"]
    left_out = {"all", *NOT_IN_ALL}
    wanted = [*project()["dependencies"], *(line for name in extras if name not in left_out for line in extras[name])]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_extra_all_has_every_extra() -> None:
    extras = project()["optional-dependencies"]
    (everything,) = extras["all"]
    assert Requirement(everything).extras == extras.keys() - {"all", *NOT_IN_ALL}


def test_profiles_agree_where_they_say_the_same() -> None:
    default, slurm = (
        yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))
        for name in ("default", "slurm")
    )
    shared = default.keys() & slurm.keys()
    assert {"max-checksum-file-size", "rerun-incomplete"} <= shared
    assert {key: default[key] for key in shared} == {key: slurm[key] for key in shared}


def test_links_between_pages_lead_somewhere() -> None:
    pages = [file for file in tracked_files() if file.suffix == ".md"]
    broken = []
    for page in {ROOT / "README.md", *pages}:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            file = target.partition("#")[0]
            if file and "://" not in file and not (page.parent / file).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_modules_are_imported_by_name_only_where_that_is_known() -> None:
    """Code lists are read from import statements: what is imported by a computed name does not show in them."""
    known = {
        "__init__.py",  # public names, for users; the library and the scripts import from where a name lives
        "environments/conditions/__init__.py",  # kinds, all of which count (weightcast.core.provenance.BY_NAME)
        "cli/main.py",  # commands, which no stage runs
        "runner.py",  # stages, whose code lists begin with the module of that name
        "systems/__init__.py",  # systems, which the rule that simulates lists beside its code
    }
    package = Path(weightcast.__file__).parent
    found = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if re.search(r"\b(import_module|__import__)\(", file.read_text(encoding="utf-8"))
    }
    assert found == known


@pytest.mark.parametrize("name", SYSTEM_NAMES)
def test_system_is_where_the_rule_that_simulates_looks_for_it(name: str) -> None:
    assert load_system(name).trajectories.__module__ == f"weightcast.systems.{name.replace('-', '_')}"


@pytest.fixture(scope="module")
def imports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Of each stage, by name: the files of weightcast that importing its module imports, in a process of its own.

    Left out is what ``UNTRACED`` modules import and nothing else does: it reaches a stage as its settings' values.
    """
    folder = tmp_path_factory.mktemp("imports")
    untraced = ":".join(map(str, UNTRACED))
    command = [sys.executable, "-c", RECORD_IMPORTS, folder, str(PACKAGE), untraced, *STAGES.values()]
    subprocess.run(command, check=True, timeout=300)
    return {file.stem: json.loads(file.read_text()) for file in folder.iterdir()}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_runs_only_when_it_is_asked_to(script: Path) -> None:
    assert '\nif __name__ == "__main__":\n' in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("stage", STAGES)
def test_code_list_of_a_stage_holds_what_it_imports(stage: str, imports: dict[str, list[str]]) -> None:
    """Snakemake reruns a stage when a file of this list changes; a file missing from it could change unnoticed."""
    assert str(PACKAGE.joinpath(*STAGES[stage].split(".")[1:]).with_suffix(".py")) in imports[stage]
    listed = {(ROOT / file).resolve() for file in code_files(STAGES[stage])}
    assert {Path(file).resolve() for file in imports[stage]} <= listed
