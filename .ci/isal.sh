#!/usr/bin/env bash
# The router with the optional feature `isal`: everything its own tests hold the default build to, and that both builds
# read the same of every file. Installs what building ISA-L needs.
set -euo pipefail
cd "$(dirname "$0")/.."

needed=(nasm autoconf automake libtool)
missing=()
for package in "${needed[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  root=()
  ((EUID == 0)) || root=(sudo)
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

cargo fmt --manifest-path router/isal/Cargo.toml --check
cargo clippy --package router --features isal --all-targets --locked --quiet -- -D warnings
cargo test --package router --features isal --locked --quiet
