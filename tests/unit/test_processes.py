"""Several processes that share a training: what they tell each other, and that they end where one alone does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused
from several_processes import side_by_side
from torch import Tensor

from weightcast.core.artifact_header import read_metadata
from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.config.training import TrainingSettings
from weightcast.core.device import device_of_process, gpus_of
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.interruption import listen
from weightcast.core.launch import _ending
from weightcast.core.processes import SMALL_BYTES, Processes
from weightcast.core.run import Run
from weightcast.core.share import Share
from weightcast.core.training import Resume

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
"""Of float32 sums in another order, after some dozens of steps."""

# --- shares


@pytest.mark.parametrize(("rows", "count"), [(8, 2), (7, 2), (3, 3), (10, 4), (5, 1)])
def test_shares_make_up_the_whole_and_differ_by_a_row_at_most(rows: int, count: int) -> None:
    shares = [Processes(rank, count).share(rows) for rank in range(count)]
    assert [row for share in shares for row in range(rows)[share.rows]] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    values = torch.arange(float(rows)) ** 2
    mean = sum(share.weight * share.take(values).mean() for share in shares)
    torch.testing.assert_close(mean, values.mean())


def test_a_rows_random_numbers_do_not_depend_on_the_number_of_shares() -> None:
    def drawn(share: Share) -> list[Tensor]:
        draws = share.draws(Draws("cpu", 3, "a"))
        rows = len(share)
        return [draws.normal(rows, 2), draws.integers(9, rows), draws.uniform(rows, 1, 3), draws.normal(rows)]

    whole = drawn(Share(0, 7, 7))
    plain = Draws("cpu", 3, "a")
    assert torch.equal(whole[0], plain.normal(7, 2)) and torch.equal(whole[1], plain.integers(9, 7))
    for count in (2, 3):
        parts = zip(*(drawn(Share.of(7, rank, count)) for rank in range(count)), strict=True)
        assert all(torch.equal(torch.cat(part), one) for part, one in zip(parts, whole, strict=True))
    with pytest.raises(ValueError, match="expected 3 rows"):
        Share.of(7, 0, 2).draws(Draws("cpu", 3)).normal(7)


def test_there_are_no_more_processes_than_rows() -> None:
    with refused("--processes: found 4", "at most 3"):
        Processes(1, 4).share(3)


# --- what they tell each other


def tell(processes: Processes, folder: Path) -> None:
    rank = processes.rank
    large, small = torch.full((SMALL_BYTES,), 1.0 + rank), torch.arange(6.0).reshape(2, 3).T * (rank + 1)
    wide, whole = torch.full((3,), 0.1, dtype=torch.double), torch.tensor([rank + 5])
    processes.add([large, small, wide, whole])
    assert bool((large == 6.0).all()) and torch.equal(small, torch.arange(6.0).reshape(2, 3).T * 6)
    torch.testing.assert_close(wide, torch.full((3,), 0.3, dtype=torch.double))
    assert int(whole) == 18

    assert processes.agreed({"rank": rank, "values": [0.5, None]}) == {"rank": 0, "values": [0.5, None]}
    assert processes.least(7 - rank) == 5
    copied = torch.full((2,), float(rank))
    processes.copy([copied])
    assert copied.tolist() == [0.0, 0.0]

    share = processes.share(8)
    rows, flags = torch.arange(16.0).reshape(8, 2), torch.arange(8) % 3 == 0
    joined = processes.joined(share.take(rows), 8), processes.joined(share.take(rows).T, 8, axis=1)
    alive, listed = processes.joined(share.take(flags), 8), processes.listed([{"rank": rank, "é": None}])
    if processes.leads:
        assert torch.equal(joined[0], rows) and torch.equal(joined[1], rows.T) and torch.equal(alive, flags)
        assert listed == [{"rank": number, "é": None} for number in range(3)]
    (folder / str(rank)).touch()


def test_processes_tell_each_other_tensors_and_what_json_can_hold(tmp_path: Path) -> None:
    assert side_by_side(tell, tmp_path, count=3) == [0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]


def test_a_process_alone_says_all_to_itself() -> None:
    alone, value = Processes(), torch.ones(2)
    alone.add([value])
    assert torch.equal(alone.joined(value, 2), value) and alone.listed((1, 2)) == [1, 2]
    assert alone.agreed([0, 0.5]) == [0, 0.5] and alone.share(1) == Share(0, 1, 1)


# --- trainings


def batch_training(processes: Processes, steps: int = 40, **options: Any) -> tuple[list[Tensor], Any]:
    """Two layers on batches of seven rows, which two or three processes share unevenly."""
    layers = [torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)).requires_grad_() for seed in (0, 1)]
    share = processes.share(7)
    run = Run(processes=processes, resume=options.pop("resume", None))

    def loss(step: int) -> Tensor:
        draws = share.draws(Draws("cpu", 0, step))
        seen = draws.normal(len(share), 3)
        error = torch.tanh(seen @ layers[0]) @ layers[1].T - seen.flip(1)
        if "at" in options and (processes.rank, step) == options["at"]:
            options["do"]()
        return share.weight * error.square().mean(1).sqrt().mean()

    def validation() -> Tensor:
        return (layers[0] @ layers[1].T - torch.eye(3)).square().mean()

    settings = TrainingSettings(steps=steps, learning_rate=0.02, clip=0.5, average=0.9, keep="best")
    return layers, run.fit(layers, loss, settings, name="layers", validation=validation)


def stack_training(processes: Processes, steps: int = 40, **options: Any) -> tuple[list[Tensor], Any]:
    """Five members, of which one diverges on the way."""
    share = processes.share(5)
    members = list(range(5))[share.rows]
    weights = torch.zeros(len(members), 3, requires_grad=True)
    run = Run(processes=processes, resume=options.pop("resume", None))

    def loss(step: int) -> Tensor:
        wanted = torch.stack([Draws("cpu", member, step).normal(3) + member for member in members])
        error = (weights - wanted).square().mean(1)
        if "at" in options and (processes.rank, step) == options["at"]:
            options["do"]()
        return error * torch.tensor([float("inf") if (member, step) == (3, 20) else 1.0 for member in members])

    settings = TrainingSettings(steps=steps, learning_rate=0.02)
    result = run.fit(
        [weights], loss, settings, name="members", stacked=True, may_diverge=True, validation=lambda: weights.sum(1)
    )
    return [processes.joined(weights.detach(), 5)], run.curves["members"] | {"diverged": result.diverged.tolist()}


TRAININGS: dict[str, Callable[..., tuple[list[Tensor], Any]]] = {"batch": batch_training, "stack": stack_training}


def train(processes: Processes, kind: str, folder: Path, options: dict[str, Any]) -> None:
    """Train, and keep what came of it, with the state at the end."""
    if options.get("listening"):
        listen()
    if "at" in options:
        options["do"] = {"fail": fail, "end": ask, "kill": die}[options["what"]]
    resume = Resume(folder, "0" * 64)
    tensors, result = TRAININGS[kind](processes, resume=resume, **options)
    if processes.leads:
        said = result if isinstance(result, dict) else {"losses": result.losses.flatten().tolist()}
        save_artifact(folder / "out.safetensors", "zoo", dict(zip("ab", tensors, strict=False)), {"said": said})


def fail() -> None:
    raise InputError("table.csv: row 3: found nothing, expected a number")


def ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def alone(kind: str, folder: Path) -> Any:
    train(Processes(), kind, folder, {})
    return load_artifact(folder / "out.safetensors")


@pytest.mark.parametrize(("kind", "count"), [("batch", 2), ("batch", 3), ("stack", 2), ("stack", 3)])
def test_processes_together_end_where_one_does(kind: str, count: int, tmp_path: Path) -> None:
    expected = alone(kind, tmp_path / "one")
    assert side_by_side(train, kind, tmp_path / "several", {}, count=count) == [0] * count
    found = load_artifact(tmp_path / "several" / "out.safetensors")
    for name, tensor in expected.tensors.items():
        torch.testing.assert_close(found.tensors[name], tensor, **TOLERANCE)
    if kind == "batch":
        losses = (torch.tensor(one.metadata["said"]["losses"]) for one in (found, expected))
        torch.testing.assert_close(*losses, **TOLERANCE)
    else:
        one, other = found.metadata["said"], expected.metadata["said"]
        diverged = [False, False, False, True, False]
        assert other.pop("diverged") == diverged and one.pop("diverged") == diverged[: 5 // count]  # the first one's
        assert one == other  # the curve is of all members


@pytest.mark.parametrize("kind", TRAININGS)
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1), (2, 3)])
def test_another_number_of_processes_goes_on_from_the_state(
    kind: str, first: int, then: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(kind, tmp_path / "whole")
    stopped = {"listening": True, "at": (first - 1, 25), "what": "end"}  # the last process is asked, and tells the rest
    said = tmp_path / "said.txt"
    codes = side_by_side(train, kind, tmp_path / "parts", stopped, count=first, said=said)
    assert codes == [143] * first
    lines = [line for line in said.read_text().splitlines() if "weightcast" in line]
    assert len(lines) == 1 and "after 26 of 40 steps, with its state saved" in lines[0]
    (state,) = (tmp_path / "parts").iterdir()
    assert read_metadata(state)["step"] == 26

    assert side_by_side(train, kind, tmp_path / "parts", {}, count=then) == [0] * then
    found = load_artifact(tmp_path / "parts" / "out.safetensors")
    for name, tensor in expected.tensors.items():
        torch.testing.assert_close(found.tensors[name], tensor, **TOLERANCE)


def test_a_damaged_state_is_dropped_by_all(tmp_path: Path) -> None:
    expected = alone("batch", tmp_path / "whole")
    state = Resume(tmp_path / "parts", "0" * 64).part("layers").path
    state.parent.mkdir()
    state.write_bytes(b"nothing")
    assert side_by_side(train, "batch", tmp_path / "parts", {}) == [0, 0]
    found = load_artifact(tmp_path / "parts" / "out.safetensors")
    torch.testing.assert_close(found.tensors["a"], expected.tensors["a"], **TOLERANCE)


# --- one fails


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("kind", TRAININGS)
def test_an_error_in_one_process_is_one_line_and_ends_the_other(kind: str, rank: int, tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    assert side_by_side(train, kind, tmp_path, {"at": (rank, 7), "what": "fail"}, said=said) == [1, 1]
    lines = [line for line in said.read_text().replace("\r", "\n").splitlines() if "weightcast" in line]
    assert lines == ["weightcast: error: table.csv: row 3: found nothing, expected a number"]
    assert "Traceback" not in said.read_text()
    assert not (tmp_path / "out.safetensors").exists()


def diverge(processes: Processes) -> None:
    weights = torch.ones(2, requires_grad=True)
    Run(processes=processes).fit(
        [weights],
        lambda step: weights.sum() * (float("nan") if processes.rank else 1.0),
        TrainingSettings(steps=3, learning_rate=1.0),
        name="weights",
    )


def test_a_loss_that_diverges_in_a_share_ends_all_in_one_line(tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    assert side_by_side(diverge, said=said) == [1, 1]
    lines = [line for line in said.read_text().replace("\r", "\n").splitlines() if "weightcast" in line]
    assert len(lines) == 1 and "weights: step 1 of 3: found a loss or gradient that is not finite" in lines[0]


def test_who_outlives_a_killed_process_says_so_where_nobody_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said.txt"
    codes = side_by_side(train, "batch", tmp_path, {"at": (1, 7), "what": "kill"}, said=said)
    assert codes == [1, -signal.SIGKILL]
    lines = [line for line in said.read_text().replace("\r", "\n").splitlines() if "weightcast" in line]
    assert len(lines) == 1 and "process 0 of 2 lost touch with the others" in lines[0]


def test_exit_codes_become_a_line_or_a_status() -> None:
    killed = _ending({0: 1, 1: -signal.SIGKILL}, 2)
    assert isinstance(killed, InputError) and "process 1 of 2 was ended by SIGKILL" in str(killed)
    for codes, status in (({1: 1}, 1), ({0: 143, 1: 143}, 143), ({0: 143, 1: 1}, 1)):
        ended = _ending(codes, 2)
        assert isinstance(ended, SystemExit) and ended.code == status


# --- who is started, and where


def test_a_process_knows_its_place_from_torchrun_alone() -> None:
    assert Processes.started({"RANK": "3", "WORLD_SIZE": "4"}) == Processes()
    started = {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    assert Processes.started(started) == Processes(1, 2)
    with refused("found 4, of which 2 on this machine", "all on one"):
        Processes.started(started | {"WORLD_SIZE": "4"})


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    gpu, processes = torch.device("cuda", 0), [Processes(rank, 2) for rank in range(2)]
    assert [str(device_of_process(gpu, "auto", one)) for one in processes] == ["cuda:0", "cuda:1"]
    assert device_of_process(torch.device("cuda", 1), "cuda:1", Processes()) == torch.device("cuda", 1)
    assert device_of_process(torch.device("cpu"), "cpu", processes[1]) == torch.device("cpu")
    assert [gpus_of(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == [2, 2, 1, 0]
    with refused("found 'cuda:1' with 2 processes", "expected cuda"):
        device_of_process(torch.device("cuda", 1), "cuda:1", processes[0])
    with refused("--processes: found 3", "at most 2", "torch sees 2 GPUs"):
        device_of_process(gpu, "cuda", Processes(0, 3))
