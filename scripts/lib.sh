# Shared by the scripts of this folder: finds a Python, makes .venv/ and keeps it in step with constraints.txt.
# Sourced by bash (3.2 or newer, so that macOS's own will do); defines functions and ROOT, runs nothing.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
VENV="$ROOT/.venv"
PY="$VENV/bin/python"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUTF8=1

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# apt_get WORDS...: quietly, when root on Debian or Ubuntu; false anywhere else.
apt_get() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >/dev/null 2>&1 </dev/null
}

# Packages are installed from the lists that are there; only where that fails are the lists fetched.
apt_install() { apt_get install -y --no-install-recommends "$@" || { apt_get update && apt_get install -y --no-install-recommends "$@"; }; }

# python_fits COMMAND [MODULE]: is it CPython 3.11 to 3.14, 64 bit, and has it the module?
python_fits() {
  "$1" -c "import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 14) and sys.maxsize > 2**32))" >/dev/null 2>&1 || return 1
  [ $# -lt 2 ] || "$1" -c "import $2" >/dev/null 2>&1
}

# find_python: print the best Python; one that can make a venv is preferred. PYTHON=… chooses another.
find_python() {
  local name need
  for need in ensurepip ""; do
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
      if python_fits "$name" $need; then say "$name"; return 0; fi
    done
  done
  return 1
}

# What the environment was made from; it is made or brought up to date only where this changed.
fingerprint() { (cd "$ROOT" && cksum pyproject.toml constraints.txt && say "$ROOT $1"); }

installed() { [ "$(cat "$VENV/.installed${1:+-$1}" 2>/dev/null)" = "$(fingerprint "$1")" ]; }

make_venv() {
  local python version
  python="$(find_python)" || {
    # The distribution's own first; an older one may have a newer Python beside it.
    apt_install python3 python3-venv && find_python >/dev/null || apt_install python3.11 python3.11-venv || true
    python="$(find_python)" ||
      die "No Python 3.11 to 3.14 found. On Debian or Ubuntu run: sudo apt-get install python3.11 python3.11-venv   and then this command again"
  }
  if ! python_fits "$python" ensurepip; then
    version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    [ "$(id -u)" != 0 ] || say "Installing python$version-venv …"
    apt_install "python$version-venv" || apt_install python3-venv ||
      die "Python cannot make virtual environments here. Run: sudo apt-get install python$version-venv   and then this command again"
  fi
  say "Making .venv with $("$python" --version 2>&1) …"
  "$python" -m venv --clear "$VENV" || die "The virtual environment could not be made in $VENV"
}

# pip_failed LOG: say in a line or two why pip failed, and end.
pip_failed() {
  if grep -q CERTIFICATE_VERIFY_FAILED "$1"; then
    die "pip does not trust this network's certificate. If the network inspects traffic, run: export PIP_CERT=/etc/ssl/certs/ca-certificates.crt   and then this command again"
  elif grep -qE 'NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|Read timed out' "$1"; then
    die "The package index cannot be reached. Run the same command again when the network is back (without network: scripts/bundle on another machine)."
  fi
  grep -E '^ *ERROR' "$1" | tail -n 3 >&2
  die "pip failed; its whole report is in $1"
}

# ensure_venv [dev]: .venv/ with vidsearch and every pinned dependency; a second call takes no time.
ensure_venv() {
  local extra="${1:-}"
  installed "$extra" || { [ -z "$extra" ] && installed dev; } && "$PY" -c '' 2>/dev/null && return 0
  # The environment knows its own folder: a checkout that was moved or copied needs a new one.
  { "$PY" -m pip --version >/dev/null 2>&1 && grep -qF "$VENV" "$VENV/bin/activate"; } || make_venv
  say "Installing what constraints.txt pins${extra:+ (with the tools for tests)}; the first time this downloads some 250 MB …"
  { "$PY" -m pip install --quiet --constraint "$ROOT/constraints.txt" setuptools &&
    "$PY" -m pip install --quiet --constraint "$ROOT/constraints.txt" --no-build-isolation --only-binary=:all: \
      --editable "$ROOT${extra:+[$extra]}"; } 2>"$VENV/pip.log" || pip_failed "$VENV/pip.log"
  fingerprint "$extra" >"$VENV/.installed${extra:+-$extra}"
}

vidsearch() { "$PY" -m vidsearch "$@"; }

# ensure_models: the pinned models in the user's cache (VIDSEARCH_MODELS).
ensure_models() { vidsearch models install || die "The models could not be installed; the line above says why."; }
