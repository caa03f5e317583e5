"""From the words of the command line to settings, by the option table.

Options act from left to right and a later one wins (reference 10.1), so a
preset takes back what was set before it and is refined by what follows.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from engine_backup import __version__
from engine_backup.model.components import DATABASES
from engine_backup.model.errors import UsageError
from engine_backup.model.modes import STANDARD, WORDS_OF_MODES
from engine_backup.model.option_values import read_mode
from engine_backup.model.options import PROMPT, Form, Option, all_options

Settings = dict[tuple[str, str], Any]

MODE = ("", "mode")
SHOW = ("", "show")
USED = ("", "used options")
WORDS = ("", "words")

# What a preset decides, and what an earlier option therefore loses.
PRESET_FIELDS: tuple[tuple[str, str], ...] = (
    ("", "archive_compressor"),
    ("", "files_compressor"),
    *((c.name, field) for c in DATABASES for field in ("dump_format", "compressor")),
)

DESCRIPTION = "Back up a complete oVirt engine into one file, and bring the engine back."
EPILOG = "Options are read from left to right; a later one wins, so what follows a preset refines it."
WIDTH = 100


SEE_HELP = "see 'engine-backup --help'"

# What argparse says of a value, in our words.
_REWORDED = (
    (re.compile(r"argument ([^ /,]+)\S*: expected one argument"), r"\1 needs a value"),
    (re.compile(r"argument ([^ /,]+)\S*: ignored explicit argument .*", re.DOTALL), r"\1 takes no value"),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        for pattern, words in _REWORDED:
            message = pattern.sub(words, message)
        raise UsageError(message[:1].lower() + message[1:], SEE_HELP)


class _Help(argparse.HelpFormatter):
    """Shows options the way they are written: `--name=VALUE`."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=42, width=WIDTH)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not isinstance(action, _Apply) or action.option.form is Form.FLAG:
            return super()._format_action_invocation(action)
        forms = {Form.VALUE: "{}={}", Form.OPTIONAL_VALUE: "{}[={}]"}
        form = forms[action.option.form]
        return ", ".join(form.format(name, action.option.metavar) for name in action.option_strings)


class _Apply(argparse.Action):
    """Puts one option's value into the settings, at its turn."""

    def __init__(self, *arguments: Any, option: Option, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.option = option

    def __call__(self, parser: Any, namespace: Any, value: Any, option_string: str | None = None) -> None:
        apply(self.option, value, namespace.settings)


class _Show(argparse.Action):
    """Leaves in the settings what is to be shown instead of doing anything: a text, or None for the help."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option_string: str | None = None) -> None:
        namespace.settings[SHOW] = self.const


def apply(option: Option, text: Any, settings: Settings) -> None:
    """Change the settings as one option of the command line says; raises `UsageError`."""
    settings.setdefault(USED, []).append(option)
    if option.form is Form.FLAG:
        value = option.constant
    elif text is None:
        value = PROMPT
    elif text == "" and option.form is Form.VALUE and not option.component:
        raise UsageError(f"{option.name} needs a value", SEE_HELP)
    else:
        value = option.read(text)
    if option.field == "preset":
        for key in PRESET_FIELDS:
            settings.pop(key, None)
    if option.repeatable:
        value = (*settings.get(option.key, ()), value)
    settings[option.key] = value


def build_parser() -> argparse.ArgumentParser:
    """Return a parser with every option of the table, grouped for `--help`."""
    parser = _Parser(
        prog="engine-backup",
        usage="engine-backup [MODE] [FILE...] [OPTION...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        add_help=False,
        allow_abbrev=False,
        formatter_class=_Help,
    )
    parser.add_argument("words", nargs="*", metavar="MODE", help="the same as --mode=MODE")
    groups: dict[str, Any] = {}
    for option in all_options():
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        _add(groups[option.group], option)
    groups["General"].add_argument("--help", action=_Show, nargs=0, help="show this help and exit")
    version = f"engine-backup {__version__}"
    groups["General"].add_argument("--version", action=_Show, nargs=0, const=version, help="show the version")
    return parser


def _add(group: Any, option: Option) -> None:
    counts = {Form.FLAG: 0, Form.VALUE: None, Form.OPTIONAL_VALUE: "?"}
    more: dict[str, Any] = {}
    if option.form is not Form.FLAG:
        more["metavar"] = option.metavar
    group.add_argument(
        option.name, *option.aliases, action=_Apply, option=option, nargs=counts[option.form],
        dest="settings", default=argparse.SUPPRESS, help=option.help, **more,
    )  # fmt: skip


def normalised(words: Sequence[str]) -> list[str]:
    """Return the same words as `--name=value`, and those that are no options first.

    `--file FILE` is taken as well as `--file=FILE`. An option whose value is
    optional never takes the next word (reference 10.2); with every other word
    in front of the options, argparse cannot let it.
    """
    needs_value = {name for o in all_options() if o.form is Form.VALUE for name in (o.name, *o.aliases)}
    options: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in needs_value:
            value = next(rest, None)
            if value is None or value.startswith("--"):
                raise UsageError(f"{word} needs a value", SEE_HELP)
            options.append(f"{word}={value}")
        else:
            (options if word.startswith("-") and word != STANDARD else others).append(word)
    return others + options


def parse(words: Sequence[str]) -> Settings:
    """Return the settings that a command line makes; raises `UsageError`.

    The mode is the first word or `--mode=`; both may be given if they agree. Words after it are
    left in `WORDS` where the mode takes some.
    """
    namespace = argparse.Namespace(settings={})
    if "" in words:
        raise UsageError("an argument is empty", SEE_HELP)
    known, unknown = build_parser().parse_known_args(normalised(words), namespace)
    if unknown:
        raise _unknown_option(unknown[0].split("=")[0])
    settings: Settings = known.settings
    _set_mode(settings, known.words)
    return settings


def _unknown_option(name: str) -> UsageError:
    from difflib import get_close_matches

    known = [known for option in all_options() for known in (option.name, *option.aliases)]
    alike = get_close_matches(name, known, 1)
    return UsageError(
        f"Unknown option '{name}'. Please see '--help' for details.",
        f"did you mean {alike[0]}?" if alike else "",
    )


def _set_mode(settings: Settings, words: Sequence[str]) -> None:
    rest = list(words)
    named = settings.get(MODE)
    if rest and not (named in WORDS_OF_MODES and rest[0] != named):
        mode = read_mode(rest.pop(0))
        if settings.setdefault(MODE, mode) != mode:
            raise UsageError(f"mode {mode} and --mode={settings[MODE]} contradict each other")
    if rest and settings[MODE] not in WORDS_OF_MODES:
        hint = "values are written as --name=value, the archive as --file=FILE"
        raise UsageError(f"unexpected argument '{rest[0]}'", hint)
    settings[WORDS] = tuple(rest)
