#!/bin/bash
# What stock's `engine-backup --mode=backup --scope=all` does with its defaults, one thing after the other:
# files as tar.xz, each database by pg_dump -Fc (with pg_dump's own gzip), Grafana's copy, a hash of each
# member, and gzip once more around everything. Everything waits in the temporary directory until the end.
set -euo pipefail
staging=$(mktemp -d "$TEMPORARY/engine-backup.XXXXXXXXXX")
trap 'rm -rf "$staging"' EXIT
mkdir "$staging/db"

notify() {
    local scope
    for scope in files db dwhdb managedblock keycloak grafanadb; do
        psql -w -U "$ENGINE_USER" -h "$SERVER" -p "$PORT" -d "$ENGINE_DATABASE" -q -t -c \
            "SELECT LogEngineBackupEvent('$scope', now(), $1, 'stand-in', 'engine.lab.example', '/log')" >/dev/null
    done
}

notify 0
tar -c -p -S -J -f "$staging/files" -C "$ROOT" --null --no-recursion --files-from="$NAMES"
while read -r component member database user; do
    pg_dump -w -U "$user" -h "$SERVER" -p "$PORT" -E UTF8 --disable-dollar-quoting --disable-triggers \
        --format=custom "$database" >"$staging/db/$member"
done <"$DATABASES"
"$PYTHON" -c 'import sqlite3, sys
sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))' "$ROOT/var/lib/grafana/grafana.db" "$staging/db/grafana.db"
echo 4.5.7 >"$staging/version"
echo almalinux9 >"$staging/os_version"
printf '%s_DUMP_COMPRESSOR=\n%s_DUMP_FORMAT=custom\n' DB DB DWH_DB DWH_DB >"$staging/config"
(
    cd "$staging"
    find . -type f -printf '%P\n' | while read -r name; do sha256sum "$name"; done >"$staging.sums"
    mv "$staging.sums" sha256sum
)
tar -C "$staging" -c -p -S -z -f "$ARCHIVE" .
chmod 0600 "$ARCHIVE"
notify 1
