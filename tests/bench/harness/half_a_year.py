"""How long six months of logs take, worked out from what was measured. Nothing here is measured."""

DAYS = 183
GB_A_DAY = 50  # of JSON, decompressed
TASKS, CORES = 10, 2

# docs/configuration.md
FLUSH_PARTS, FLUSH_MB, LOADER_WORKERS = 1_000, 4_295, 4
# The small warehouse that "Batching, simulated" of docs/performance.md assumes: seconds a load, and a MB of JSON.
LOAD_SECONDS, MB_SECONDS = 0.7 + 1.15 + 0.617, 0.010


def fit(few_large, many_small):
    """CPU seconds of a MB and of an object, from two measurements of (objects, MB, CPU seconds)."""
    (objects, megabytes, cpu), (other_objects, other_megabytes, other_cpu) = few_large, many_small
    scale = objects * other_megabytes - other_objects * megabytes
    per_object = (cpu * other_megabytes - other_cpu * megabytes) / scale
    return (cpu - objects * per_object) / megabytes, per_object


def table(per_mb, per_object, events):
    """Rows of what the whole takes, for large objects and for those of a delivery stream."""
    megabytes = DAYS * GB_A_DAY * 1_000
    rows = []
    for name, size in (("100 MB objects", 100), ("5 MB objects (Firehose)", 5)):
        objects = megabytes / size
        cpu = megabytes * per_mb + objects * per_object
        parts = objects * events
        loads = max(parts / FLUSH_PARTS, megabytes / FLUSH_MB)
        loading = (loads * LOAD_SECONDS + megabytes * MB_SECONDS) / LOADER_WORKERS
        rows.append(
            (
                name,
                f"{objects:,.0f}",
                f"{cpu / 3600:.1f} h",
                f"{cpu / 3600 / TASKS / CORES:.1f} h",
                f"{parts:,.0f}",
                # One GET, its parts, the seal and two entries of indexes.
                f"{objects:,.0f} + {objects * (events + 3):,.0f}",
                f"{loads:,.0f}",
                f"{loading / 3600:.1f} h",
            )
        )
    return rows


HEADER = ("", "objects", "CPU", f"{TASKS} tasks", "parts", "GET + PUT", "COPYs", "loading")


def explained(per_mb, per_object, events):
    return (
        f"{DAYS} days of {GB_A_DAY} GB of JSON; {per_mb * 1e3:.2f} ms of CPU a MB and {per_object * 1e3:.2f} ms an object"
        f" of {events} event types, as fitted to the two sets above; {TASKS} router tasks with {CORES} cores each, kept busy"
        f" (`router.objects_in_flight` covers the waiting for S3). TLS is not in it, quarantine objects are not. A COPY takes"
        f" {FLUSH_PARTS:,} parts or 4 GiB; loading is {LOADER_WORKERS} workers on the small warehouse assumed in *Batching,"
        " simulated*, nothing of the commit budget kept for live loads, and begins with the routing."
    )
