"""What may be shown of the product's configuration; in manifests it stands as plain data.

{"settings": [{"name": "ENGINE_FQDN", "value": "engine.example.com"}], "hidden": 12}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from engine_backup.drivers.config_files import DEFAULTS_FILE, Configuration
from engine_backup.drivers.otopi_answers import Answer, Answers
from engine_backup.model.inspection import InspectedConfiguration, InspectedSetting
from engine_backup.model.printable import printable
from engine_backup.model.shown_settings import SHOWN_ANSWERS, SHOWN_VARIABLES

# Values may be built from other values, and nobody shall read a password in a host name.
_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY", re.IGNORECASE)
SHORTEST_SECRET = 8


def summary(configuration: Configuration, answers: Answers) -> InspectedConfiguration:
    """Return the settings of the table that are set, and how many others there are.

    What the package's own defaults say is the same everywhere, and not counted.
    """
    own = {name: s.value for name, s in configuration.settings.items() if s.path != DEFAULTS_FILE}
    secrets = {value for name, value in own.items() if _SECRET_NAME.search(name)}
    settings = tuple(
        InspectedSetting(setting.name, printable(setting.value))
        for setting in (*_variables(own), *_answers(answers))
        if not any(len(secret) >= SHORTEST_SECRET and secret in setting.value for secret in secrets)
    )
    return InspectedConfiguration(settings, len(own) + len(answers.values) - len(settings))


def to_json(found: InspectedConfiguration) -> dict[str, Any]:
    """Return plain data."""
    return {"settings": [asdict(setting) for setting in found.settings], "hidden": found.hidden}


def _variables(own: dict[str, str]) -> Iterator[InspectedSetting]:
    for name in SHOWN_VARIABLES:
        if name in own:
            yield InspectedSetting(name, own[name])


def _answers(answers: Answers) -> Iterator[InspectedSetting]:
    for name in SHOWN_ANSWERS:
        if name in answers:
            yield InspectedSetting(name, _shown(answers.values[name]))


def _shown(answer: Answer) -> str:
    return ", ".join(answer) if isinstance(answer, tuple) else "" if answer is None else str(answer)
