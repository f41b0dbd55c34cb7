"""Ends a step of the workflow by SIGKILL at a given moment of its work.

A test puts this file on the path of a copied study as `sitecustomize`, which every Python process runs at its start,
and names a directory in STRIKES. A step takes from there the first strike that is meant for it, by its script and a
part of its command line, `NUMBER.json`:

    {"script": "train_fusion", "argument": "1.0", "moment": "half", "number": 7, "everybody": false}

It strikes when `moment` comes for that time: a way of writing a file (see `watch_files`), or the call of a function.
The moment "time" is `number` seconds after the start, or the end of the work if that comes first. With `everybody`
Snakemake and all its steps end too. A strike that has struck is renamed to `NUMBER.struck`.
"""

import json
import os
import signal
import stat
import sys
import tempfile
import threading
from pathlib import Path

OPENED, HALF, WHOLE, RENAMED, TIME = "opened", "half", "whole", "renamed", "time"


def strike_for(directory, script):
    """The first strike that is meant for this process, with its file; or nothing."""
    for path in sorted(directory.glob("*.json")):
        strike = json.loads(path.read_text())
        if strike["script"] == script and any(strike["argument"] in word for word in sys.orig_argv):
            return path, strike
    return None


def act(path, strike):
    """End this process, or everybody, now."""
    path.rename(path.with_suffix(".struck"))
    os.killpg(0, signal.SIGKILL) if strike["everybody"] else os.kill(os.getpid(), signal.SIGKILL)


def watch_files(path, strike):
    """Temporary file made; half of it written; all of it, but not yet in place; put in place."""
    moment, left = strike["moment"], strike["number"]
    mkstemp, fsync, replace = tempfile.mkstemp, os.fsync, os.replace

    def came():
        nonlocal left
        left -= 1
        return left == 0

    def mkstemp_and_strike(*arguments, **options):
        made = mkstemp(*arguments, **options)
        if moment == OPENED and came():
            act(path, strike)
        return made

    def strike_and_fsync(handle):
        size = os.fstat(handle).st_size
        if moment in (HALF, WHOLE) and stat.S_ISREG(os.fstat(handle).st_mode) and came():
            if moment == HALF:
                os.truncate(f"/proc/self/fd/{handle}", size // 2)
            act(path, strike)
        fsync(handle)

    def replace_and_strike(*arguments, **options):
        replace(*arguments, **options)
        if moment == RENAMED and came():
            act(path, strike)

    tempfile.mkstemp, os.fsync, os.replace = mkstemp_and_strike, strike_and_fsync, replace_and_strike


def watch_calls(path, strike):
    """The call of a function by its qualified name."""
    left = strike["number"]

    def profile(frame, event, _):
        nonlocal left
        if event == "call" and frame.f_code.co_qualname == strike["moment"]:
            left -= 1
            if left == 0:
                act(path, strike)

    sys.setprofile(profile)


def main():
    scripts = [Path(word).stem for word in sys.orig_argv[:2] if word.endswith(".py")]
    found = strike_for(Path(os.environ["STRIKES"]), scripts[0]) if scripts else None
    if found is None:
        return
    path, strike = found
    if strike["moment"] == TIME:
        threading.Timer(strike["number"], act, found).start()
    elif strike["moment"] in (OPENED, HALF, WHOLE, RENAMED):
        watch_files(path, strike)
    else:
        watch_calls(path, strike)


if "STRIKES" in os.environ:
    main()
