#!/bin/sh
# Keeps .venv: the Makefile calls it from the repository's root.
#   venv.sh find-python                 prints the first Python that fits, of those in PATH
#   venv.sh is-whole EXTRA [PYTHON]     prints "yes" if .venv needs no new start
#   venv.sh install EXTRA PYTHON [yes]  creates .venv, unless it is whole, and installs
# TORCH_WHEELS: where wheels of torch without CUDA are listed; empty leaves torch to the package index.
set -eu
venv=.venv
tried="python3.11 python3.12 python3.13 python3"

fail() {
    echo "$*" >&2
    exit 1
}

version() { # of a command, like 3.11; nothing if it is no Python that runs
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

fits() {
    case $1 in 3.1[1-9] | 3.[2-9][0-9]) true ;; *) false ;; esac
}

find_python() {
    old=
    for python in $tried; do
        found=$(version "$python")
        case $found in 3.11 | 3.12 | 3.13) echo "$python" && return ;; esac
        old="$old${found:+, found $python of version $found}"
    done
    fail "Python 3.11, 3.12 or 3.13 must be in PATH, looked for $tried$old;" \
        "install one, or name it: make install PYTHON=/path/to/python3.11"
}

require_python() { # before anything is created
    [ -n "$1" ] || exit 1 # find-python has said why
    found=$(version "$1")
    [ -n "$found" ] || fail "PYTHON must be a Python that runs, got $1;" \
        "name another: make install PYTHON=/path/to/python3.11"
    fits "$found" || fail "PYTHON must be Python 3.11 or later, got $1 of version $found;" \
        "name another: make install PYTHON=/path/to/python3.11"
}

is_whole() { # finished for this extra, runs, stands where it was created, and has the Python asked for
    [ -e "$venv/installed-$1" ] && [ -x "$venv/bin/python" ] || return 1
    grep -q "^command = .* $(cd $venv && pwd -P | sed 's/[][\\.*^$]/\\&/g')\$" $venv/pyvenv.cfg || return 1
    [ -z "${2:-}" ] || [ "$(version "$2")" = "$(version $venv/bin/python)" ]
}

pip() {
    command=$1 && shift
    $venv/bin/python -m pip "$command" --quiet --disable-pip-version-check -c constraints.txt "$@"
}

install_torch() { # PyPI's torch for Linux brings 3 GB of CUDA, so the one without is installed first
    [ -n "${TORCH_WHEELS-}" ] || return 0
    pip install --no-deps --no-index --retries 1 --timeout 15 --find-links "$TORCH_WHEELS" torch \
        2>"$venv/torch.log" || echo "no torch without CUDA could be fetched from $TORCH_WHEELS (see" \
        "$venv/torch.log); taking the package index's, which on Linux brings 3 GB of CUDA" >&2
}

install() {
    require_python "$2"
    [ "${3:-}" = yes ] || "$2" -m venv --clear $venv
    rm -f $venv/installed-* # until the end: what is interrupted starts anew
    case ,$1, in *,cpu,*) install_torch ;; esac
    pip install -e ".[$1,dev,bench$(case ,$1, in *,cpu,*) echo ,milvus-lite ;; esac)]"
    touch "$venv/installed-$1"
}

case $1 in
    find-python) find_python ;;
    is-whole) if is_whole "$2" "${3:-}"; then echo yes; fi ;;
    install) install "$2" "$3" "${4:-}" ;;
esac
