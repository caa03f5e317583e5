#!/bin/bash
# What stock's `--mode=verify` does: unpack everything, compare the hashes, and read one table of one dump.
set -euo pipefail
staging=$(mktemp -d "$TEMPORARY/engine-backup.XXXXXXXXXX")
trap 'rm -rf "$staging"' EXIT
tar -C "$staging" -p -S -s -x -f "$ARCHIVE"
(cd "$staging" && sha256sum -c --quiet sha256sum)
cat "$staging/version" "$staging/config" >/dev/null
pg_restore -t vdc_options -f - "$staging/db/engine_backup.db" | grep DomainName >/dev/null
