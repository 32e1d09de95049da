"""Who splits a log, and with which command."""

import os
import shutil
from dataclasses import dataclass, field

from harness.builds import BENCH

PEERS = BENCH / "peers"


@dataclass
class Contender:
    name: str
    command: object  # of a set and an output folder
    env: dict = field(default_factory=dict)
    slow: bool = False  # runs fewer times


class Contenders:
    """Those that can run here; `absent` says of the others why not."""

    def __init__(self, builds, with_floor=True, with_peers=True):
        self.builds = builds
        self.absent = {}
        self.all = []
        self._routers()
        if with_floor:
            self._floors()
        if with_peers:
            self._peers()

    def __contains__(self, name):
        return any(contender.name == name for contender in self.all)

    def named(self, name):
        return next(contender for contender in self.all if contender.name == name)

    def _routers(self):
        router = self.builds.router()
        self._router("router gzip:2", router, "--gzip-level", "2")
        self._router("router gzip:1", router, "--gzip-level", "1")
        self._router("router zstd:1", router, "--part-codec", "zstd", "--zstd-level", "1")
        self._router("router gzip:2, no lineage", router, "--gzip-level", "2", "--no-lineage")
        self._router("router gzip:2, no sketch", router, "--gzip-level", "2", "--no-sketch")
        if self.builds.no_isal:
            self.absent["router isal:1"] = self.builds.no_isal
        else:
            self._router("router isal:1", self.builds.router_isal(), "--gzip-level", "1")

    def _router(self, name, router, *options):
        def command(data, out):
            return [router, "split", data.file, "-o", out, "--event-type", data.pointer, *options]

        self.all.append(Contender(name, command))

    def _floors(self):
        floor = self.builds.floor()
        for codec in ("gzip:2", "gzip:1", "zstd:1", "isal:1"):
            if codec.startswith("isal") and self.builds.no_isal:
                self.absent[f"floor {codec}"] = self.builds.no_isal
                continue

            def command(data, out, codec=codec):
                return [floor, data.file, "-o", out, "--key", data.pointer, "--codec", codec]

            self.all.append(Contender(f"floor {codec}", command))

    def _peers(self):
        python = self.builds.python()
        scripts = {
            "orjson + isal:1": ("orjson_isal.py", {}),
            "ClickHouse gzip:1": ("clickhouse.py", {}),
            "Polars gzip:1": ("polars_split.py", {"POLARS_MAX_THREADS": "1"}),
            "DuckDB zstd": ("duckdb_split.py", {}),
        }
        for name, (script, env) in scripts.items():
            command = lambda data, out, script=script: [python, PEERS / script, data.file, data.pointer, out]
            self.all.append(Contender(name, command, env))
        for name, program, script in (("jq + awk, gzip:1", "jq", "jq_awk.sh"), ("Miller, gzip:1", "mlr", "miller.sh")):
            if not shutil.which(program):
                self.absent[name] = f"not installed: {program}"
                continue
            command = lambda data, out, script=script: [PEERS / script, data.file, data.pointer, out]
            self.all.append(Contender(name, command, slow=True))


def size_of(folder):
    return sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names)
