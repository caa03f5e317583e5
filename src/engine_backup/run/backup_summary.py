"""What the manifest tells about the saved files, so that nobody has to unpack them to know."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine_backup.drivers import certificates, config_files, configuration_summary, otopi_answers
from engine_backup.model.inspection import InspectedConfiguration
from engine_backup.model.preflight import CertificateFact

if TYPE_CHECKING:
    from engine_backup.run.hook_stages import Hooks


def describe(root: Path, names: Iterable[bytes]) -> dict[str, Any]:
    """Return the fields of the manifest for files that were saved; nothing secret is in them."""
    configuration = configuration_summary.summary(config_files.load(root), otopi_answers.load(root))
    chosen = certificates.choose(names)
    return _fields(certificates.read_below(root, chosen), chosen.hosts, configuration)


def describe_none() -> dict[str, Any]:
    """Return the same fields for a backup without files."""
    return _fields((), 0, InspectedConfiguration((), 0))


def describe_hooks(hooks: Hooks, members: list[str]) -> dict[str, Any]:
    """Return the field of the manifest that says what hooks ran, and what they added."""
    return {
        "ran": [{"stage": hook.stage, "path": str(hook.path), "sha256": hook.digest} for hook in hooks.ran],
        "paths": list(hooks.added_paths),
        "members": members,
    }


def _fields(
    found: Iterable[CertificateFact], hosts: int, configuration: InspectedConfiguration
) -> dict[str, Any]:
    return {
        "certificates": [certificates.to_json(fact) for fact in found],
        "host_certificates": hosts,
        "configuration": configuration_summary.to_json(configuration),
    }
