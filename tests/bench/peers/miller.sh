#!/usr/bin/env bash
# Splits FILE.gz per type with Miller's own verb for it, then gzip -1.
#
#     miller.sh FILE.gz POINTER DIR        (a key at the top of the record only)
#
# Miller writes every record anew: other spacing, large integers change, of duplicate keys one is left.
set -euo pipefail
file=$(realpath "$1") pointer=$2 folder=$3
mkdir -p "$folder"
cd "$folder"
mlr --gzin --ijsonl --ojsonl split -g "${pointer#/}" --prefix part "$file"
gzip -1 part_*
