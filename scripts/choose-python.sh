#!/bin/sh
# Prints the first Python that is new enough: $PYTHON if set, else python3, else python3.14 ... python3.9.
# In plain sh, because the machine's own python3 may be too old to run anything of ours (EL8 has 3.6).
set -u
too_old=""
for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
    found=$(command -v "$name" 2>/dev/null) || continue
    version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    if "$found" -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
        [ -z "$too_old" ] || echo "using $name ($version); too old for engine-backup:$too_old" >&2
        printf '%s\n' "$found"
        exit 0
    fi
    case $too_old in *" $name "*) ;; *) too_old="$too_old $name ($version)" ;; esac
done
echo "engine-backup needs Python 3.9 or newer, and this machine has${too_old:- none at all}:" \
     "install python3.12 (dnf install python3.12) or python3 (apt install python3 python3-venv)" >&2
exit 1
