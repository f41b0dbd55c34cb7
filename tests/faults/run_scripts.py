"""Run many scripts of the workflow, each in a process of its own that need not import torch again.

Reads JSON from standard input: a list of {"script", "arguments", "directory"}, and where a script may only take so much
{"limit_s", "limit_bytes"}. The output of each goes to `stdout` and `stderr` in its directory; the list of the exit
statuses goes to standard output: that of a script that was ended is the negative number of the signal.
"""

import json
import os
import resource
import runpy
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

PATIENCE = 6
"""Seconds of the clock for one of the processor."""


def status_of(run: dict[str, Any]) -> int:
    """The exit status of one script, as a shell would see it."""
    child = os.fork()
    if child == 0:
        os.chdir(run["directory"])
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), descriptor)
        sys.argv = [run["script"], *run["arguments"]]
        limit(run)
        status = ran(run["script"])
        sys.stdout.flush()
        os._exit(status)  # the usual way out takes a second to take torch apart
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def limit(run: dict[str, Any]) -> None:
    """Let this process take so many seconds of a processor, and so much more memory than it has now.

    One that waits for nothing is ended too, later, since others may use the machine.
    """
    if "limit_s" in run:
        resource.setrlimit(resource.RLIMIT_CPU, (run["limit_s"],) * 2)
        signal.alarm(PATIENCE * run["limit_s"])
    if "limit_bytes" in run:
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + run["limit_bytes"],) * 2)


def ran(script: str) -> int:
    """Run a script to its end; the status that it asks for, or 1 after a traceback."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    statuses = [status_of(run) for run in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(statuses))
