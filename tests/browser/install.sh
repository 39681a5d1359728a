#!/usr/bin/env bash
# Debian's chromium for the tests that look at pages, where it is missing. Needs root. 400 MB.
set -euo pipefail

exec 9> "${TMPDIR:-/tmp}/omr-chromium-install.lock"
flock 9  # tests run in several processes
command -v chromium > /dev/null && exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends chromium 9>&-
