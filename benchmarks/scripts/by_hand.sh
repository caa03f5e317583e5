#!/bin/bash
# What somebody could do by hand: all databases at the same time through zstd, the files beside them, tar around it.
set -euo pipefail
staging=$(mktemp -d "$TEMPORARY/by-hand.XXXXXXXXXX")
trap 'rm -rf "$staging"' EXIT
mkdir "$staging/db"
parts=()
while read -r component member database user; do
    pg_dump -w -U "$user" -h "$SERVER" -p "$PORT" -Fc -Z0 "$database" </dev/null | zstd -q -1 >"$staging/db/$member" &
    parts+=($!)
done <"$DATABASES"
tar -c -p -S -J -f "$staging/files" -C "$ROOT" --null --no-recursion --files-from="$NAMES"
for part in "${parts[@]}"; do wait "$part"; done
tar -C "$staging" -c -f "$ARCHIVE" .
