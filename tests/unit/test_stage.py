"""Stages: what is read from their signatures, their keys, jobs as JSON, and the runner end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from refusals import refused
from tiny_study import ROOT, tiny_config, write_config, write_data, write_table

from weightcast.core import stage as stage_module
from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.files import written_whole
from weightcast.core.job import Job, StageSettings, keep_long_job, read_job
from weightcast.core.run import Run
from weightcast.core.stage import Stage, stage
from weightcast.environments.jobs import GatherZoo, Plan
from weightcast.environments.zoo import ExpertShard, Zoo
from weightcast.runner import find_stage, run_job
from weightcast.studies import load_plan, stages_of


def test_a_long_job_is_a_file(tmp_path: Path) -> None:
    short, long = (Job("gather_zoo", inputs={"shards": ["s"] * times}, config="c.yaml") for times in (3, 30_000))
    assert keep_long_job(tmp_path / "jobs", short) == short.to_json()
    argument = keep_long_job(tmp_path / "jobs", long)
    assert keep_long_job(tmp_path / "jobs", long) == argument and len(list((tmp_path / "jobs").iterdir())) == 1
    kept = json.loads(Path(argument).read_text())
    assert len(kept["inputs"]["shards"]) == 30_000 and len(argument) < 300


class Told(StageSettings):
    """Settings of the stage below."""

    times: int = 1
    names: dict[str, float] = {}  # noqa: RUF012 (pydantic copies it)


@dataclass(frozen=True)
class Words:
    """An input: a text file's words."""

    words: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> Words:
        return cls(tuple(path.read_text(encoding="utf-8").split()))

    def save(self, path: Path) -> None:
        with written_whole(path) as partial:
            partial.write_text(" ".join(self.words), encoding="utf-8")


@dataclass(frozen=True)
class Folder:
    """An input that says itself what of its contents counts."""

    path: Path

    @classmethod
    def load(cls, path: Path) -> Folder:
        return cls(path)

    @classmethod
    def input_digest(cls, path: Path, settings: Told) -> str:
        return (path / f"{settings.times}.txt").read_text(encoding="utf-8")


@stage("repeat")
def repeat(run: Run, settings: Told, first: Words, more: list[Words], last: Words | None, place: Path) -> Words:
    """All words, so many times."""
    found = [first, *more, *([last] if last else [])]
    return Words(tuple(word for part in found for word in part.words) * settings.times)


@stage("look")
def look(run: Run, settings: Told, folder: Folder, artifact: Path) -> None:
    """Nothing is made here."""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for name in "abcd":
        (tmp_path / name).write_text(f"{name} {name}", encoding="utf-8")
    return {name: str(tmp_path / name) for name in "abcd"}


# --- inputs


def test_a_stage_is_its_function_and_its_signature_says_what_it_reads(files: dict[str, str]) -> None:
    assert isinstance(repeat, Stage)
    assert (repeat.name, list(repeat.inputs)) == ("repeat", ["first", "more", "last", "place"])
    made = repeat(Run(), Told(times=2), first=Words(("x",)), more=[Words(("y",))], last=None, place=Path())
    assert made.words == ("x", "y", "x", "y")


def test_inputs_are_read_by_their_types(files: dict[str, str]) -> None:
    paths = {"first": files["a"], "more": [files["b"], files["c"]], "last": files["d"], "place": files["a"]}
    loaded = repeat.load(paths)
    assert loaded == {
        "first": Words(("a", "a")),
        "more": [Words(("b", "b")), Words(("c", "c"))],
        "last": Words(("d", "d")),
        "place": Path(files["a"]),
    }
    assert repeat.load(paths | {"more": files["b"]})["more"] == [Words(("b", "b"))]
    assert repeat.load(paths | {"first": [files["b"]]})["first"] == Words(("b", "b"))


def test_lists_and_optional_inputs_may_be_left_out(files: dict[str, str]) -> None:
    loaded = repeat.load({"first": files["a"], "place": files["a"]})
    assert (loaded["more"], loaded["last"]) == ([], None)
    loaded = repeat.load({"first": files["a"], "place": files["a"], "more": [], "last": []})
    assert (loaded["more"], loaded["last"]) == ([], None)


def test_missing_and_unknown_inputs_are_refused(files: dict[str, str]) -> None:
    with refused("job repeat", "inputs.first", "missing"):
        repeat.load({"place": files["a"]})
    with refused("job repeat", "inputs.secnod", "unknown input", "first, more, last, place"):
        repeat.load({"first": files["a"], "place": files["a"], "secnod": files["b"]})
    with refused("job repeat", "inputs.first", "missing"):
        repeat.key(Told(), {"place": files["a"]})


# --- keys


def key(told: Told, paths: dict[str, Any]) -> str:
    return repeat.key(told, paths)[0]


def test_a_key_changes_with_settings_and_contents_and_with_nothing_else(files: dict[str, str], tmp_path: Path) -> None:
    paths: dict[str, Any] = {"first": files["a"], "more": [files["b"], files["c"]], "place": files["d"]}
    before = key(Told(times=2, names={"x": 1.0, "y": 2.0}), paths)

    assert key(Told(names={"y": 2.0, "x": 1.0}, times=2), paths) == before  # whatever the order of keys
    moved = {name: str(tmp_path / f"other-{name}") for name in "abcd"}
    for name, path in moved.items():
        Path(path).write_bytes(Path(files[name]).read_bytes())
    assert key(Told(times=2, names={"x": 1.0, "y": 2.0}), {
        "first": moved["a"], "more": [moved["b"], moved["c"]], "place": moved["d"]
    }) == before  # fmt: skip

    told = Told(times=2, names={"x": 1.0, "y": 2.0})
    others = [
        key(told.model_copy(update={"times": 3}), paths),
        key(Told(times=2, names={"x": 1.0, "y": 2.5}), paths),
        key(told, paths | {"first": files["d"]}),
        key(told, paths | {"more": [files["c"], files["b"]]}),
        key(told, paths | {"more": [files["b"]]}),
        key(told, paths | {"last": files["d"]}),
    ]
    Path(files["a"]).write_text("changed", encoding="utf-8")
    others.append(key(told, paths))
    assert len({before, *others}) == 8


def test_a_key_changes_with_the_code(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {"first": files["a"], "place": files["d"]}
    before, parts = repeat.key(Told(), paths)
    monkeypatch.setattr(stage_module, "code_digest", lambda module: f"another text of {module}")
    after, others = repeat.key(Told(), paths)
    assert after != before
    assert {name for name in parts if parts[name] != others[name]} == {"code_digest"}
    assert others["code_digest"] == f"another text of {repeat.function.__module__}"


def test_an_input_may_say_itself_what_counts_and_equal_tensors_count_as_equal(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("one", encoding="utf-8")
    artifact = tmp_path / "some.safetensors"

    def found(seconds: float, value: float) -> str:
        save_artifact(artifact, "base", {"weights": torch.full((3,), value)}, {"seconds": seconds})
        return look.key(Told(), {"folder": str(tmp_path), "artifact": str(artifact)})[0]

    before = found(1.0, 2.0)
    (tmp_path / "2.txt").write_text("two", encoding="utf-8")  # which the settings do not name
    assert found(5.0, 2.0) == before  # however long it took
    assert found(1.0, 3.0) != before
    (tmp_path / "1.txt").write_text("uno", encoding="utf-8")
    assert found(1.0, 2.0) != before


# --- jobs


def test_a_job_survives_json() -> None:
    whole = Job(
        stage="train_vae",
        of={"arm": "paper", "seed": "0"},
        inputs={"zoo": "zoo.safetensors", "shards": ["a", "b"]},
        outputs={"output": "vae.safetensors"},
        config="config.yaml",
        settings_digest="abc",
        state="state",
        device="cpu",
    )
    assert Job.from_json(whole.to_json(), "job") == whole
    assert "\n" not in whole.to_json()
    short = Job("gather_zoo", outputs={"output": "x"}, settings={"environments": ["a"]})
    assert Job.from_json(short.to_json(), "job") == short
    assert set(json.loads(short.to_json())) == {"stage", "outputs", "settings"}
    without = Job("write_report", outputs={"output": "x"}, settings={})
    assert Job.from_json(without.to_json(), "job") == without


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ("not JSON", "a job")),
        ("[]", ("stage", "missing")),
        ('{"outputs": {"output": "x"}, "config": "c"}', ("stage", "missing")),
        (
            '{"stage": "s", "outputs": {"output": "x"}, "config": "c", "inptus": {}}',
            ("inptus", "unknown key", "inputs"),
        ),
        ('{"stage": "s", "outputs": {"output": "x"}}', ("config", "either")),
        ('{"stage": "s", "outputs": {"output": "x"}, "config": "c", "settings": {}}', ("config", "either")),
        ('{"stage": "s", "config": "c"}', ("outputs", "missing")),
    ],
)
def test_what_is_no_job_is_refused(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    with refused(*words):
        Job.from_json(text, "job")
    (tmp_path / "job.json").write_text(text, encoding="utf-8")
    with refused(tmp_path / "job.json", *words):
        read_job(str(tmp_path / "job.json"))


def test_a_job_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "none.json", "cannot be read"):
        read_job(str(tmp_path / "none.json"))
    with refused(tmp_path, "cannot be read"):
        read_job(str(tmp_path))


def test_every_stage_is_where_its_name_says() -> None:
    for jobs in stages_of().values():
        for name, kind in jobs.items():
            assert issubclass(kind, StageSettings)
            assert find_stage(name).name == name
    with refused("stage", "'train_vea'", "train_vae"):
        find_stage("train_vea")


# --- the runner


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a resolved configuration and two shards of experts of its visible environments."""
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "config.yaml", tiny_config(tmp_path) | {"device": "cpu"})
    write_table(tmp_path / "environments.csv")
    for number, ids in enumerate((["low", "middle"], ["high"])):
        manifest = [
            {"environment": id, "member": 0, "seed": 1, "diverged": False, "seconds": 1.0, "data_digest": id}
            for id in ids
        ]
        curves = {"experts": {"steps": [1], "training": [0.5], "validated_steps": [], "validation": []}}
        weights = torch.arange(2.0 * len(ids)).reshape(-1, 2) + number
        ExpertShard(weights, manifest, {"base": "pooled", "curves": curves}).save(tmp_path / f"{number}.safetensors")
    yield tmp_path


def gathering(**changes: Any) -> dict[str, Any]:
    job = {
        "stage": "gather_zoo",
        "of": {"base": "erm", "part": "zoo"},
        "inputs": {"shards": ["1.safetensors", "0.safetensors"]},
        "outputs": {"output": "out/zoo.safetensors"},
        "config": "config.yaml",
    }
    return {name: value for name, value in (job | changes).items() if value is not None}


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "run_stage.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def refusal(*arguments: str) -> str:
    """The one line that a job ends in which cannot be run; nothing is written."""
    done = run_script(*arguments)
    assert done.returncode == 1, done.stderr
    first, error = done.stderr.splitlines()
    assert first.startswith("job: ")
    assert error.startswith("weightcast: error: ")
    assert not Path("out").exists()
    return error


def test_a_job_runs_by_hand_from_json_and_from_a_file(study: Path) -> None:
    text = json.dumps(gathering())
    done = run_script(text)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"job: {text}\n")
    zoo = load_artifact("out/zoo.safetensors", "zoo")
    assert [entry["environment"] for entry in zoo.metadata["manifest"]] == ["low", "middle", "high"]
    assert Zoo.from_artifact(zoo).weights[:].tolist() == [[0.0, 1.0], [2.0, 3.0], [1.0, 2.0]]
    assert [one["file"] for one in zoo.metadata["files"]] == [
        "../0.experts/low.safetensors",
        "../0.experts/middle.safetensors",
        "../1.experts/high.safetensors",
    ]
    settings = GatherZoo(environments=("low", "middle", "high"))
    assert (zoo.metadata["stage"], zoo.metadata["config_digest"]) == ("gather_zoo", settings.digest)
    assert zoo.metadata["inputs"]["shards"] == [
        load_artifact(f"{number}.safetensors").tensors_digest for number in (1, 0)
    ]
    assert set(zoo.metadata["curves"]) == {"experts from low", "experts from high"}

    Path("job.json").write_text(json.dumps(gathering(outputs={"output": "again/zoo.safetensors"})), encoding="utf-8")
    assert run_script("job.json").returncode == 0
    assert Path("again/zoo.safetensors").read_bytes() == Path("out/zoo.safetensors").read_bytes()


def test_a_job_may_hold_its_settings_itself(study: Path) -> None:
    run_job(json.dumps(gathering(config=None, of=None, settings={"environments": ["high"]})))
    assert load_artifact("out/zoo.safetensors").metadata["manifest"][0]["environment"] == "high"
    with refused("gather_zoo", "settings.enviroment", "unknown key", "environments"):
        run_job(json.dumps(gathering(config=None, of=None, settings={"environments": ["high"], "enviroment": "low"})))


def test_a_job_that_was_planned_with_other_settings_is_refused(study: Path) -> None:
    planned = GatherZoo.of(load_plan(Path("config.yaml")), "erm", "zoo").digest[:16]
    assert run_script(json.dumps(gathering(settings_digest=planned))).returncode == 0
    Path("out/zoo.safetensors").unlink()
    Path("out").rmdir()
    error = refusal(json.dumps(gathering(settings_digest="0123456789abcdef")))
    assert "config.yaml" in error and "gather_zoo" in error
    assert planned[:12] in error and "0123456789abcdef" in error
    assert "another configuration" in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, which the job would be run on")
def test_a_gpu_that_is_not_there_is_refused(study: Path) -> None:
    write_data(study / "trajectories")

    def evaluating(**changes: Any) -> str:
        inputs, outputs = {"trajectories": "trajectories"}, {"output": "out/errors.csv"}
        stage = {"stage": "evaluate_without_network", "of": {}, "inputs": inputs, "outputs": outputs}
        return json.dumps(gathering(**stage) | changes)

    error = refusal(evaluating(), "--device", "cuda")
    assert "device: found 'cuda'" in error and "no GPU" in error
    assert "found 'cuda:1'" in refusal(evaluating(device="cuda:1"))
    config = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    write_config(Path("config.yaml"), config | {"device": "cuda"})
    assert "found 'cuda'" in refusal(evaluating())
    assert run_script(evaluating(), "--device", "cpu").returncode == 0  # which goes before
    assert Path("out/errors.csv").exists()


def test_a_device_of_no_kind_is_refused_whatever_the_stage(study: Path) -> None:
    error = refusal(json.dumps(gathering()), "--device", "gpu")
    assert "device: found 'gpu'" in error and "cuda:<number>" in error


def test_what_a_runner_cannot_use_is_one_line(study: Path) -> None:
    for changes, words in (
        ({"stage": "gather"}, ("'gather'", "gather_zoo")),
        ({"of": {"base": "erm"}}, ("gather_zoo: of", "part")),
        ({"outputs": {"zoo": "out/zoo.safetensors"}}, ("outputs", "found zoo", "expected output")),
        ({"inputs": {"shards": ["2.safetensors"]}}, ("2.safetensors",)),
        ({"inputs": {"shard": ["1.safetensors"]}}, ("inputs.shard", "unknown")),
        ({"config": "none.yaml"}, ("none.yaml",)),
    ):
        with refused(*words):
            run_job(json.dumps(gathering(**changes)))
        assert not Path("out").exists()


def test_settings_are_cut_out_of_the_study_and_its_table(study: Path) -> None:
    plan = load_plan(Path("config.yaml"))
    assert isinstance(plan, Plan)
    assert GatherZoo.of(plan, "erm", "zoo").environments == ("low", "middle", "high")
    assert GatherZoo.of(plan, "erm", "reference").environments == ("between", "beyond")
