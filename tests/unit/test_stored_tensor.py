"""Tensors that stay in their files, or are made in one: what they say of their rows is what torch says of a tensor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from refusals import refused
from safetensors.torch import load_file

from weightcast.core import stored_tensor
from weightcast.core.artifacts import load_artifact, open_artifact, save_artifact
from weightcast.core.run import Run
from weightcast.core.stored_tensor import (
    GroupedRows,
    JoinedRows,
    ScratchTensor,
    column_blocks,
    flattened,
    grouped,
    taken,
    write_safetensors,
)

TENSOR = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
ASKED = [
    *(0, -1, slice(None), slice(2, 5), slice(0, 0), [3, 3, 0], torch.tensor([6, 1]), torch.arange(7) > 3, []),
    *((slice(None), slice(1, 3)), ([2, 0], slice(4)), (torch.tensor([5]), slice(2, None))),
]


@pytest.fixture(params=["stored", "scratch", "joined", "pieces"])
def rows(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The tensor in each of the ways that there are."""
    if request.param == "pieces":
        monkeypatch.setattr(stored_tensor, "PIECE", 3)
    if request.param == "scratch":
        scratch = ScratchTensor(tmp_path, TENSOR.shape)
        scratch[:] = TENSOR
        return scratch
    save_artifact(tmp_path / "whole.safetensors", "weights", {"a": torch.zeros(3), "weights": TENSOR}, {})
    stored = open_artifact(tmp_path / "whole.safetensors").tensors["weights"]
    if request.param != "joined":
        return stored
    parts = JoinedRows.of([TENSOR[4:], taken(stored, [1, 0]), taken(stored, range(2, 4))])
    return parts.take([4, 3, 5, 6, 0, 1, 2])


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_rows_and_numbers_of_them_are_those_of_a_tensor(asked, rows) -> None:
    assert torch.equal(rows[asked], TENSOR[asked])
    assert rows.shape == TENSOR.shape and len(rows) == 7 and rows.dtype == TENSOR.dtype


def test_rows_that_there_are_not_are_refused(rows) -> None:
    for asked in (7, [0, 9], -8):
        with pytest.raises(IndexError):
            rows[asked]


def test_blocks_groups_and_selections_cover_the_tensor(rows) -> None:
    assert torch.equal(torch.cat(list(column_blocks(rows, 2)), 1), TENSOR)
    assert torch.equal(taken(rows, torch.tensor([5, 2]))[:], TENSOR[[5, 2]])
    pairs = grouped(taken(rows, range(6)), 2)
    assert isinstance(pairs, GroupedRows) and pairs.shape == (3, 2, 5)
    assert torch.equal(pairs[[2, 0]], TENSOR[:6].unflatten(0, (3, 2))[[2, 0]])
    assert torch.equal(pairs[1], TENSOR[2:4]) and torch.equal(flattened(pairs)[:], TENSOR[:6])
    assert torch.equal(flattened(grouped(TENSOR, 7)), TENSOR)


def test_a_file_written_from_files_is_one_written_from_memory(rows, tmp_path: Path) -> None:
    metadata = {"methods": []}
    save_artifact(tmp_path / "memory.safetensors", "weights", {"w": TENSOR, "s": torch.ones(2)}, metadata)
    save_artifact(tmp_path / "files.safetensors", "weights", {"w": rows, "s": torch.ones(2)}, metadata)
    one, other = (load_artifact(tmp_path / f"{name}.safetensors") for name in ("memory", "files"))
    assert (one.digest, one.tensors_digest) == (other.digest, other.tensors_digest)
    write_safetensors(tmp_path / "plain.safetensors", {"w": grouped(rows, 1)}, {"a": "b"})
    assert torch.equal(load_file(tmp_path / "plain.safetensors")["w"], TENSOR[:, None])


def test_scratch_is_filled_row_by_row_and_leaves_no_file_behind(tmp_path: Path) -> None:
    scratch = ScratchTensor(tmp_path, (2, 3, 4))
    assert not list(tmp_path.iterdir())
    values = torch.arange(24.0).reshape(2, 3, 4)
    scratch[1:2], scratch[[0]] = values[1:], values[:1]
    assert torch.equal(scratch[:], values) and torch.equal(scratch[1], values[1])
    scratch[:, 3:5] = torch.zeros(2, 2)
    assert torch.equal(scratch[0].flatten()[2:6], torch.tensor([2.0, 0.0, 0.0, 5.0]))


def test_what_is_made_is_in_memory_up_to_a_quarter_of_it(tmp_path: Path) -> None:
    run = Run(memory=1e-6, outputs={"output": tmp_path / "out" / "file"})  # a thousand bytes
    kinds = [type(run.room(*shape)) for shape in ((6, 5), (6, 5), (5, 5), (2, 1))]
    assert kinds == [torch.Tensor, torch.Tensor, ScratchTensor, torch.Tensor]
    assert run.holds(250) and not run.holds(251)
    assert (run.together(100), run.together(10**6)) == (2, 1)


def test_a_damaged_file_is_refused_before_its_rows_are_used(tmp_path: Path) -> None:
    path = tmp_path / "whole.safetensors"
    save_artifact(path, "weights", {"weights": TENSOR}, {})
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\0\0")
    with refused(path, "digest", "damaged"):
        open_artifact(path)
    path.write_bytes(content)
    opened = open_artifact(path).tensors["weights"]
    path.unlink()
    with refused(path, "deleted meanwhile"):
        opened[0]
