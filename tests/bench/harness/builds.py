"""What is measured, built: the router of this clone, the floor, and the peers, all in the scratch folder."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parents[1]
CLONE = BENCH.parents[1]
# What the build script of ISA-L runs.
ISAL_TOOLS = ("nasm", "autoreconf", "make")


def say(text):
    print(text, file=sys.stderr, flush=True)


def quietly(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}")
    return done.stdout


def cargo_metadata():
    return json.loads(subprocess.check_output(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=CLONE))


class Builds:
    def __init__(self, scratch, profile, with_isal=True):
        self.scratch, self.profile = scratch, profile
        self.metadata = cargo_metadata()
        missing = [tool for tool in ISAL_TOOLS if not shutil.which(tool)]
        # Why nothing is built with ISA-L, if so.
        self.no_isal = "left out" if not with_isal else missing and f"not installed: {', '.join(missing)}"
        self._loader = self._sandbox = None
        self._router = self._router_isal = self._floor = self._python = None

    def _product(self, package, binary, name, *options):
        say(f"building {name} ...")
        how = ["--profile", self.profile, "--locked", "--quiet", *options]
        quietly(["cargo", "build", *how, "-p", package, "--bin", binary], cwd=CLONE)
        kept = self.scratch / name
        # A copy: the next build of other features overwrites cargo's.
        folder = "debug" if self.profile == "dev" else self.profile
        shutil.copy2(pathlib.Path(self.metadata["target_directory"], folder, binary), kept)
        return kept

    def router(self):
        self._router = self._router or self._product("router", "router", "router")
        return self._router

    def router_isal(self):
        self._router_isal = self._router_isal or self._product("router", "router", "router-isal", "--features", "isal")
        return self._router_isal

    def loader(self):
        self._loader = self._loader or self._product("loader", "loader", "loader")
        return self._loader

    def sandbox(self):
        self._sandbox = self._sandbox or self._product("sandbox", "sandbox", "sandbox")
        return self._sandbox

    def generate(self):
        return self._product("fixtures", "generate", "generate")

    def floor(self):
        if not self._floor:
            say("building the floor ...")
            target = self.scratch / "floor-target"
            features = [] if self.no_isal else ["--features", "isal"]
            manifest = BENCH / "floor" / "Cargo.toml"
            where = ["--manifest-path", manifest, "--target-dir", target]
            quietly(["cargo", "build", "--release", "--locked", "--quiet", *where, *features])
            self._floor = target / "release" / "floor"
        return self._floor

    def python(self):
        """A Python with the peers in it."""
        if not self._python:
            python = self.scratch / "venv" / "bin" / "python"
            if not python.exists():
                say("installing the peers ...")
                quietly([sys.executable, "-m", "venv", self.scratch / "venv"])
            wanted = BENCH / "peers" / "requirements.txt"
            quietly([python, "-m", "pip", "install", "--quiet", "--requirement", wanted])
            self._python = python
        return self._python


def version_of(program):
    if not shutil.which(program):
        return f"no {program}"
    return subprocess.check_output([program, "--version"], text=True).splitlines()[0]


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown CPU")
    commit = subprocess.check_output(["git", "describe", "--always", "--dirty"], cwd=CLONE, text=True).strip()
    versions = ", ".join(map(version_of, ("rustc", "jq", "mlr")))
    return f"{model}, {os.cpu_count()} cores; {versions}; commit {commit}"
