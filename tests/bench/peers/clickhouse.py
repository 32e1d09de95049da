"""Splits FILE.gz per type with ClickHouse (chdb): whole lines, only isValidJSON validates, gzip level 1, one thread.

    clickhouse.py FILE.gz POINTER DIR

Without isValidJSON a broken line is routed by whatever JSONExtractString makes of it.
"""

import pathlib
import sys

import chdb


def text(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main(file, pointer, folder):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    path = ", ".join(text(name) for name in pointer.strip("/").split("/"))
    # ClickHouse refuses partition names with spaces or slashes in them.
    event = f"replaceRegexpAll(JSONExtractString(line, {path}), '[^0-9A-Za-z]', '_')"
    target = text(f"{folder}/{{_partition_id}}.gz")
    chdb.query(
        f"INSERT INTO FUNCTION file({target}, LineAsString, 'line String', 'gzip')"
        f" PARTITION BY if(isValidJSON(line), {event}, 'invalid')"
        f" SELECT line FROM file({text(file)}, LineAsString, 'line String')"
        " SETTINGS max_threads = 1, max_insert_threads = 1, max_parsing_threads = 1,"
        " max_partitions_per_insert_block = 0, output_format_compression_level = 1"
    )


main(*sys.argv[1:])
