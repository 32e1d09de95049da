"""What running a command costs."""

import os
import subprocess
import time
from dataclasses import dataclass


class Failed(Exception):
    """The command did not end well; the text says which and what it printed."""


@dataclass
class Cost:
    cpu: float  # seconds, user and system, of the command and all its children
    wall: float
    peak: float  # MiB, of its largest process


def run(command, cores, log, env=None, feed=None):
    """Runs `command` on the given cores only.

    `feed` is a command whose output becomes its standard input; that one's own cost is not counted. A peak
    below that of this process (some 15 MiB) cannot be told: fork passes it on.
    """
    feeder = feed and subprocess.Popen(feed, stdout=subprocess.PIPE)
    with open(log, "wb") as output:
        started = time.monotonic()
        child = subprocess.Popen(
            command,
            stdin=feeder.stdout if feeder else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        if feeder:
            feeder.stdout.close()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - started
    if feeder:
        feeder.wait()
    if child.returncode != 0:
        with open(log, errors="replace") as text:
            raise Failed(f"{' '.join(map(str, command))} failed ({child.returncode}): {text.read()[-400:].strip()}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def least(costs):
    """The least CPU and wall of several runs, and the largest peak."""
    return Cost(min(c.cpu for c in costs), min(c.wall for c in costs), max(c.peak for c in costs))
