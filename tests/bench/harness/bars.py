"""What the figures are held against."""

from dataclasses import dataclass


@dataclass
class Bar:
    """The CPU of one contender over that of another, on the same set in the same run."""

    what: str
    top: str
    bottom: str
    at_most: float = 0
    at_least: float = 0

    def row(self, data, costs, absent):
        for name in (self.top, self.bottom):
            if name not in costs:
                why = absent.get(name, "it failed")
                return unmeasured(self.what, data, why, self.at_most, self.at_least)
        ratio = costs[self.top].cpu / costs[self.bottom].cpu
        return factor(self.what, data, ratio, self.at_most, self.at_least)


def stated(at_most, at_least):
    return f"<= {at_most:.2f}x" if at_most else f">= {at_least:.2f}x"


def unmeasured(what, data, why, at_most=0, at_least=0):
    return (what, data, f"not measured: {why}", stated(at_most, at_least), "")


def factor(what, data, value, at_most=0, at_least=0):
    met = value <= at_most if at_most else value >= at_least
    return (what, data, f"{value:.2f}x", stated(at_most, at_least), "met" if met else "MISSED")


def peak(what, data, mib, at_most):
    return (what, data, f"{mib:.0f} MiB", f"<= {at_most} MiB", "met" if mib <= at_most else "MISSED")


CPU = [
    Bar("router / floor of its codecs, gzip 2", "router gzip:2", "floor gzip:2", at_most=1.30),
    Bar("router / floor of its codecs, gzip 1", "router gzip:1", "floor gzip:1", at_most=1.30),
    Bar("router / floor of its codecs, zstd 1", "router zstd:1", "floor zstd:1", at_most=1.30),
    Bar("router with feature isal / floor of ISA-L", "router isal:1", "floor isal:1", at_most=1.30),
    Bar("sketch on / off", "router gzip:2", "router gzip:2, no sketch", at_most=1.08),
    Bar("orjson + isal / router, gzip 2 (like ratio)", "orjson + isal:1", "router gzip:2", at_least=1.0),
    Bar("orjson + isal / router, zstd 1", "orjson + isal:1", "router zstd:1", at_least=1.45),
    Bar("orjson + isal / router with feature isal", "orjson + isal:1", "router isal:1", at_least=1.9),
    Bar("ClickHouse / router, both gzip 1", "ClickHouse gzip:1", "router gzip:1", at_least=1.4),
    Bar("Polars / router, both gzip 1", "Polars gzip:1", "router gzip:1", at_least=1.6),
    Bar("DuckDB / router, both zstd", "DuckDB zstd", "router zstd:1", at_least=2.1),
    Bar("jq + awk / router, both gzip 1", "jq + awk, gzip:1", "router gzip:1", at_least=9.0),
    Bar("Miller / router, both gzip 1", "Miller, gzip:1", "router gzip:1", at_least=14.0),
]

# CPU at 1,000 event types over 10.
TYPES_AT_MOST = 1.4
# One worker's time over that of two on two cores.
WORKERS_AT_LEAST = 1.8
# MiB.
PEAK_120_TYPES, PEAK_10000_TYPES, PEAK_LARGE = 64, 200, 64
