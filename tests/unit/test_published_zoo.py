"""A zoo as a folder: the same numbers there and back, the same bytes twice, and whatever is wrong in one line."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import refused as refused_line
from command_line import run
from crafted_artifacts import STRANGE
from refusals import refused
from safetensors.torch import load_file, save_file
from tiny_study import write_data
from tiny_zoo import MEMBERS, NORMALISATION, VISIBLE, write_zoo_study

from weightcast import PublishedZoo
from weightcast.cli.main import main
from weightcast.core.artifact_header import digest_of
from weightcast.core.errors import InputError
from weightcast.core.provenance import file_digest
from weightcast.environments.config.load import load_study
from weightcast.environments.published.begin import Beginning, held_out_table
from weightcast.environments.published.card import data_card
from weightcast.environments.published.export import Export
from weightcast.environments.published.manifest import read_manifest
from weightcast.environments.published.reading import row_digest
from weightcast.environments.published.states import sample_places
from weightcast.environments.zoo import Zoo
from weightcast.trajectories import read_trajectories

LICENCE = "CC-BY-4.0"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_zoo_study(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def exported(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("exported") / "zoo"
    Export(study, LICENCE).write(folder)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy, to be changed at will."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The manifest with a change, and a correct digest, as somebody who knows the format would write it."""
    path = folder / "zoo.json"
    plain = json.loads(path.read_text())
    change(plain)
    plain["digest"] = digest_of({name: value for name, value in plain.items() if name != "digest"})
    path.write_text(json.dumps(plain))


def renewed(folder: Path, name: str) -> None:
    """The manifest with the digest and the length that a file has now."""
    path = folder / name
    described = {"sha256": file_digest(path), "bytes": path.stat().st_size}
    rewritten(folder, lambda plain: plain["files"].__setitem__(name, described))


# --- there and back


@pytest.mark.parametrize("base", ["erm", "conditioned"])
def test_experts_are_the_same_numbers_and_entries(study: Path, exported: Path, base: str) -> None:
    zoo, there = Zoo.load(study / "zoo" / f"{base}.safetensors"), PublishedZoo.open(exported)
    assert there.verify() == []
    back = there.zoo(there.base(base))
    assert torch.equal(back.weights[:], zoo.weights[:])
    assert back.manifest == zoo.manifest
    assert back.metadata["architecture"] == zoo.metadata["architecture"]
    assert back.metadata["normalisation"] == NORMALISATION


def test_files_of_bounded_size_hold_the_same(study: Path, exported: Path, tmp_path: Path) -> None:
    bytes_of_two = 2 * 4 * Zoo.load(study / "zoo/erm.safetensors").weights.shape[1] + 1000
    manifest, _ = Export(study, LICENCE, shard_bytes=bytes_of_two).write(tmp_path / "small")
    small = PublishedZoo.open(tmp_path / "small")
    assert [shard.rows for shard in manifest.zoos["erm"].shards] == [2, 2, 2, 2, 1]
    assert all((tmp_path / "small" / one.file).stat().st_size <= bytes_of_two for one in manifest.zoos["erm"].shards)
    assert small.verify() == []
    assert torch.equal(small.weights("erm")[:], PublishedZoo.open(exported).weights("erm")[:])
    assert torch.equal(small.weights("erm")[[8, 2], 3:5], small.weights("erm")[:][[8, 2], 3:5])


def test_states_are_the_frames_that_the_manifest_says(study: Path, exported: Path) -> None:
    zoo = PublishedZoo.open(exported)
    places = zip(zoo.manifest.states.trajectories, zoo.manifest.states.frames, strict=True)
    values = read_trajectories(study.parents[1] / "data/tiny/trajectories" / f"{VISIBLE[1]}.nc").values
    expected = torch.stack([torch.from_numpy(values[trajectory, frame]) for trajectory, frame in places])
    assert torch.equal(zoo.states()[1], expected)
    assert zoo.manifest.system.frame_step == 0.5
    assert zoo.manifest.system.units == {"u": "m s-1", "v": "m s-1", "time": "s"}


def test_places_are_spread_and_none_comes_twice() -> None:
    assert sample_places(8, 3, 5)[0] == (0, 0)
    for count, trajectories, frames in ((8, 3, 5), (100, 3, 5), (5, 1, 7), (1, 1, 1), (64, 8, 8)):
        places = sample_places(count, trajectories, frames)
        assert len(set(places)) == len(places) == min(count, trajectories * frames)
        assert all(trajectory < trajectories and frame < frames for trajectory, frame in places)
    first = sample_places(6, 10, 10)  # of the first few, both halves of the frames have about as many
    assert 2 <= sum(frame < 5 for _, frame in first) <= 4


def test_predictors_are_in_physical_units_and_leave_out_what_diverged(exported: Path) -> None:
    zoo = PublishedZoo.open(exported)
    assert len(zoo.predictors("low")) == MEMBERS and len(zoo.predictors("high")) == MEMBERS - 1
    forecast = zoo.predictors("low", base="erm")[0].rollout(zoo.states()[0], steps=2)
    assert forecast.shape == (8, 2, 2, 6, 8) and bool(torch.isfinite(forecast).all())
    with refused("zoos", "'film'"):
        zoo.predictors("low", base="film")  # type: ignore[arg-type]


def test_unseen_environments_are_not_published(exported: Path) -> None:
    assert read_manifest(exported).ids == VISIBLE
    assert not any("beyond" in text.decode() for name, text in files_of(exported).items() if name.endswith(".md"))


# --- the folder


def test_two_exports_are_the_same_bytes(study: Path, exported: Path, tmp_path: Path) -> None:
    manifest, is_new = Export(study, LICENCE).write(tmp_path / "again")
    assert is_new
    assert files_of(tmp_path / "again") == files_of(exported)
    before = {path: path.stat().st_mtime_ns for path in exported.rglob("*")}
    assert Export(study, LICENCE).write(exported) == (manifest, False)
    assert {path: path.stat().st_mtime_ns for path in exported.rglob("*")} == before
    assert not list(exported.parent.glob(".*"))


def test_nothing_is_overwritten_and_nothing_half_written_is_left(study: Path, folder: Path, tmp_path: Path) -> None:
    before = files_of(folder)
    with refused(folder, "found another file", "expected the same"):
        Export(study, "MIT").write(folder)
    assert files_of(folder) == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with refused(other, "other files"):
        Export(study, LICENCE).write(other)
    (tmp_path / "file").write_text("")
    with refused(tmp_path / "file", "found a file"):
        Export(study, LICENCE).write(tmp_path / "file")
    with refused("licence", "'my own'"):
        Export(study, "my own").write(tmp_path / "new")
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "other", "file"}


def test_a_folder_of_no_study_is_one_line(tmp_path: Path) -> None:
    with refused(tmp_path / "config.yaml", "no such file", "snakemake"):
        Export(tmp_path, LICENCE).write(tmp_path / "zoo")


def test_experts_that_are_shown_inputs_are_not_published(study: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((study / "config.yaml").read_text())
    config["data"] |= {"source": "netcdf", "directory": "mine", "settings": {}, "inputs": {"push": "past"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.copy(study / "environments.csv", tmp_path)
    with refused(tmp_path, "data.inputs: found push", "state alone"):
        Export(tmp_path, LICENCE).write(tmp_path / "zoo")


def test_an_empty_folder_is_filled(study: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Export(study, LICENCE).write(tmp_path / "empty")
    assert files_of(tmp_path / "empty") == files_of(exported)


def test_states_of_other_trajectories_are_refused(tmp_path: Path) -> None:
    results = write_zoo_study(tmp_path, ("erm",))
    write_data(tmp_path / "data/tiny/trajectories", frames=10)
    with refused(results, "low", "other trajectories"):
        Export(results, LICENCE).write(tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_card_is_what_hubs_read(exported: Path) -> None:
    text = (exported / "README.md").read_text()
    _, front, page = text.split("---\n", 2)
    metadata = yaml.safe_load(front)
    assert metadata["license"] == "cc-by-4.0"
    assert metadata["library_name"] == "weightcast"
    assert metadata["pretty_name"] == "tiny: a zoo of weights"
    assert metadata["size_categories"] == ["n<1K"]
    assert "model-zoo" in metadata["tags"]
    for name, file in read_manifest(exported).files.items():
        assert name in ("README.md", ".gitattributes") or file.sha256 in page
    assert "13.5 s for all experts together, 2.5 s for their base" in page
    assert "CC-BY-4.0" in page and "fno" in page and "| middle | 1 |" in page
    assert "*.safetensors filter=lfs" in (exported / ".gitattributes").read_text()


def test_licences_that_hubs_do_not_know_are_named(exported: Path) -> None:
    described = read_manifest(exported).model_dump(mode="json") | {"licence": "LicenseRef-Lab-1.0"}
    metadata = yaml.safe_load(data_card(described, {}).split("---\n")[1])
    assert (metadata["license"], metadata["license_name"]) == ("other", "licenseref-lab-1.0")


# --- what is wrong


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], tuple[str, ...]]] = {
    "another format": (lambda plain: plain.update(format="zip"), ("format", "'zip'")),
    "a newer version": (lambda plain: plain.update(version=2), ("version", "found 2", "newer")),
    "a version that is none": (lambda plain: plain.update(version=True), ("version", "True")),
    "a missing key": (lambda plain: plain.pop("licence"), ("licence", "missing")),
    "an unknown key": (lambda plain: plain.update(colour="red"), ("colour", "unknown key")),
    "a name that leads elsewhere": (
        lambda plain: plain["environments"][0].update(id="../x"),
        ("environments", "'../x'"),
    ),
    "a file that lies elsewhere": (lambda plain: plain["states"].update(file="../../x.safetensors"), ("files", "../")),
    "a file of no experts": (
        lambda plain: plain["files"].update({"more.safetensors": plain["files"]["states.safetensors"]}),
        ("files", "more.safetensors"),
    ),
    "a file twice": (
        lambda plain: plain["zoos"]["erm"]["shards"][0].update(file=plain["zoos"]["conditioned"]["shards"][0]["file"]),
        ("files",),
    ),
    "a role that is not published": (lambda plain: plain["environments"][0].update(role="extrapolation"), ("role",)),
    "an environment twice": (lambda plain: plain["environments"][0].update(id="MIDDLE"), ("environments", "twice")),
    "parameters that others lack": (
        lambda plain: plain["environments"][0]["parameters"].update(gamma=1.0),
        ("low", "gamma"),
    ),
    "no parameters where there are names": (
        lambda plain: plain["environments"][0]["parameters"].clear(),
        ("low", "parameters"),
    ),
    "absurdly many weights": (lambda plain: plain["zoos"]["erm"].update(weights=10**8), ("architecture", "189")),
    "an absurd width": (lambda plain: plain["zoos"]["erm"]["architecture"].update(width=10**6), ("width", "1000000")),
    "a wide network": (lambda plain: plain["zoos"]["erm"]["architecture"].update(width=8192), ("architecture", "189")),
    "no such network": (
        lambda plain: plain["zoos"]["erm"]["architecture"].update(kind="magic"),
        ("architecture", "magic"),
    ),
    "channels of another system": (
        lambda plain: plain["zoos"]["erm"]["architecture"].update(channels=3),
        ("architecture.channels",),
    ),
    "modes that the grid has not": (
        lambda plain: plain["system"].update(grid=[2, 8], y=[0.0, 1.0]),
        ("architecture.modes",),
    ),
    "absurdly many points": (lambda plain: plain["system"].update(grid=[65536, 65536]), ("system.y",)),
    "more points than there are bytes": (
        lambda plain: plain["system"].update(grid=[60, 8], y=[float(one) for one in range(60)]),
        ("files.states.safetensors.bytes",),
    ),
    "absurdly many rows": (lambda plain: plain["zoos"]["erm"]["shards"][0].update(rows=10**9), ("shards", "rows")),
    "fewer rows than experts": (lambda plain: plain["zoos"]["erm"]["experts"].pop(), ("shards", "found 9 rows")),
    "experts of nowhere": (lambda plain: plain["zoos"]["erm"]["experts"][0].update(environment="mars"), ("mars",)),
    "an expert twice": (lambda plain: plain["zoos"]["erm"]["experts"][1].update(member=0), ("twice",)),
    "a scale of nothing": (
        lambda plain: plain["zoos"]["erm"]["normalisation"].update(scale=[1.0, 0.0]),
        ("normalisation.scale",),
    ),
    "a scale too few": (lambda plain: plain["zoos"]["erm"]["normalisation"].update(scale=[1.0]), ("one a channel",)),
    "an error that is no number": (
        lambda plain: plain["zoos"]["erm"]["experts"][0].update(train_error=float("nan")),
        ("finite",),
    ),
    "a number of a thousand bits": (
        lambda plain: plain["zoos"]["erm"]["experts"][0].update(seed=2**1000),
        ("64 bits",),
    ),
    "text that cannot be printed": (lambda plain: plain.update(written_by="\x1b[2J"), ("printed",)),
    "a licence of a page": (lambda plain: plain.update(licence="all mine " * 50), ("licence",)),
    "no states": (lambda plain: plain["states"].update(frames=[], trajectories=[]), ("states",)),
    "parameters of another network": (
        lambda plain: plain["zoos"]["erm"]["parameters"][0].update(name="lifting.other"),
        ("parameters",),
    ),
    "a digest of other weights": (
        lambda plain: plain["zoos"]["erm"]["experts"][4].update(sha256="0" * 64),
        ("member 1 of environment middle", "digest"),
    ),
    "depths": (lambda plain: plain["trained_with"]["base"].update(deep=nested(100)), ("nested",)),
}


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 0


@pytest.mark.parametrize("change", CHANGES)
def test_manifest_that_somebody_made_is_one_line(folder: Path, change: str) -> None:
    changed, words = CHANGES[change]
    rewritten(folder, changed)
    with refused(folder / "zoo.json", *words):
        PublishedZoo.open(folder).verify()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("not JSON",)),
        (b"\xff\xfe", ("UTF-8",)),
        (b"[" * 100_000, ("not JSON",)),
        (b"[]", ("format", "list")),
        (b"{}", ("format",)),
        (b'{"format": "weightcast-zoo", "version": 1}', ("digest",)),
    ],
)
def test_manifest_that_is_none_is_one_line(folder: Path, content: bytes, words: tuple[str, ...]) -> None:
    (folder / "zoo.json").write_bytes(content)
    with refused(folder / "zoo.json", *words):
        PublishedZoo.open(folder)


def test_manifest_that_was_damaged_is_one_line(folder: Path) -> None:
    path = folder / "zoo.json"
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": 0.5', 1))
    with refused(path, "digest", "damaged"):
        PublishedZoo.open(folder)


@pytest.mark.parametrize("name", ["experts/erm-00001-of-00001.safetensors", "states.safetensors"])
def test_damaged_file_is_one_line(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with refused(folder / name, "digest"):
        PublishedZoo.open(folder).verify()
    (folder / name).write_bytes(content[:-100])
    with refused(folder / name, "bytes"):
        PublishedZoo.open(folder).verify()
    (folder / name).unlink()
    with refused(folder / name, "no such file"):
        PublishedZoo.open(folder).verify()


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("experts/erm-00001-of-00001.safetensors", "weights", ("member 0 of environment low", "another expert")),
        ("states.safetensors", "states", ("environment low", "NaN")),
    ],
)
def test_numbers_that_are_none_are_one_line(folder: Path, name: str, tensor: str, words: tuple[str, ...]) -> None:
    tensors = load_file(folder / name)
    tensors[tensor].flatten()[0] = float("nan")
    save_file(tensors, folder / name)
    renewed(folder, name)
    with refused(*words):
        PublishedZoo.open(folder).verify()


def test_expert_with_infinite_weights_and_all_digests_right_is_one_line(folder: Path) -> None:
    name = "experts/erm-00001-of-00001.safetensors"
    tensors = load_file(folder / name)
    tensors["weights"][3, 7] = float("inf")
    save_file(tensors, folder / name)
    renewed(folder, name)
    digest = row_digest(tensors["weights"][3])
    rewritten(folder, lambda plain: plain["zoos"]["erm"]["experts"][3].update(sha256=digest))
    with refused("member 0 of environment middle", "NaN or infinity"):
        PublishedZoo.open(folder).verify()


@pytest.mark.parametrize("change", ["double", "name", "shape", "header"])
def test_tensor_of_another_kind_is_one_line(folder: Path, change: str) -> None:
    name = "experts/erm-00001-of-00001.safetensors"
    weights = load_file(folder / name)["weights"]
    if change == "double":
        save_file({"weights": weights.to(torch.bfloat16).repeat(2, 1)}, folder / name)
    elif change == "name":
        save_file({"heights": weights}, folder / name)
    elif change == "shape":
        save_file({"weights": weights.flatten()}, folder / name)
    else:
        (folder / name).write_bytes(struct.pack("<Q", 2**60) + (folder / name).read_bytes()[8:])
    renewed(folder, name)
    with refused(folder / name):
        PublishedZoo.open(folder).verify()


def test_values_that_nobody_expects_are_refused_in_one_line_or_harmless(folder: Path, tmp_path: Path) -> None:
    """A hundred manifests with correct digests, each with one value gone or another in its place."""
    plain = json.loads((folder / "zoo.json").read_text())
    places = [place for place in places_of(plain) if place and place[0] != "digest"]
    draws, refusals = random.Random(0), 0
    for _ in range(100):
        changed, place = json.loads(json.dumps(plain)), draws.choice(places)
        part = changed
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = draws.choice(STRANGE)
        if draws.random() < 0.2:
            part.pop(place[-1])
        changed["digest"] = digest_of({name: value for name, value in changed.items() if name != "digest"})
        (folder / "zoo.json").write_text(json.dumps(changed))
        try:
            zoo = PublishedZoo.open(folder)
            zoo.verify()
            table = held_out_table(zoo, zoo.base(), tmp_path / "table.csv", None, 0.2, 0)
            Beginning(zoo, zoo.base(), "begun", 0, table, tmp_path / "begun.yaml").write()
        except InputError as error:
            assert "\n" not in str(error)
            refusals += 1
    assert refusals > 80


def places_of(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every value in JSON, by the keys that lead to it."""
    yield place
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        yield from places_of(value[key], (*place, key))


# --- the command line


def test_commands_write_a_study_that_is_one(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, config = tmp_path / "zoo", tmp_path / "again.yaml"
    shown, _ = run(capsys, "zoo", "export", study, "-o", folder, "--licence", LICENCE)
    assert "9 experts from the base conditioned" in shown
    (folder / "README.md").write_text("Edited, where it was published.")
    shown, warned = run(capsys, "zoo", "import", folder, "--name", "again", "-o", config, "--hold-out", "high")
    assert "9 experts of 189 weights from the base conditioned; 2 environments to learn from" in shown
    assert "README.md" in warned
    table = (tmp_path / "again-environments.csv").read_text()
    assert table == "id,role,beta\nlow,visible,0.5\nmiddle,visible,1.0\nhigh,extrapolation,1.5\n"
    found = load_study(config)
    assert (found.data.source, found.zoo.published, found.zoo.bases) == ("zoo", str(folder), ["conditioned"])
    assert found.predictor == read_manifest(folder).zoos["conditioned"].predictor
    refused_line(capsys, "zoo", "import", folder, "--name", "again", "-o", config, words=["exists already"])


def test_share_is_drawn_by_the_seed(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = []
    for number in range(6):
        config = tmp_path / f"{number}.yaml"
        run(capsys, "zoo", "import", exported, "--name", "a", "-o", config, "--seed", number // 2, "--base", "erm")
        tables.append((tmp_path / f"{number}-environments.csv").read_text())
    assert tables[0::2] == tables[1::2]
    assert len(set(tables)) > 1
    assert all(table.count("visible") == 2 for table in tables)
    run(capsys, "zoo", "import", exported, "--name", "a", "-o", tmp_path / "all.yaml", "--hold-out-share", "0")
    assert (tmp_path / "all-environments.csv").read_text().count("visible") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hold-out", "mars"], ["mars", "low, middle, high"]),
        (["--hold-out", "low", "high"], ["2 of 3", "2 or more"]),
        (["--hold-out-share", "1"], ["--hold-out-share"]),
        (["--base", "context"], ["zoos", "context"]),
        (["--seed", "-1"], ["--seed"]),
    ],
)
def test_wrong_imports_are_one_line(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: list[str]
) -> None:
    output = tmp_path / "new.yaml"
    refused_line(capsys, "zoo", "import", exported, "--name", "new", "-o", output, *words, words=said, output=output)


def test_a_licence_is_asked_for(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["zoo", "export", str(study), "-o", str(tmp_path / "zoo")])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and "--licence" in error and error.count("\n") == 1
    refused_line(
        capsys, "zoo", "export", study, "-o", tmp_path / "zoo", "--licence", LICENCE, "--states", "2",
        words=["--states"], output=tmp_path / "zoo",
    )  # fmt: skip


def test_crafted_zoo_writes_no_study(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewritten(folder, lambda plain: plain["trained_with"]["zoo"].update(members_of_staff=3))
    output = tmp_path / "new.yaml"
    refused_line(
        capsys, "zoo", "import", folder, "--name", "new", "-o", output, words=["members_of_staff"], output=output
    )
    assert not (tmp_path / "new-environments.csv").exists()
