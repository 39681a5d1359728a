#!/usr/bin/env bash
# Libraries that README opens tables with and that the project does without, for tests. Half a minute, 300 MB.
#
#   tests/libraries/install.sh [PYTHON]     default: .venv/bin/python
set -euo pipefail

PYTHON=${1:-.venv/bin/python}
cd "$(dirname "$0")/../.."

"$PYTHON" -c 'import datasets, duckdb, polars' 2>/dev/null && exit 0
"$PYTHON" -m pip install --quiet datasets duckdb polars
