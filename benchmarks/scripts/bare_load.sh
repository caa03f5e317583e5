#!/bin/bash
# The floor below every restore of these dumps: pg_restore -j2 of each, from dumps that lie unpacked already.
set -euo pipefail
while read -r component member database user; do
    pg_restore -w -U "$user" -h "$SERVER" -p "$PORT" -j 2 -d "$database" "$DUMPS/db/$member" </dev/null 2>/dev/null || true
done <"$DATABASES"
