"""Splits FILE.gz per type with DuckDB: whole objects as raw JSON text, PARTITION_BY, zstd at its own level, one thread.

    duckdb_split.py FILE.gz POINTER DIR

One broken line fails the whole job, and lines are not kept in order, although preserve_insertion_order is set.
"""

import sys

import duckdb


def text(value):
    return "'" + value.replace("'", "''") + "'"


def main(file, pointer, folder):
    path = "$" + "".join(f'."{name}"' for name in pointer.strip("/").split("/"))
    database = duckdb.connect()
    database.execute("SET threads = 1; SET preserve_insertion_order = true")
    # 0x01 occurs in no valid JSON text, so the text is written as it is.
    database.execute(
        f"COPY (SELECT json ->> {text(path)} AS event, json"
        f" FROM read_ndjson_objects({text(file)}, maximum_object_size = 33554432))"
        f" TO {text(folder)} (FORMAT csv, PARTITION_BY (event), COMPRESSION zstd,"
        " HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01')"
    )


main(*sys.argv[1:])
