"""What engine-setup can be told after a restore, so that it asks nothing (reference 14).

Answers that stand in the restored conf files of engine-setup are read by it anyway. These are
what a question would still ask for, and what must not depend on a default. None is a secret:
passwords stand in the restored conf files only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

PROGRAM = "engine-setup"
# Its packages are those of the restored product; repositories may not even be in reach.
OFFLINE = "--offline"
ACCEPT_DEFAULTS = "--accept-defaults"
# What to type where nobody wrote answers: it asks, and offers what the restored files say.
BY_HAND = f"{PROGRAM} {OFFLINE}"

FIREWALL_PROGRAM = "firewall-cmd"
FIREWALLD = "firewalld"

FQDN = "OVESETUP_CONFIG/fqdn"
UPDATE_FIREWALL = "OVESETUP_CONFIG/updateFirewall"
FIREWALL_MANAGER = "OVESETUP_CONFIG/firewallManager"
CONTINUE_ON_HOSTED_ENGINE = "OVESETUP_CONFIG/continueSetupOnHEVM"
# Taken over as the backup has them.
APACHE_ANSWERS = ("OVESETUP_APACHE/configureSsl", "OVESETUP_APACHE/configureRootRedirection")

# A name of the archive goes into a file that engine-setup obeys line by line.
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

Value = Union[bool, str]


@dataclass(frozen=True)
class SetupAnswer:
    """One line of an answer file, and why it says that."""

    key: str
    value: Value
    reason: str

    def __str__(self) -> str:
        kind = "bool" if isinstance(self.value, bool) else "str"
        return f"{self.key}={kind}:{self.value}"


# What holds for every restore.
ALWAYS: tuple[SetupAnswer, ...] = (
    SetupAnswer("OVESETUP_DIALOG/confirmSettings", True, "nobody is there to be asked"),
    SetupAnswer("OVESETUP_CORE/engineStop", True, "nothing of an old engine may go on"),
    SetupAnswer("OVESETUP_PKI/renew", False, "hosts trust the PKI of the backup"),
    SetupAnswer("OVESETUP_DB/engineVacuumFull", False, "a database that was just loaded needs none"),
)


@dataclass(frozen=True)
class SetupFacts:
    """What the machine has: the path of engine-setup (None: not installed), and whether firewalld is here."""

    program: str | None = None
    firewalld: bool = False


@dataclass(frozen=True)
class ArchivedSetup:
    """The backup's answers that are taken over, by key; and whether it holds rules of firewalld."""

    answers: Mapping[str, Value] = field(default_factory=dict)
    firewalld: bool = False


@dataclass(frozen=True)
class RunEngineSetup:
    """Run engine-setup with these answers, once the restore is complete; nothing of it can be undone."""

    program: str
    answers: tuple[SetupAnswer, ...]

    def __str__(self) -> str:
        said = "".join(f"\n     {answer}  ({answer.reason})" for answer in self.answers)
        return f"run {PROGRAM} {OFFLINE} {ACCEPT_DEFAULTS} with these answers:{said}"
