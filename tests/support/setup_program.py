"""A program in the place of engine-setup: it looks at its answers as otopi does, and refuses wrong ones.

It reads them with `configparser`, the restored files of the root first, as engine-setup does.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

PROGRAM = """#!/bin/sh
'''exec' {python} -I "$0" "$@"
' '''
import configparser, json, os, signal, stat, sys, time
from pathlib import Path

ROOT, PLACE = Path({root!r}), Path({place!r})
if sys.argv[2:] != ["--offline", "--accept-defaults"] or not sys.argv[1].startswith("--config-append="):
    sys.exit(f"unknown words: {{sys.argv[1:]}}")
answers = Path(sys.argv[1].partition("=")[2])
parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
parser.optionxform = str
parser.read([*sorted(ROOT.glob("etc/ovirt-engine-setup.conf.d/*.conf")), answers], encoding="utf-8")
found = dict(parser.items("environment:default"))
print("[ INFO  ] Stage: Initializing", flush=True)
print("          Log file: /var/log/ovirt-engine/setup/ovirt-engine-setup-2026-lab.log", flush=True)
print("[WARNING] Less than 16384MB of memory is available", file=sys.stderr, flush=True)
if os.environ.get("LC_ALL") != "C" or os.fstat(0).st_rdev != os.stat("/dev/null").st_rdev:
    sys.exit("not in a neutral environment, or with somebody to ask")
if stat.S_IMODE(answers.stat().st_mode) != 0o600:
    sys.exit("others may read the answers")
staging = ROOT / "var/lib/ovirt-engine-backup/restore"
kept = [path / "journal" for path in staging.iterdir()] if staging.is_dir() else []
if any("kept" not in path.read_text() for path in kept):
    sys.exit("the restore has not ended")
(PLACE / "answers.json").write_text(json.dumps(found))
(PLACE / "told.json").write_text(json.dumps([line.rstrip() for line in answers.open()]))
expected = json.loads((PLACE / "expected.json").read_text())
wrong = {{key: found.get(key) for key in expected if found.get(key) != expected[key]}}
if wrong:
    sys.exit(f"wrong answers: {{wrong}}")
if (PLACE / "wait").exists():
    def stop(number, frame):
        # More than a pipe holds: it can only end when that is read.
        os.write(1, b"[ INFO  ] Rolling back\\n" * 10000)
        (PLACE / "stopped").touch()
        sys.exit(1)
    signal.signal(signal.SIGINT, stop)
    print("[ INFO  ] waiting", flush=True)
    while not (PLACE / "go").exists():
        time.sleep(0.01)
(ROOT / "etc/made-by-engine-setup").write_text("lab")
print("[ INFO  ] Execution of setup completed successfully", flush=True)
sys.exit(json.loads((PLACE / "status.json").read_text()))
"""


def install(root: Path, place: Path, expected: Mapping[str, str], status: int = 0) -> None:
    """Put the program into a root. In `place` it finds what to expect, and leaves what it saw."""
    place.mkdir(exist_ok=True)
    (place / "expected.json").write_text(json.dumps(expected))
    (place / "status.json").write_text(json.dumps(status))
    program = root / "usr/bin/engine-setup"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(PROGRAM.format(python=shlex.quote(sys.executable), root=str(root), place=str(place)))
    program.chmod(0o755)
