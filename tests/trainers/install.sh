#!/usr/bin/env bash
# TRL and datasets without a GPU, for tests that load the published dataset as trainers do. A minute and 1.5 GB.
#
#   tests/trainers/install.sh [FOLDER]     default: $OMR_TEST_TRAINERS, or omr_kedro/trainers in the user's cache folder
set -euo pipefail

FOLDER=${1:-${OMR_TEST_TRAINERS:-${XDG_CACHE_HOME:-$HOME/.cache}/omr_kedro/trainers}}
# Written last, so that an installation that was broken off is begun again.
[ -e "$FOLDER/complete" ] && exit 0
python3 -m venv --clear "$FOLDER"
"$FOLDER/bin/python" -m pip install --quiet torch==2.13.0 trl==1.16.0 datasets==5.2.0 jinja2
touch "$FOLDER/complete"
