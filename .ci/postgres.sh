#!/usr/bin/env bash
# Exactly once, proven on a real PostgreSQL: the loader's transactions in every order of their statements. Elsewhere these
# tests are skipped where there is no PostgreSQL; here they must run. Installs it.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then
  root=()
  ((EUID == 0)) || root=(sudo)
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql
fi

export LOG_ROUTER_REQUIRE_POSTGRES=1
cargo test --package loader --lib --locked --quiet transaction::proof
