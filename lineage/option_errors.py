"""Errors of options in one line: the file, the option, what it must be, and what to write."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lineage.yaml_lines import option_line

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "NoneType": "null",
    "tuple": "a list such as `[a, b]`",
    "list": "a list such as `[a, b]`",
    "dict": "a mapping such as `{name: value}`",
    "collections.abc.Mapping": "a mapping such as `{name: value}`",
}
"""What an option of a type must be"""
HOLDERS = ("tuple", "list", "dict", "collections.abc.Mapping")
_PROBLEM = re.compile(r'Parser key "([^"]+)":\s*(.*)', re.DOTALL)
_EXPECTED = re.compile(r"Expected an? (?:<class ')?(typing\.Literal\[[^\]]*\]|[\w.]+)")
_GOT = re.compile(r"(?:Got value|Given value): (.*)", re.DOTALL)
_UNKNOWN = re.compile(r"unrecognized arguments: --([\w.]+)")
_POSITIONAL = re.compile(r"unrecognized arguments: ([^-\s]\S*)(.*)", re.DOTALL)
_COMMAND = re.compile(
    r"argument command: invalid choice: '([^']*)' \(choose from (.*)\)", re.DOTALL
)
_CLOSE = 0.7
"""Least similarity of a mistyped name"""
_CLOSE_COMMAND = 0.6
"""Least similarity of a mistyped command, which is one of few"""
_SHORT = 60
"""Most characters of a value that an error repeats"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a command, and those that its files gave."""

    known: Mapping[str, Any]
    """Default of each option, by name; a nested one is `training.batch_size`."""
    given: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    """File and value of each option that a file gave."""
    program: str = ""
    """How the command is called: `python -m dataset`."""
    commands: tuple[str, ...] = ()
    """Subcommands that have parsers of their own."""


def in_one_line(message: str, options: Options) -> str:
    """An error of the parser in one line, with what to write where it can be told."""
    if found := _UNKNOWN.match(message):
        near = _near(found[1], options.known)
        said = f"write --{near}" if near else "see --help"
        return f"options must be known, got --{found[1]}; {said}"
    if found := _COMMAND.match(message):
        known = [name.strip("' ") for name in found[2].split(",")]
        near = _near(found[1], known, _CLOSE_COMMAND)
        said = f"write {near}" if near else "see --help"
        return f"command must be one of {', '.join(known)}, got {found[1]}; {said}"
    if found := _POSITIONAL.match(message):
        return _positional(found[1], found[2], options)
    found = _PROBLEM.match(message)
    kinds = _EXPECTED.findall(found[2]) if found else []
    if not found or not kinds or not (got := _GOT.search(found[2])):
        return " ".join(message.split())
    return _wrong(found[1], list(dict.fromkeys(kinds)), got[1], options)


def _positional(name: str, rest: str, options: Options) -> str:
    """The error of an argument that is no option, such as a mistyped subcommand."""
    if near := _near(name, options.commands, _CLOSE_COMMAND):
        line = f"{options.program} {near}{rest}"
        return f"command must be {' or '.join(options.commands)}, got {name}; write `{line}`"
    return f"arguments must be options such as `--name value`, got {name}; see --help"


def unknown(given: Mapping[str, Any], options: Options) -> list[str]:
    """What is wrong with options of a file that the command does not have, each with the remedy.

    Args:
        given: Content of the file.
        options: The command's.
    """
    return list(_unknown(given, options, ""))


def flat(given: Mapping[str, Any], known: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Values of a file by the options' full names."""
    found = dict[str, Any]()
    for name, value in given.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and path not in known:
            found |= flat(value, known, f"{path}.")
        else:
            found[path] = value
    return found


def _unknown(given: Mapping[str, Any], options: Options, above: str) -> Iterator[str]:
    level = dict.fromkeys(
        name.removeprefix(above).split(".")[0] for name in options.known if name.startswith(above)
    )
    for name, value in given.items():
        path = f"{above}{name}"
        if path in options.known:
            continue
        if name in level:
            if isinstance(value, Mapping):
                yield from _unknown(value, options, f"{path}.")
            continue
        known = ", ".join(str(other) for other in level if other != "config")
        said = _instead(str(name), value, options, above, list(level))
        yield f"options must be known, got {path}; {said or f'there are {known}'}"


def _instead(name: str, value: Any, options: Options, above: str, level: list[str]) -> str:
    """What to write instead of an unknown option; empty if nothing is alike."""
    if near := _near(name, level):
        is_group = f"{above}{near}" not in options.known
        line = f"{near}:" if is_group and not isinstance(value, Mapping) else _line(near, value)
        return f"write `{line}`"
    elsewhere = [path for path in options.known if path.split(".")[-1] == name]
    if not elsewhere:
        return ""
    *groups, last = elsewhere[0].split(".")
    for group in reversed(groups):
        last, value = group, {last: value}
    return f"write `{_line(last, value)}`" + (f", not below {above.rstrip('.')}" if above else "")


def _wrong(name: str, kinds: list[str], value: str, options: Options) -> str:
    """The error of an option whose value has the wrong type."""
    choices = [choice for kind in kinds for choice in _choices(kind)]
    named = [KINDS[kind] for kind in kinds if kind in KINDS]
    must = " or ".join([*([f"one of {', '.join(choices)}"] if choices else []), *named])
    file = _file_of(name, value, options)
    holds = isinstance(options.known.get(name), Mapping | tuple | list)
    said = f"the values of {name}" if holds and kinds[0] not in HOLDERS else name
    shown = value if len(value) <= _SHORT else f"{value[:_SHORT]}…"
    remedy = "see --help"
    if near := _near(value, choices):
        last = name.rsplit(".", maxsplit=1)[-1]
        remedy = f"write `{_line(last, near)}`" if file else f"write --{name} {near}"
    elif must == KINDS["str"] and value[:1] not in ("[", "{"):
        remedy = "write it in quotes"
    return f"{file}{said} must be {must or kinds[0]}, got {shown}; {remedy}"


def _choices(kind: str) -> list[str]:
    """Names that a literal type allows."""
    return re.findall(r"'([^']+)'", kind) if kind.startswith("typing.Literal") else []


def _file_of(name: str, value: str, options: Options) -> str:
    """The file that gave a value, as an error begins; empty if the command line did."""
    file, given = options.given.get(name, ("", None))
    held = given.values() if isinstance(given, Mapping) else given
    values = [given, *(held if isinstance(held, Iterable) and not isinstance(held, str) else [])]
    return f"{file}: " if file and value in map(str, values) else ""


def _near(name: str, known: Any, least: float = _CLOSE) -> str | None:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=least)
    return str(found[0]) if found else None


def _line(name: str, value: Any) -> str:
    """An option as it stands in a file; of a long value the name alone."""
    line = option_line(name, value)
    return line if len(line) <= _SHORT else f"{name}:"
