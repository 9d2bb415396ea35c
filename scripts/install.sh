#!/bin/sh
# Installs what the lock file names, when that is not installed yet. Safe when several run at once.
set -eu
cd "$(dirname "$0")/.."

stamp=node_modules/.installed-package-lock.json
lock=.install.lock

is_installed() { cmp -s package-lock.json "$stamp" && node_modules/.bin/node --version >/dev/null 2>&1; }

is_installed && exit 0

command -v npm >/dev/null 2>&1 || {
  echo "rondo: npm is needed to install Rondo's packages and was not found; install Node 20 or later, then try again." >&2
  exit 1
}

# `mkdir` is the one test-and-set that every system has. The lock holds its owner's process id, so that the lock of
# a process that was killed can be told from one that works.
waited=0
until mkdir "$lock" 2>/dev/null; do
  owner=$(cat "$lock/pid" 2>/dev/null || echo)
  if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
    rm -rf "$lock"
    continue
  fi
  if [ "$waited" -eq 0 ]; then echo "rondo: waiting for another installation in this folder" >&2; fi
  waited=$((waited + 1))
  if [ "$waited" -gt 600 ]; then
    echo "rondo: another installation has held $lock for ten minutes; remove that folder if none is running." >&2
    exit 1
  fi
  sleep 1
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

is_installed && exit 0

echo "rondo: installing packages (npm ci)" >&2
npm ci --no-audit --no-fund --loglevel=error >&2 || {
  echo "rondo: npm ci failed; its reason stands above." >&2
  exit 1
}
sh scripts/linkNode.sh
version=$(node_modules/.bin/node --version 2>/dev/null || echo none)
case "$version" in
v26.*) ;;
*)
  echo "rondo: Rondo runs on Node 26, which npm brings as an optional package for Linux and macOS (x64, arm64)," >&2
  echo "rondo: but node_modules/.bin/node answers '$version' on $(uname -sm). Is npm told to omit optional packages?" >&2
  exit 1
  ;;
esac
cp package-lock.json "$stamp"
