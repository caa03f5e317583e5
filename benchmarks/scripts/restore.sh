#!/bin/bash
# What stock's `--mode=restore --restore-permissions` does with such an archive: unpack everything, compare the
# hashes, unpack the files twice (once only to look at one of them), and load one database after the other.
set -euo pipefail
staging=$(mktemp -d "$TEMPORARY/engine-backup.XXXXXXXXXX")
trap 'rm -rf "$staging"' EXIT
tar -C "$staging" -p -S -s -x -f "$ARCHIVE"
(cd "$staging" && sha256sum -c --quiet sha256sum)
mkdir "$staging/files.d"
tar -C "$staging/files.d" -p -S -x -f "$staging/files"
tar -C "$ROOT" -p -S -x -f "$staging/files"

query() { psql -w -U "$user" -h "$SERVER" -p "$PORT" -d "$database" -q -t -c "$1"; }

load() {
    query "select 1" >/dev/null
    query "show lc_messages" >/dev/null
    pg_dump -w -U "$user" -h "$SERVER" -p "$PORT" --schema-only "$database" | grep -ci '^create' >/dev/null || true
    # stock does not look at the exit status: errors about extensions are expected
    pg_restore -w -U "$user" -h "$SERVER" -p "$PORT" -j 2 -d "$database" "$staging/db/$member" 2>>"$staging/errors" || true
}

correct() {
    query "UPDATE vdc_options SET option_value = '1' WHERE option_name = 'DbJustRestored' AND version = 'general'"
    query "INSERT INTO vdc_options (option_name, option_value, version) VALUES ('DbJustRestored', '1', 'general')"
    local table
    for table in async_tasks async_tasks_entities business_entity_snapshot command_entities job step; do
        query "TRUNCATE $table CASCADE"
    done 2>/dev/null
    query "UPDATE dwh_history_timekeeping SET var_value = '0' WHERE var_name = 'DwhCurrentlyRunning'"
    query "UPDATE vm_dynamic SET status = 0, exit_status = 2, exit_reason = -1, migrating_to_vds = NULL, run_on_vds = NULL
            WHERE vm_guid IN (SELECT vm_guid FROM vm_static WHERE auto_startup AND lease_sd_id IS NULL)"
}

while read -r component member database user; do
    load </dev/null
    if [ "$component" = engine ]; then correct </dev/null; fi
done <"$DATABASES"
mkdir -p "$ROOT/var/lib/grafana"
cp -a "$staging/db/grafana.db" "$ROOT/var/lib/grafana/grafana.db"
