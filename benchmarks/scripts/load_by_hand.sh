#!/bin/bash
# What somebody could do by hand with dumps that lie unpacked: the largest database with two jobs, the others beside
# it, and more memory for the sessions that build indexes.
set -euo pipefail
export PGOPTIONS="-c maintenance_work_mem=256MB -c synchronous_commit=off"
loads=()
while read -r component member database user; do
    jobs=1
    if [ "$component" = dwh ]; then jobs=2; fi
    pg_restore -w -U "$user" -h "$SERVER" -p "$PORT" -j "$jobs" -d "$database" "$DUMPS/db/$member" </dev/null 2>/dev/null &
    loads+=($!)
done <"$DATABASES"
for load in "${loads[@]}"; do wait "$load" || true; done
