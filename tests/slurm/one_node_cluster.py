"""A real SLURM on this machine alone, unpacked from Debian's packages into a folder, beside whatever else is installed.

Nothing is installed: packages are downloaded and unpacked, and lists of packages, keys, sockets, state and logs lie in
the same folder. The commands of SLURM are small scripts there that say where all of it is; whoever has their folder in
PATH has a cluster of one node. Memory is enforced, so is time, and one GPU is made of /dev/null.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
COMMANDS = ("sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
DAEMONS = ("slurmd", "slurmctld", "munged")
"""In the order in which they are ended."""
CONFIGURED = ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf", "/etc/slurm-wlm/slurm.conf")
DOWNLOAD_SECONDS = 120
START_SECONDS = 30
END_SECONDS = 20

CONFIGURATION = """\
ClusterName=weightcast
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# Credentials expire soon, since a job that is preempted waits for that before it starts anew.
AuthInfo=socket={folder}/run/munge.socket,cred_expire=10
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
PluginDir={libraries}/slurm-wlm
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
# What the node has need not be what it says, so that small machines test as well.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
# Without control groups, which containers rarely have: memory is looked at every second, and what is over it is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
KillWait=10
MinJobAge=900
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 Gres=gpu:1
PartitionName=cpu Nodes={host} Default=YES MaxTime=60 PriorityTier=1
PartitionName=gpu Nodes={host} MaxTime=60 PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=60 PriorityTier=9
"""


class Unavailable(Exception):
    """No SLURM can be had here; the message says why."""


@dataclass(frozen=True)
class OneNodeCluster:
    """A cluster that is up.

    Attributes:
        folder: where all of it lies.
    """

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of commands that are to find the cluster."""
        return os.environ | {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def jobs(self) -> list[dict[str, str]]:
        """All jobs that there are or were, in the order of their numbers: what SLURM knows of each, as text."""
        columns = {
            "id": "%i", "state": "%T", "partition": "%P", "memory": "%m", "minutes": "%l", "comment": "%k",
        }  # fmt: skip
        lines = self.ask("squeue", "--states=all", "--noheader", f"--format={'|'.join(columns.values())}").splitlines()
        jobs = [dict(zip(columns, line.split("|"), strict=True)) for line in lines]
        return sorted(jobs, key=lambda job: int(job["id"]))

    def job_of(self, rule: str) -> dict[str, str] | None:
        """The job of a rule that runs, if one does."""
        running = [job for job in self.jobs() if job["state"] == "RUNNING"]
        return next((job for job in running if job["comment"].startswith(f"rule_{rule}")), None)


@contextmanager
def one_node_cluster(folder: Path) -> Iterator[OneNodeCluster]:
    """Bring a cluster up, and take it down.

    Args:
        folder: empty, of a short path without spaces: sockets and the configuration name files in it.

    Raises:
        Unavailable: there is a SLURM already, or none can be had here.
    """
    _refuse_where_there_is_one()
    unpacked = _unpacked(folder)
    try:
        _start(folder, unpacked)
        yield OneNodeCluster(folder)
    finally:
        _stop(folder)


def _refuse_where_there_is_one() -> None:
    found = [path for path in (os.environ.get("SLURM_CONF", ""), *CONFIGURED) if path and Path(path).exists()]
    found += [path for command in (*COMMANDS, *DAEMONS) if (path := shutil.which(command))]
    if found:
        raise Unavailable(f"there is a SLURM or munge here, which is left alone: {found[0]}")
    missing = [command for command in ("apt-get", "dpkg-deb") if shutil.which(command) is None]
    if missing:
        raise Unavailable(f"SLURM is taken from Debian's packages, and there is no {missing[0]} here")


def _unpacked(folder: Path) -> Path:
    """The packages and what they need and the machine lacks, downloaded and unpacked into a folder."""
    packages, root = folder / "packages", folder / "root"
    for part in ("lists/partial", "cache/archives/partial"):
        (packages / part).mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::State::Lists={packages}/lists", "-o", f"Dir::Cache={packages}/cache"]
    apt += ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    _run([*apt, "update"], packages)
    planned = _run([*apt, "--simulate", "install", "--no-install-recommends", *PACKAGES], packages)
    wanted = [line.split() for line in planned.splitlines() if line.startswith("Inst ")]
    _run([*apt, "download", *(f"{words[1]}={words[2].lstrip('(')}" for words in wanted)], packages)
    for package in packages.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(package), str(root)], packages)
    for daemon in ("slurmctld", "slurmd", "slurmstepd"):  # they ask for their own names to know what they are
        (root / "usr/sbin" / daemon).symlink_to(f"{daemon}-wlm")
    return root


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=DOWNLOAD_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{shlex.join(command[-2:])} took longer than {DOWNLOAD_SECONDS} s") from None
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise Unavailable(f"packages cannot be had: {said[-1].strip() if said else shlex.join(command)}")
    return done.stdout


def _start(folder: Path, root: Path) -> None:
    for name in ("bin", "log", "run", "secret", "spool", "state"):
        (folder / name).mkdir()
    (folder / "secret").chmod(0o700)
    (libraries,) = (path.parent.parent for path in root.glob("usr/lib/*/slurm-wlm/libslurmfull.so"))
    key = folder / "secret/key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    host, (controller_port, node_port) = socket.gethostname().partition(".")[0], _free_ports(2)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            host=host, controller_port=controller_port, node_port=node_port, user=_user(), folder=folder,
            libraries=libraries,
        )
    )  # fmt: skip
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    variables = {
        "SLURM_CONF": str(configuration),
        "LD_LIBRARY_PATH": f"{libraries}:{libraries / 'slurm-wlm'}",
    }
    for command in COMMANDS:  # Snakemake's job steps drop variables of SLURM, so the commands bring them
        said = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        script = folder / "bin" / command
        script.write_text("\n".join(["#!/bin/sh", *said, f'exec {root}/usr/bin/{command} "$@"', ""]))
        script.chmod(0o755)
    sbin = root / "usr/sbin"
    run, log = folder / "run", folder / "log"
    daemons = [
        [
            "munged", "--force", f"--socket={run}/munge.socket", f"--key-file={key}", f"--log-file={log}/munged.log",
            f"--pid-file={run}/munged.pid", f"--seed-file={folder}/secret/seed",
        ],
        ["slurmctld", "-f", str(configuration)],
        ["slurmd", "-f", str(configuration), "-d", str(sbin / "slurmstepd")],
    ]  # fmt: skip
    # What jobs see of the environment they get from whoever submits them, not from the daemons.
    for name, *arguments in daemons:
        done = subprocess.run(
            [sbin / name, *arguments],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}{_logs(folder)}"
    cluster, deadline = OneNodeCluster(folder), time.monotonic() + START_SECONDS
    state = ""
    while state != "idle":
        assert time.monotonic() < deadline, f"the node is {state or 'not there'}\n{_logs(folder)}"
        time.sleep(0.5)
        done = subprocess.run(
            ["sinfo", "--noheader", "--partition=cpu", "--format=%t"], env=cluster.environment, capture_output=True,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        state = done.stdout.strip()


def _stop(folder: Path) -> None:
    """End jobs, then daemons, and whatever of the unpacked programs is left."""
    if (folder / "bin/scancel").exists():
        cluster = OneNodeCluster(folder)
        command = ["scancel", "--full", "--signal=KILL", f"--user={_user()}"]
        subprocess.run(command, env=cluster.environment, capture_output=True, check=False, timeout=60)
    for daemon in DAEMONS:
        pid = folder / f"run/{daemon}.pid"
        number = pid.read_text().strip() if pid.is_file() else ""
        if number.isdigit() and int(number) in processes_in(folder):
            os.kill(int(number), signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while left := processes_in(folder):
        if time.monotonic() > deadline:
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.2)


def processes_in(folder: Path) -> list[int]:
    """Processes whose program lies in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "exe").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _logs(folder: Path) -> str:
    return "\n".join(f"{log.name}:\n{log.read_text()[-1500:]}" for log in sorted((folder / "log").glob("*.log")))
