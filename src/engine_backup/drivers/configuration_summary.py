"""What may be shown of the product's configuration; in manifests it stands as plain data.

{"settings": [{"name": "ENGINE_FQDN", "value": "engine.example.com"}], "hidden": 12}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from engine_backup.drivers.config_files import DEFAULTS_FILE, Configuration
from engine_backup.drivers.otopi_answers import Answer, Answers
from engine_backup.model.inspection import InspectedConfiguration, InspectedSetting
from engine_backup.model.printable import printable
from engine_backup.model.shown_settings import SHOWN_ANSWERS, SHOWN_VARIABLES


def summary(configuration: Configuration, answers: Answers) -> InspectedConfiguration:
    """Return the settings of the table that are set, and how many others there are.

    What the package's own defaults say is the same everywhere, and not counted.
    """
    own = {name: s.value for name, s in configuration.settings.items() if s.path != DEFAULTS_FILE}
    settings = (*_variables(own), *_answers(answers))
    return InspectedConfiguration(settings, len(own) + len(answers.values) - len(settings))


def to_json(found: InspectedConfiguration) -> dict[str, Any]:
    """Return plain data."""
    return {"settings": [asdict(setting) for setting in found.settings], "hidden": found.hidden}


def _variables(own: dict[str, str]) -> Iterator[InspectedSetting]:
    for name in SHOWN_VARIABLES:
        if name in own:
            yield InspectedSetting(name, printable(own[name]))


def _answers(answers: Answers) -> Iterator[InspectedSetting]:
    for name in SHOWN_ANSWERS:
        if name in answers:
            yield InspectedSetting(name, printable(_shown(answers.values[name])))


def _shown(answer: Answer) -> str:
    return ", ".join(answer) if isinstance(answer, tuple) else "" if answer is None else str(answer)
