#!/bin/bash
# Lays out the dumps of an archive as pg_restore -j likes them best: custom format, packed by nothing but pg_dump.
set -euo pipefail
rm -rf "$DUMPS"
mkdir -p "$DUMPS"
tar -C "$DUMPS" -x -f "$ARCHIVE" ./db
while read -r component member database user; do
    if zstd -q -t "$DUMPS/db/$member" 2>/dev/null; then
        zstd -q -d --rm "$DUMPS/db/$member" -o "$DUMPS/db/$member.unpacked"
        mv "$DUMPS/db/$member.unpacked" "$DUMPS/db/$member"
    fi
done <"$DATABASES"
