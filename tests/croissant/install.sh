#!/usr/bin/env bash
# Readers of a published dataset, in an environment of their own: mlcroissant, and datasets. Half a minute, 400 MB.
#
#   tests/croissant/install.sh [FOLDER]     default: $OMR_TEST_CROISSANT, or omr_kedro/croissant in the user's cache folder
set -euo pipefail

FOLDER=${1:-${OMR_TEST_CROISSANT:-${XDG_CACHE_HOME:-$HOME/.cache}/omr_kedro/croissant}}

# Written last, so that an installation that was broken off is begun again.
[ -e "$FOLDER/complete" ] && exit 0
python3 -m venv --clear "$FOLDER"
"$FOLDER/bin/python" -m pip install --quiet "mlcroissant>=1.1,<2" "datasets>=4"
touch "$FOLDER/complete"
