"""Splits FILE.gz per type with Polars: whole lines as a one-column CSV, partitioned sink, gzip level 1.

    polars_split.py FILE.gz POINTER DIR        (POLARS_MAX_THREADS=1 is set by the caller)

Validates nothing: a line without the key, or broken before it, goes to the null partition.
"""

import sys

import polars


def main(file, pointer, folder):
    path = "$." + ".".join(pointer.strip("/").split("/"))
    # 0x01 occurs in no valid JSON text, so a line is one field.
    lines = polars.scan_csv(
        file, has_header=False, separator="\x01", quote_char=None, new_columns=["line"], schema={"line": polars.String}
    )
    lines.with_columns(event=polars.col("line").str.json_path_match(path)).sink_csv(
        polars.PartitionBy(folder, key="event", include_key=False),
        include_header=False,
        quote_style="never",
        compression="gzip",
        compression_level=1,
        mkdir=True,
    )


main(*sys.argv[1:])
