#!/bin/bash
# The floor below every backup: all databases dumped at the same time, and thrown away.
set -euo pipefail
dumps=()
while read -r component member database user; do
    pg_dump -w -U "$user" -h "$SERVER" -p "$PORT" -Fc -Z0 "$database" >/dev/null </dev/null &
    dumps+=($!)
done <"$DATABASES"
for dump in "${dumps[@]}"; do wait "$dump"; done
