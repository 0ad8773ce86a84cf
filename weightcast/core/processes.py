"""The processes of a job that train one thing together: which of them this one is, and what they tell each other.

They are started by ``torchrun``, or by :mod:`weightcast.core.launch`, which does the same, all on one machine. What
they tell each other goes through ``torch.distributed``: gloo between CPUs, NCCL between GPUs. They send tensors, and
JSON as bytes; nothing is unpickled.

Only light modules are imported: stages that compute nothing with torch do not wait for it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from weightcast.core.errors import InputError
from weightcast.core.interruption import asked, say_only_if
from weightcast.core.share import Share

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.distributed import Work

BUCKET_BYTES = 25 * 2**20
"""Small tensors are sent together, in messages of at most so many bytes, as DistributedDataParallel does by default."""
SMALL_BYTES = 2**20
"""Tensors below are small."""
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: one of them may be writing a state or compiling, at most."""
ASKING = timedelta(seconds=10)
"""How long it waits for an answer of whoever started it."""
GRACE_SECONDS = 5.0
"""After which a process that has lost the others says so itself: whoever started them ends it sooner than that."""
_FAILED = "weightcast/failed"


class OthersGone(Exception):
    """Another process ended while this one was waiting for it."""


@dataclass(frozen=True)
class Processes:
    """One process among those of its job; ``Processes()`` is alone, and all that it says is said to nobody.

    Attributes:
        rank: its number, from 0; that one leads: it alone writes files and says something.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def started(cls, environment: Mapping[str, str] = os.environ) -> Processes:
        """This process as its starter says.

        Raises:
            InputError: processes are spread over several machines.
        """
        if "TORCHELASTIC_RUN_ID" not in environment:  # RANK alone may be of something else, a batch system's
            return cls()
        rank, count = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        here = int(environment["LOCAL_WORLD_SIZE"])
        if here != count:
            raise InputError(
                f"processes: found {count}, of which {here} on this machine, expected all on one: torchrun --standalone"
            )
        return cls(rank, count)

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes files and says something."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.count == 1

    def share(self, rows: int) -> Share:
        """This process's part of so many rows.

        Raises:
            InputError: there are fewer rows than processes.
        """
        if rows < self.count:
            raise InputError(f"--processes: found {self.count}, expected at most {rows}: a step has no more to share")
        return Share.of(rows, self.rank, self.count)

    def meet(self, device: torch.device) -> None:
        """Find the others; what they compute with lies on devices of this kind."""
        if self.alone:
            return
        import torch
        from torch import distributed

        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        with _others():
            distributed.init_process_group(backend, timeout=PATIENCE)

    def leave(self) -> None:
        """End what :meth:`meet` began, once all have come here."""
        if not self.alone:
            from torch import distributed

            self.wait()
            distributed.destroy_process_group()

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Add each tensor up over the processes, in place; all have the same sums after it, to the bit.

        Large tensors are sent as they are, small ones together. All are on their way at once.
        """
        if self.alone:
            return
        import torch
        from torch import distributed

        large = [tensor for tensor in tensors if _is_sent_as_it_is(tensor)]
        buckets = _buckets([tensor for tensor in tensors if not _is_sent_as_it_is(tensor)])
        flat = [torch.cat([tensor.reshape(-1) for tensor in bucket]) for bucket in buckets]
        with _others():
            works: list[Work | None] = [distributed.all_reduce(one, async_op=True) for one in (*large, *flat)]
            for work in works:
                assert work is not None  # this process is one of the group
                work.wait()
        for bucket, sums in zip(buckets, flat, strict=True):
            parts = sums.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.reshape(tensor.shape))

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Give all processes the first one's numbers, in place."""
        if self.alone:
            return
        from torch import distributed

        with _others():
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def agreed(self, value: Any) -> Any:
        """The first process's value, of those that JSON can hold, in all processes."""
        if self.alone:
            return value
        import torch

        content = json.dumps(value).encode() if self.leads else b""
        size = torch.tensor([len(content)])
        self.copy([size])
        sent = torch.frombuffer(bytearray(content), dtype=torch.uint8) if self.leads else _bytes(int(size))
        self.copy([sent])
        return json.loads(bytes(sent.tolist()))

    def joined(self, part: Tensor, rows: int, axis: int = 0) -> Tensor:
        """Put the shares of all one after the other, on the CPU, in the first process; the others get what they have.

        Args:
            part: this process's share.
            rows: of all shares together.
            axis: along which they were shared.
        """
        if self.alone:
            return part
        import torch
        from torch import distributed

        own = part.detach().movedim(axis, 0).cpu().contiguous()
        own = own.byte() if part.dtype == torch.bool else own  # which gloo does not send
        with _others():
            if not self.leads:
                distributed.send(own, 0)
                return part
            parts = [own]
            for rank in range(1, self.count):
                parts.append(own.new_empty(len(Share.of(rows, rank, self.count)), *own.shape[1:]))
                distributed.recv(parts[-1], rank)
        return torch.cat(parts).movedim(0, axis).to(part.dtype)

    def listed(self, own: Sequence[Any]) -> list[Any]:
        """Put the entries of all one after the other, in the first process; the others get their own.

        Args:
            own: of this process, of what JSON can hold.
        """
        if self.alone:
            return list(own)
        import torch
        from torch import distributed

        content = torch.frombuffer(bytearray(json.dumps(list(own)).encode()), dtype=torch.uint8)
        size = torch.tensor([len(content)])
        with _others():
            if not self.leads:
                distributed.send(size, 0)
                distributed.send(content, 0)
                return list(own)
            entries = list(own)
            for rank in range(1, self.count):
                distributed.recv(size, rank)
                sent = _bytes(int(size))
                distributed.recv(sent, rank)
                entries += json.loads(bytes(sent.tolist()))
        return entries

    def least(self, number: int) -> int:
        """The least of the processes' numbers."""
        if self.alone:
            return number
        import torch
        from torch import distributed

        found = torch.tensor([number])
        with _others():
            distributed.all_reduce(found, distributed.ReduceOp.MIN)
        return int(found)

    def wait(self) -> None:
        """Until all have come here."""
        self.least(0)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Within the block the first process alone says something, and of an error whoever meets it first.

        The others end without a word, and a process that finds the others gone lets itself be ended: one error is one
        line, or one traceback, whatever the number of processes.
        """
        if self.alone:
            yield
            return
        try:
            with _quiet(not self.leads), say_only_if(lambda: not _has_failed()):
                yield
        except OthersGone as error:
            _let_be_ended(self, str(error))
        except Exception:
            if not _is_first_to_fail():
                raise SystemExit(1) from None
            if not self.leads:
                print(file=sys.stderr)  # the first one's line may not have been over
            raise


def _is_sent_as_it_is(tensor: Tensor) -> bool:
    return tensor.nbytes >= SMALL_BYTES and tensor.is_contiguous()


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors by type and device, of at most ``BUCKET_BYTES`` together."""
    buckets: list[list[Tensor]] = []
    fill: dict[tuple[Any, Any], tuple[list[Tensor], int]] = {}
    for tensor in tensors:
        kind = (tensor.dtype, tensor.device)
        bucket, used = fill.get(kind, ([], BUCKET_BYTES))
        if used + tensor.nbytes > BUCKET_BYTES:
            bucket, used = [], 0
            buckets.append(bucket)
        bucket.append(tensor)
        fill[kind] = (bucket, used + tensor.nbytes)
    return buckets


def _bytes(count: int) -> Tensor:
    import torch

    return torch.empty(count, dtype=torch.uint8)


@contextmanager
def _others() -> Iterator[None]:
    """Within the block an error of what is sent and received means that others are gone."""
    try:
        yield
    except RuntimeError as error:  # gloo and the store raise plain ones, torch's own are of this type, too
        raise OthersGone(str(error).partition("\n")[0]) from error


def _count_failed(further: int) -> int | None:
    """How many processes have failed, so many more included; None where their starter, who counts, is gone."""
    from torch.distributed import TCPStore

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        return int(TCPStore(address, port, is_master=False, timeout=ASKING).add(_FAILED, further))
    except RuntimeError:
        return None


def _is_first_to_fail() -> bool:
    return _count_failed(1) in (1, None)


def _has_failed() -> bool:
    return bool(_count_failed(0))


def _let_be_ended(processes: Processes, why: str) -> NoReturn:
    """End, now that others are gone; whoever is at fault says why, and only if nobody does, this process."""
    if asked():  # by whoever started the processes, who has seen it, too
        raise SystemExit(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    time.sleep(GRACE_SECONDS)
    if _is_first_to_fail():
        raise InputError(f"process {processes.rank} of {processes.count} lost touch with the others ({why})")
    raise SystemExit(1)


@contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    if not quiet:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        yield
