#!/bin/sh
# Makes the two functions. Needs a running `lambent serve`.
set -eu
here=$(dirname "$0")
"${LAMBENT:-lambent}" deploy "$here" --no-url --name fan-out-count --handler count.handler
"${LAMBENT:-lambent}" deploy "$here" --no-url --name fan-out --handler split.handler
