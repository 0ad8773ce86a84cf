"""Functions run in several processes that are as `torchrun` starts them, without the seconds that starting takes.

Processes are forked from one that has imported torch and the library once, and does nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.distributed import TCPStore

from weightcast.cli.errors import exit_on_input_error
from weightcast.core import processes as together
from weightcast.core.processes import Processes
from weightcast.core.run import Run

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["torch", "torch._dynamo", "pytest", "weightcast.runner", "weightcast.core.training"])
PATIENCE_SECONDS = 120


def side_by_side(function: Callable[..., None], *arguments: Any, count: int = 2, said: Path | None = None) -> list[int]:
    """Call a function of a test module in so many processes, ``function(processes, *arguments)``.

    Args:
        function: at the top of its module, since it travels by name.
        arguments: that travel as well.
        count: of the processes.
        said: a file for what they say on stderr, all of them.

    Returns:
        Their exit codes.
    """
    # As with torchrun, what they ask for is answered by whoever started them, and not by one of them.
    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    environment = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": store.port}
    environment |= {"MASTER_ADDR": "localhost", "TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_USE_AGENT_STORE": True}
    started = [
        _SERVER.Process(target=_begin, args=(environment | {"RANK": rank}, function, arguments, said))
        for rank in range(count)
    ]
    for one in started:
        one.start()
    for one in started:
        one.join(PATIENCE_SECONDS)
        if one.is_alive():  # a hang is a failure, and no reason to wait
            one.kill()
            one.join()
    return [int(one.exitcode or 0) for one in started]


def _begin(environment: dict[str, Any], function: Callable[..., None], arguments: Any, said: Path | None) -> None:
    os.environ.update({name: str(value) for name, value in environment.items()})
    if said is not None:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    together.GRACE_SECONDS = 0.2  # nobody here ends the others when one has failed
    processes = Processes.started()
    with exit_on_input_error(), processes.speaking():
        processes.meet(Run().device)
        function(processes, *arguments)
        processes.leave()
