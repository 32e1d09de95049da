"""The logs that are split."""

import gzip
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.builds import CLONE, quietly, say

# A generator of two larger kinds of log, where it is checked out beside the clone.
GENERATOR = CLONE.parent / "shared" / "bench" / "gen.py"
UNIFORM = Path(__file__).with_name("uniform.py")
# Of the shop's log, decompressed, with its default seed.
SHOP_LINE_BYTES = 414


@dataclass
class Set:
    name: str
    file: Path
    pointer: str
    bytes: int  # decompressed


def size_of(file):
    with gzip.open(file) as stream:
        return sum(map(len, iter(lambda: stream.read(1 << 20), b"")))


class Sets:
    def __init__(self, folder, mib, builds):
        self.folder, self.mib, self.builds = folder, mib, builds

    def _made(self, name, pointer, make, mib=None):
        """The set, from an earlier run if its file is there."""
        file = self.folder / f"{name}-{mib or self.mib}.json.gz"
        if not file.exists():
            say(f"making the set {name} ...")
            unfinished = file.with_suffix(".unfinished.gz")
            make(unfinished)
            unfinished.rename(file)
        return Set(name, file, pointer, size_of(file))

    def named(self, name):
        """One of `gh`, `pa` and `shop`, or None where its generator is missing."""
        if name == "shop":
            lines = str((self.mib << 20) // SHOP_LINE_BYTES)
            make = lambda file: quietly([self.builds.generate(), "shop", "--lines", lines, "--output", file])
            return self._made("shop", "/event", make)
        pointer = {"gh": "/type", "pa": "/event"}[name]
        generate = [sys.executable, GENERATOR, name]
        there = (self.folder / f"{name}-{self.mib}.json.gz").exists() or GENERATOR.exists()
        return self._made(name, pointer, lambda file: quietly([*generate, file, str(self.mib)])) if there else None

    def uniform(self, types):
        """A log of so many types, all equally frequent."""
        command = [sys.executable, UNIFORM, str(types), str(self.mib)]
        return self._made(f"uniform{types}", "/event", lambda file: quietly([*command, file]))

    def given(self, file, pointer):
        return Set(file.name.split(".")[0], file, pointer, size_of(file))


def repeated(data, gigabytes):
    """A command that writes the set's file again and again, and how many bytes that is once decompressed: gzip
    members may follow one another."""
    times = -(-gigabytes * 10**9 // data.bytes)
    return ["bash", "-c", f'for _ in $(seq {times}); do cat "$0"; done', data.file], times * data.bytes
