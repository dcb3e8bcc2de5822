#!/bin/sh
# Prints the Python that the virtual environment is made with: $PYTHON where it is
# set, else the newest on the PATH that has the venv module. Says in one line why
# there is none. Each candidate is run, because a version manager may put a name on
# the PATH without a Python behind it.
set -eu

check='import sys
if sys.version_info < (3, 11):
    print("old", "%d.%d" % sys.version_info[:2])
else:
    try:
        import ensurepip, venv
        print("good")
    except ImportError:
        print("bare", "%d.%d" % sys.version_info[:2])'

old=
bare=
for candidate in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3 python}; do
    answer=$("$candidate" -c "$check" 2>/dev/null) || continue
    case $answer in
        good) printf '%s\n' "$candidate"; exit 0 ;;
        bare*) bare=${bare:-"$candidate is Python ${answer#bare }"} ;;
        old*) old=${old:-"$candidate is Python ${answer#old }"} ;;
    esac
done

if [ -n "$bare" ]; then
    echo "impasto: $bare without the venv module: install it (Debian, Ubuntu: python3-venv), or name another Python with PYTHON=..." >&2
elif [ -n "$old" ]; then
    echo "impasto: needs Python 3.11 or newer, but $old: install a newer one, or name it with PYTHON=..." >&2
else
    echo "impasto: needs Python 3.11 or newer, but ${PYTHON:-python3} does not run: install one, or name it with PYTHON=..." >&2
fi
exit 1
