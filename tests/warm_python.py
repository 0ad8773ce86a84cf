"""A Python that has imported torch, Snakemake and their like already, for the many small studies that tests run.

Half of the time of a mini study is its jobs importing libraries, two seconds of a core each, and half of the time of a
dry run is Snakemake importing its own. Here one process imports them once and forks for every job: ``python``, as the
workflow's rules call it, is then a small program that hands its arguments, folder, environment and open files over, and
waits; called with ``-m snakemake`` it does the same. The job's own code, and all of weightcast, is imported by
the job, from the copy of the repository that it runs in. Tests of what happens to processes start them as users do
(``Checkout.environment`` has no warm Python in it), and so does one mini study the first job of each stage.

Run as a program: ``python warm_python.py SOCKET``, an open one, by its number, serves until standard input is closed.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import runpy
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

SCRIPT = "run_stage.py"
# Third-party modules that stages import, torch._dynamo with the first step of an optimiser; one that is absent, as an
# extra may be, is left to the job.
LIBRARIES = (
    "jinja2", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib.figure", "netCDF4",
    "ot", "pandas", "pydantic", "pysindy", "safetensors.torch", "scipy.integrate", "scipy.interpolate",
    "scipy.optimize", "scipy.spatial.distance", "scipy.stats", "sklearn.decomposition", "sklearn.ensemble",
    "sklearn.gaussian_process", "sklearn.manifold", "sklearn.mixture", "sklearn.model_selection", "snakemake.cli",
    "torch", "torch._dynamo", "torchcde", "torchdiffeq", "torchmetrics.functional.image", "xarray",
)  # fmt: skip
# What libraries read when they are imported: jobs for which these are others start on their own. Snakemake reads none.
READ_AT_IMPORT = ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "PYTHONHASHSEED", "VIRTUAL_ENV")

# In the place of python. -I and -S: what it needs is here, and it is to start in hundredths of a second.
CLIENT = """#!{python} -IS
import json, os, socket, sys
REAL, MARKS = {python!r}, {marks!r}
def start_on_its_own():
    os.execv(REAL, ["python", *sys.argv[1:]])
workflow = sys.argv[1:3] == ["-m", "snakemake"]
alone = len(sys.argv) == 3 or sys.argv[3:] == ["--processes", "1"]  # several are started by the first of them
if not workflow and not (alone and sys.argv[1].endswith({script!r})):
    start_on_its_own()
if MARKS is not None and not workflow:
    try:
        os.close(os.open(os.path.join(MARKS, json.loads(sys.argv[2])["stage"]), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        pass
    else:
        start_on_its_own()
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect({address!r})
except OSError:
    start_on_its_own()
told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(connection, [len(told).to_bytes(8, "big")], [0, 1, 2])
connection.sendall(told)
answer = connection.recv(1)
if not answer:
    start_on_its_own()
sys.exit(answer[0])
"""


class Client(NamedTuple):
    """What stands in the place of Python.

    Attributes:
        python: the program.
        environment: of commands whose jobs are to go to the server.
    """

    python: str
    environment: dict[str, str]


class WarmPython:
    """The server.

    Args:
        folder: of its own files.
        environment: of its own, beside this process's.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._address = str(folder / "socket")
        listener = socket.socket(socket.AF_UNIX)  # so that jobs wait while the server still imports
        listener.bind(self._address)
        listener.listen(64)
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            env={"OMP_WAIT_POLICY": "PASSIVE"} | os.environ | dict(environment or {}) | one_thread,
            stdin=subprocess.PIPE,
        )
        listener.close()
        atexit.register(self.stop)

    def client(self, folder: Path, first_alone: bool = False) -> Client:
        """A program for this server.

        Args:
            folder: where it is written.
            first_alone: the first job of each stage starts on its own, as users' jobs do.
        """
        client, marks = folder / "python", folder / "began"
        marks.mkdir()
        told = {"python": sys.executable, "script": SCRIPT, "address": self._address}
        client.write_text(CLIENT.format(**told, marks=str(marks) if first_alone else None))
        client.chmod(0o755)
        # Rules put the Python that runs Snakemake in front of PATH. A function of the shell goes before that.
        shell = folder / "shell"
        shell.write_text(f'python() {{ {shlex.quote(str(client))} "$@"; }}\n')
        return Client(str(client), {"BASH_ENV": str(shell)})

    def stop(self) -> None:
        """Ends the server, and the jobs that it may still run."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


def serve(listener: socket.socket) -> None:
    """Forks for each job that is handed over at a socket until standard input ends."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    ended, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ready = selectors.DefaultSelector()
    for source in (sys.stdin.buffer, ended, listener):
        ready.register(source, selectors.EVENT_READ)
    running: dict[int, socket.socket] = {}
    while True:
        for key, _ in ready.select():
            if key.fileobj is sys.stdin.buffer:
                for process in running:
                    os.kill(process, signal.SIGKILL)
                return
            if key.fileobj is listener:
                connection, _ = listener.accept()
                if (process := _start(connection)) is None:
                    connection.close()  # unanswered: the client starts the job on its own
                else:
                    running[process] = connection
                    ready.register(connection, selectors.EVENT_READ, process)
            elif key.fileobj == ended:
                os.read(ended, 4096)
                for process in list(running):
                    found, status = os.waitpid(process, os.WNOHANG)
                    if found:
                        connection = running.pop(process)
                        ready.unregister(connection)
                        code = os.waitstatus_to_exitcode(status)
                        with contextlib.suppress(OSError), connection:
                            connection.sendall(bytes([code if code >= 0 else 128 - code]))
            elif key.data in running:  # whoever waited for the job is gone
                ready.unregister(key.fileobj)
                os.kill(key.data, signal.SIGKILL)


def _start(connection: socket.socket) -> int | None:
    """The process of a job; None where it must start on its own."""
    length, files, _, _ = socket.recv_fds(connection, 8, 3)
    told = b""
    while len(told) < int.from_bytes(length, "big"):
        told += connection.recv(1 << 20)
    arguments, folder, environment = json.loads(told)
    others = [name for name in READ_AT_IMPORT if environment.get(name) != os.environ.get(name)]
    if others and arguments[0] != "-m":
        process = None
    elif not (process := os.fork()):
        _become(arguments, folder, environment, files)
    for file in files:
        os.close(file)
    return process


def _become(arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, 1024)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    own = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    is_module = arguments[0] == "-m"
    first = folder if is_module else str(Path(arguments[0]).resolve().parent)
    sys.path[:1] = [first, *own]  # in the place of this file's folder
    code = 1
    try:
        if is_module:
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as stopped:
        code = _code_of(stopped)
    except BaseException:  # as the interpreter would say it
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _code_of(stopped: SystemExit) -> int:
    if stopped.code is None or isinstance(stopped.code, int):
        return stopped.code or 0
    print(stopped.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)  # there is nothing to put away, which would take as long as a job
