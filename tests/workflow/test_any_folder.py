"""The workflow away from its repository: installed from a wheel, run from a folder of the user's, and as a module."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from checkout import CODE, REPOSITORY, copy_repository

SHIPPED = ("Snakefile", "config/schema.json", "envs", "profiles", "rules", "scripts")


def run(*command: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed, without this process's own way to the library."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=inherited | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done


def place_study(folder: Path) -> Path:
    """The mini study on three of its environments, in a folder of its own; returns the configuration."""
    folder.mkdir(parents=True)
    config = (REPOSITORY / "tests/workflow/mini.yaml").read_text()
    assert "tests/workflow/mini.csv" in config
    (folder / "my.yaml").write_text(config.replace("tests/workflow/mini.csv", "table.csv"))
    header, *rows = (REPOSITORY / "tests/workflow/mini.csv").read_text().splitlines(keepends=True)
    (folder / "table.csv").write_text("".join([header, rows[0], rows[1], rows[-1]]))
    return folder / "my.yaml"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The bin folder of an environment in which a wheel of this repository is installed."""
    pytest.importorskip("setuptools", minversion="77", reason="a wheel is built without a package index")
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_repository(folder / "source").folder
    for name in ("pyproject.toml", "README.md", "LICENSE", "snakemake_logger_plugin_weightcast"):
        if not (source / name).exists():
            copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy2
            copy(REPOSITORY / name, source / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    quietly = ("--quiet", "--no-deps", "--no-index")
    run(*pip, "wheel", *quietly, "--no-build-isolation", "-w", folder, source, folder=folder)
    (wheel,) = folder.glob("*.whl")

    # Only weightcast is installed anew. What it needs is lent by this environment, as a folder alone: .pth files in it,
    # such as that of an editable weightcast, are not read.
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    purelib = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).stdout.strip()
    )
    (purelib / "lent.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    run(*pip, "--python", python, "install", *quietly, wheel, folder=folder)
    where = run(python, "-c", "import weightcast; print(weightcast.__file__)", folder=folder).stdout
    assert str(environment) in where
    shutil.rmtree(source)
    return environment / "bin"


def test_a_wheel_carries_the_whole_workflow(installed):
    names = [
        file
        for name in SHIPPED
        for file in ((REPOSITORY / name).rglob("*") if (REPOSITORY / name).is_dir() else [REPOSITORY / name])
    ]
    wanted = {str(file.relative_to(REPOSITORY)) for file in names if file.is_file() and "__pycache__" not in file.parts}
    share = installed.parent / "share/weightcast"
    assert {
        str(file.relative_to(share)) for file in share.rglob("*") if file.is_file() and file.suffix != ".pyc"
    } == wanted
    assert set(SHIPPED) - {"config/schema.json"} <= set(CODE)


def test_weightcast_run_in_a_folder_of_ones_own(installed, tmp_path):
    config = place_study(tmp_path / "a study")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # An alien file of a name that Snakemake imports: the folder that one stands in must not matter.
    (elsewhere / "yaml.py").write_text("raise RuntimeError('the current folder is on the path')")

    whole = run(installed / "weightcast", "run", "../a study/my.yaml", "-n", "--quiet", "rules", folder=elsewhere)
    assert re.search(r"^write_report +1$", whole.stdout + whole.stderr, re.M)
    done = run(installed / "weightcast", "run", config, "train_conditioned", "--cores", "2", folder=elsewhere)
    assert re.search(r"^weightcast: \d+ jobs done in ", done.stderr, re.M)
    assert (config.parent / "results/mini/base/conditioned.safetensors").is_file()
    assert list((config.parent / "data/mini/trajectories").glob("*.nc"))
    assert [file.name for file in elsewhere.iterdir()] == ["yaml.py"]
    again = run(installed / "weightcast", "run", config, "--cores", "2", "train_conditioned", folder=elsewhere)
    assert "Nothing to be done" in again.stderr


def test_weightcast_run_passes_the_exit_status_on(installed, tmp_path):
    config = place_study(tmp_path / "study")
    status = subprocess.run(
        [installed / "weightcast", "run", config, "no_such_target"], capture_output=True, check=False
    )
    assert status.returncode == 1


MODULE = """
rule mine:
    input:
        "my.yaml",
    output:
        "mine.txt",
    shell:
        "cp {{input}} {{output}}"


configfile: "my.yaml"


module weightcast:
    snakefile:
        "{snakefile}"
    config:
        config


use rule * from weightcast as weightcast_*
"""


def test_the_workflow_is_a_module_of_another(tmp_path):
    """Of another repository, in another folder, with targets of its own; the module's name stands before its rules'."""
    checkout = copy_repository(tmp_path / "weightcast of old")
    folder = place_study(tmp_path / "user").parent
    (folder / "Snakefile").write_text(MODULE.format(snakefile=checkout.folder / "Snakefile"))
    library = {"PYTHONPATH": str(checkout.folder)}
    snakemake = (sys.executable, "-P", "-m", "snakemake", "--cores", "2")

    own = run(*snakemake, "-n", "--quiet", "rules", folder=folder, **library)
    assert re.search(r"^total +1$", own.stdout + own.stderr, re.M)  # `mine`, the first, is still what is made by itself
    whole = run(*snakemake, "weightcast_all", "-n", "--quiet", "rules", folder=folder, **library)
    said = whole.stdout + whole.stderr
    assert re.search(r"^weightcast_write_report +1$", said, re.M) and "localrules" not in said
    run(*snakemake, "weightcast_simulate", folder=folder, **library)
    assert list((folder / "data/mini/trajectories").glob("*.nc"))
    again = run(*snakemake, "weightcast_simulate", folder=folder, **library)
    assert "Nothing to be done" in again.stderr
