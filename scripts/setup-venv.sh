#!/bin/sh
# Makes the virtual environment where there is none that works, and installs this
# checkout in it: scripts/setup-venv.sh FOLDER core|train|dev. Each level holds the
# ones before it, so the levels can share a folder.
set -eu

venv=$1
level=$2
python=$venv/bin/python

if ! "$python" -m pip --version >/dev/null 2>&1; then
    base=$(sh scripts/choose-python.sh)
    echo "Making $venv with $("$base" --version) ..."
    "$base" -m venv --clear "$venv"
fi

quiet=
case $level in
    core) extras=; stamps=core; quiet=--quiet ;;
    train) extras='[train]'; stamps='core train' ;;
    dev) extras='[train,dev]'; stamps='core train dev' ;;
    *) echo "scripts/setup-venv.sh: unknown level '$level': core, train or dev" >&2; exit 1 ;;
esac

echo "Installing impasto$extras in $venv ..."
"$python" -m pip install $quiet --disable-pip-version-check -c constraints.txt -e ".$extras"
for stamp in $stamps; do
    touch "$venv/.installed-$stamp"
done
