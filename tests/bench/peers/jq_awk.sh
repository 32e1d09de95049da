#!/usr/bin/env bash
# Splits FILE.gz per type with what every server has: jq reads, awk hands each line to its type's own gzip -1.
#
#     jq_awk.sh FILE.gz POINTER DIR
#
# jq writes every record anew: integers beyond 2^53 and decimals change, of duplicate keys one is left.
set -euo pipefail
file=$1 folder=$3
mkdir -p "$folder"
path=".\"${2#/}\""
path=${path//\//\".\"}
gzip -dc "$file" | jq -rc "(($path // \"invalid\") | tostring) + \"\t\" + tojson" | FOLDER=$folder awk '
  {
    tab = index($0, "\t")
    name = substr($0, 1, tab - 1)
    gsub(/[^0-9A-Za-z]/, "_", name)
    print substr($0, tab + 1) | ("gzip -1 > \"" ENVIRON["FOLDER"] "/" name ".gz\"")
  }'
