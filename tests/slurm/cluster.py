"""A Slurm cluster on one machine, for tests.

`cluster.py obstacle` says why there can be none here, if so; `cluster.py up DIRECTORY` and `cluster.py down DIRECTORY`
start and stop it; `cluster.py kill DIRECTORY NODE` is a power cut.

Six nodes on loopback, each of 8 CPUs, 64 GB and two pretended GPUs (twins of /dev/null, since Slurm wants devices), in
two partitions, with accounting; in the partition `long` a node has one job of 4 CPUs at a time. Nothing is enforced (no
cgroups), everything is allocated and recorded as on a real cluster. It needs root and Debian's packages slurm-wlm,
munge, slurmdbd and mariadb-server, and it lives in DIRECTORY alone, but for links in /etc/slurm: the jobs find the
configuration nowhere else.
"""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sbatch", "sacct")
DAEMONS = ("slurmd-*", "slurmctld", "slurmdbd", "mariadbd", "munged")
CONFIGURATION = ("slurm.conf", "gres.conf", "cgroup.conf")
SITE = Path("/etc/slurm")
PARTITIONS = {"gpu": "Nodes=node[1-2] Default=YES", "long": "Nodes=node[3-6] MaxCPUsPerNode=4"}
NODES = tuple(f"node{number}" for number in range(1, 7))
FIRST_PORT = 26817
WAIT_S = 60.0
QUIET: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
ENVIRONMENT = os.environ | {"PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"}

SLURM_CONF = """\
ClusterName=certifuse
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
AuthType=auth/munge
# How long a requeued job waits, besides.
AuthInfo=socket={root}/munge/socket,cred_expire=5
CryptoType=crypto/munge
MpiDefault=none
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={root}/task_prolog
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SchedulerParameters=sched_min_interval=200000,bf_interval=1,batch_sched_delay=0
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/pid/slurmctld
SlurmdPidFile={root}/pid/slurmd-%n
SlurmctldLogFile={root}/log/slurmctld
SlurmdLogFile={root}/log/slurmd-%n
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=600
KillWait=2
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting_port}
AccountingStoragePass={root}/munge/socket
AccountingStorageTRES=gres/gpu,gres/gpu:a100
AccountingStoreFlags=job_comment
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 Boards=1 SocketsPerBoard=1 "
    "CoresPerSocket=8 ThreadsPerCore=1 RealMemory=64000 Gres=gpu:a100:2 Feature=nvlink\n"
)
PARTITION = "PartitionName={name} {options} MaxTime=24:00:00 DefaultTime=00:30:00 State=UP\n"
GRES_CONF = "Name=gpu Type=a100 File={root}/gpu[0-1]\n"
SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo={root}/munge/socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounting_port}
SlurmUser=root
LogFile={root}/log/slurmdbd
PidFile={root}/pid/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=accounting
"""
# Every task leaves a line: what a job sees, in the words of its own environment.
TASK_PROLOG = """\
#!/bin/sh
echo "$SLURM_JOB_ID ${{SLURM_STEP_ID:-batch}} $SLURMD_NODENAME ${{CUDA_VISIBLE_DEVICES:-none}}" >> {root}/tasks
"""


def obstacle() -> str | None:
    """Why there can be no cluster here, or None."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=ENVIRONMENT["PATH"]) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: slurm-wlm munge slurmdbd mariadb-server)"
    if os.getuid() != 0:
        return "not root"
    link = SITE / CONFIGURATION[0]
    if link.exists() and not link.is_symlink():
        return f"{link}: this machine belongs to a cluster already"
    if link.is_symlink() and _process(link.readlink().parent / "pid" / "slurmctld"):
        return f"{link}: another test is using its cluster (`cluster.py down {link.readlink().parent}` ends it)"
    return None


def up(root: Path) -> None:
    """Start everything and wait until all nodes are idle."""
    for name in ("pid", "log", "state", "munge", "database", *(f"spool-{node}" for node in NODES)):
        (root / name).mkdir(parents=True)
    for path in (root, root / "munge"):
        path.chmod(0o755)
    for index in range(2):
        os.mknod(root / f"gpu{index}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    _configure(root)
    _start_munge(root)
    _start_accounting(root)
    _run("slurmctld")
    for node in NODES:
        _run("slurmd", "-N", node)
    _wait_for(lambda: _output("sinfo", "-h", "-N", "-o", "%T") == "idle\n" * len(NODES), "idle nodes")


def _configure(root: Path) -> None:
    values = {"root": root, "host": socket.gethostname().split(".")[0], "port": FIRST_PORT}
    values |= {"accounting_port": FIRST_PORT + 1, "database_port": FIRST_PORT + 2}
    slurm = SLURM_CONF.format(**values)
    for number, name in enumerate(NODES):
        slurm += NODE.format(**values | {"name": name, "port": FIRST_PORT + 10 + number})
    slurm += "".join(PARTITION.format(name=name, options=options) for name, options in PARTITIONS.items())
    texts = {"slurm.conf": slurm, "gres.conf": GRES_CONF.format(**values), "cgroup.conf": "CgroupPlugin=cgroup/v1\n"}
    texts |= {"slurmdbd.conf": SLURMDBD_CONF.format(**values), "task_prolog": TASK_PROLOG.format(**values)}
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "slurmdbd.conf").chmod(0o600)
    (root / "task_prolog").chmod(0o755)
    SITE.mkdir(exist_ok=True)
    for name in CONFIGURATION:
        (SITE / name).unlink(missing_ok=True)  # the link of a cluster that is no more; see `obstacle`
        (SITE / name).symlink_to(root / name)


def _start_munge(root: Path) -> None:
    key = root / "munge" / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    files = {"key": key, "socket": root / "munge/socket", "seed": root / "munge/seed"}
    files |= {"pid": root / "pid/munged", "log": root / "log/munged"}
    _run(
        "munged", "--force", *(f"--{name}{'' if name == 'socket' else '-file'}={file}" for name, file in files.items())
    )


def _start_accounting(root: Path) -> None:
    where, database = ("--no-defaults", "--user=root", f"--datadir={root}/database"), root / "database.socket"
    _run("mariadb-install-db", *where, "--skip-test-db", "--auth-root-authentication-method=normal")
    address = (f"--socket={database}", "--bind-address=127.0.0.1", f"--port={FIRST_PORT + 2}")
    sparing = ("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0")
    command = ["mariadbd", *where, *address, *sparing, f"--pid-file={root}/pid/mariadbd"]
    with (root / "log" / "mariadbd").open("w") as log:
        subprocess.Popen(command, env=ENVIRONMENT, **QUIET | {"stdout": log, "stderr": log}, start_new_session=True)
    client = ("mariadb", "--no-defaults", "-uroot", f"--socket={database}", "-e")
    _wait_for(lambda: _output(*client, "select 1") is not None, "the database")
    user = "slurm@'127.0.0.1'"
    _run(*client, f"create user {user} identified by 'slurm'; grant all on accounting.* to {user}")
    _run("slurmdbd", SLURM_CONF=str(root / "slurm.conf"))
    _wait_for(lambda: _output("sacctmgr", "-n", "show", "cluster") is not None, "slurmdbd")
    for entry in (("cluster", "certifuse"), ("account", "lab"), ("user", "root", "Account=lab")):
        _run("sacctmgr", "-n", "-i", "add", *entry)


def down(root: Path) -> None:
    """Kill everything that `up` started, by process number, and give /etc/slurm back."""
    for pattern in DAEMONS:  # the nodes first, so that no job starts any more
        for path in sorted((root / "pid").glob(pattern)):
            _kill(_process(path))
    for node in NODES:
        _kill(*_of_node(root, node))
    for name in CONFIGURATION:
        link = SITE / name
        if link.is_symlink() and link.readlink() == root / name:
            link.unlink()


def kill(root: Path, node: str) -> None:
    """A power cut: every process of a node ends at once, and the controller is told."""
    _kill(_process(root / "pid" / f"slurmd-{node}"), *_of_node(root, node))
    _run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power")


def _of_node(root: Path, node: str) -> list[int]:
    """The processes of a node's jobs: Slurm's own for each step, which keep the node's log open, then the tasks."""
    log, mark = root / "log" / f"slurmd-{node}", f"SLURMD_NODENAME={node}\0".encode()
    steps, tasks = [], []
    for process in (path for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            if (process / "comm").read_text().startswith("slurmstepd"):
                steps += [int(process.name)] if log in [fd.readlink() for fd in (process / "fd").iterdir()] else []
            elif mark in (process / "environ").read_bytes():
                tasks.append(int(process.name))
        except OSError:  # it is gone, or not ours
            continue
    return [*steps, *tasks]


def _process(pid_file: Path) -> int | None:
    """The daemon whose number is in the file, which is named after it; None unless it lives."""
    try:
        number = int(pid_file.read_text())
        name = Path(f"/proc/{number}/comm").read_text().strip()
    except (FileNotFoundError, ValueError):
        return None
    return number if pid_file.name.startswith(name) else None


def _kill(*processes: int | None) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            if process is not None:
                os.kill(process, signal.SIGKILL)


def _run(*command: str, **environment: str) -> None:
    done = subprocess.run(command, **QUIET, env=ENVIRONMENT | environment, timeout=WAIT_S)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stdout.decode()}{done.stderr.decode()}")


def _output(*command: str) -> str | None:
    """What a client says; None where it fails, or hangs, as some do while a daemon is not there."""
    done = subprocess.run(["timeout", "10", *command], **QUIET, env=ENVIRONMENT)
    return done.stdout.decode() if done.returncode == 0 else None


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"expected {what} within {WAIT_S:.0f} s; see the logs")
        time.sleep(0.1)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "obstacle":
        sys.stdout.write(obstacle() or "")
    else:
        root, *nodes = arguments
        {"up": up, "down": down, "kill": kill}[command](Path(root).resolve(), *nodes)
