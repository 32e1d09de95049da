"""Did a contender write every line, to the right type, as it was, in order?

    check.py FILE.gz POINTER DIR REFERENCE

Prints the finding in a few words. REFERENCE keeps what FILE.gz should become, for the next contender. A process of its
own, so that what it holds does not count in anybody's peak memory.
"""

import hashlib
import io
import os
import pathlib
import pickle
import re
import sys
import urllib.parse

try:
    from isal import igzip as gzip
    from orjson import loads
except ImportError:
    import gzip
    from json import loads

try:
    import zstandard
except ImportError:
    zstandard = None

LINEAGE = re.compile(rb'^\{"_lr":\{"s":"[0-9a-f]{32}","l":\d+\},?')


class Lines:
    """Lines of one type: how many, and hashes of them with and without their order."""

    def __init__(self):
        self.count = 0
        self.any_order = 0
        self.in_order = hashlib.blake2b(digest_size=16)

    def add(self, line):
        line = line.rstrip(b"\r\n")
        self.count += 1
        self.any_order += int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "little")
        self.in_order.update(line + b"\n")

    def result(self):
        return (self.count, self.any_order, self.in_order.hexdigest())


def settled(name):
    """One spelling for what file systems, partition schemes and the router make of a name."""
    words = re.sub("([a-z0-9])([A-Z])", r"\1_\2", urllib.parse.unquote_plus(name))
    return re.sub("[^0-9a-z]+", "_", words.lower()).strip("_")


def expected(file, pointer):
    """By type, what the file's lines are."""
    types = {}
    for line in gzip.open(file, "rb"):
        value = loads(line)
        for name in pointer.strip("/").split("/"):
            value = value[name]
        types.setdefault(settled(value), Lines()).add(line)
    return {name: lines.result() for name, lines in types.items()}


def type_of(path, folder):
    """The type that a file's name or folder states, in each contender's way."""
    parts = path.relative_to(folder).parts
    if parts[0] == "routed":
        return settled(parts[1])
    if len(parts) > 1:
        return settled(parts[0].partition("=")[2])
    return settled(parts[0].split(".")[0].removeprefix("part_"))


def opened(path):
    magic = open(path, "rb").read(4)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")
    if magic == b"\x28\xb5\x2f\xfd":
        if not zstandard:
            sys.exit("not checked: this Python has no zstandard")
        reader = zstandard.ZstdDecompressor().stream_reader(open(path, "rb"), read_across_frames=True)
        return io.BufferedReader(reader, 1 << 20)
    return open(path, "rb")


def written(folder):
    """By type, what was written, and how many records were kept aside."""
    types, aside = {}, 0
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = pathlib.Path(root, name)
            first = path.relative_to(folder).parts[0]
            if first == "seals":
                continue
            if first == "quarantine":
                aside += sum(1 for _ in opened(path))
                continue
            lines = types.setdefault(type_of(path, folder), Lines())
            for line in opened(path):
                lines.add(LINEAGE.sub(b"{", line, count=1))
    return {name: lines.result() for name, lines in types.items()}, aside


def finding(want, got, aside):
    missing = sum(want[name][0] - got.get(name, (0,))[0] for name in want)
    strange = sorted(set(got) - set(want))
    if strange or missing != aside:
        return f"WRONG: {missing} lines missing, {aside} kept aside, types that are not in the file: {strange[:3]}"
    note = f", {aside} quarantined" if aside else ""
    # A type that lost records to quarantine has other hashes and says nothing about the rest.
    whole = [name for name in want if want[name][0] == got[name][0]]
    if all(want[name] == got[name] for name in whole):
        return "same bytes, in order" + note
    if all(want[name][:2] == got[name][:2] for name in whole):
        return "same bytes, other order" + note
    return "same number of lines, other bytes" + note


def main(file, pointer, folder, reference):
    if not os.path.exists(reference):
        with open(reference, "wb") as kept:
            pickle.dump(expected(file, pointer), kept)
    with open(reference, "rb") as kept:
        want = pickle.load(kept)
    print(finding(want, *written(folder)))


main(*sys.argv[1:])
