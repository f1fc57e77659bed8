#!/bin/sh
# Install vidsearch from this folder alone, without network:  ./install.sh [FOLDER]     (default: ~/vidsearch)
#
# Makes a virtual environment in FOLDER and installs the models into the user's cache (or VIDSEARCH_MODELS).
set -eu
here="$(cd "$(dirname "$0")" && pwd -P)"
folder="${1:-$HOME/vidsearch}"
python=""
for name in ${PYTHON:-python@VERSION@ python3 python}; do
  if "$name" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "@VERSION@")' >/dev/null 2>&1; then
    python="$name"
    break
  fi
done
[ -n "$python" ] || { echo "This bundle is for Python @VERSION@, which is not on this machine." >&2; exit 1; }
"$python" -c 'import ensurepip' 2>/dev/null ||
  { echo "Python cannot make virtual environments here: install the package python@VERSION@-venv first." >&2; exit 1; }
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --find-links "$here/wheels" \
  --constraint "$here/constraints.txt" vidsearch
"$folder/bin/vidsearch" models install --from "$here/models"
echo "Installed. Start with: $folder/bin/vidsearch doctor"
