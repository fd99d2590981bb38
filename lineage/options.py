"""Parsers of options: `--config` may name a file or its folder, and an error is one line."""

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import jsonargparse
import yaml

from lineage.option_errors import Options, flat, in_one_line, unknown
from lineage.repeated_keys import repeated_keys

Config = TypeVar("Config")


class OptionParser(jsonargparse.ArgumentParser):
    """Ends with status 2 and one line for each mistake."""

    commands: tuple[str, ...] = ()
    """Subcommands that have parsers of their own, to name one that is mistyped."""

    def add_config(self, file: str) -> None:
        """Add `--config`.

        Args:
            file: Name of these options' file in a folder of such files: `data.yaml`.
        """
        said = f"YAML file with the options below, or a folder that has it as {file}"
        self.add_argument("--config", action=ConfigFile, help=said).file = file

    def options(self) -> Options:
        """The known options, and those that the file of `--config` gave."""
        files = [action for action in self._actions if isinstance(action, ConfigFile)]
        known = dict(self.get_defaults().items())
        return Options(
            known=known,
            given=files[0].given if files else {},
            program=self.prog,
            commands=self.commands,
        )

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Write the mistake in one line, and exit with status 2."""
        if not self.exit_on_error:
            super().error(message, ex)
        if not isinstance(ex, WrongFileError):
            message = in_one_line(message, self.options())
        sys.stderr.write(f"error: {message}\n")
        self.exit(2)


class WrongFileError(TypeError):
    """A file of options cannot be used; has a line for each mistake."""


class ConfigFile(jsonargparse.ActionConfigFile):  # type: ignore[name-defined,misc]
    """Reads the file of `--config`; refuses what is no file, and options that are none."""

    file = ""
    """Name of the file in a folder of such files."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.given: dict[str, tuple[str, Any]] = {}
        """File and value of each option that was read."""

    def __call__(
        self, parser: Any, cfg: Any, values: Any, option_string: str | None = None
    ) -> None:
        """Read the options of a file, or of text in YAML, into the namespace."""
        path = self._path(Path(values))
        if path.is_file():
            content = _content(path)
            if not content:
                return
            options = Options(known=dict(parser.get_defaults().items()))
            if wrong := [f"{path}: {line}" for line in unknown(content, options)]:
                raise WrongFileError("\nerror: ".join(wrong))
            of_file = flat(content, options.known)
            self.given |= {name: (str(path), value) for name, value in of_file.items()}
        elif ":" not in str(values):
            raise WrongFileError(f"config must be a file, got {values}, which does not exist")
        elif repeated := repeated_keys(str(values)):
            raise WrongFileError("\nerror: ".join(f"config, {line}" for line in repeated))
        super().__call__(parser, cfg, str(path), option_string)

    def _path(self, given: Path) -> Path:
        """The file that is meant."""
        if not given.is_dir():
            return given
        path = given / self.file
        if not path.is_file():
            raise WrongFileError(
                f"config must be a file such as {path}, or a folder with {self.file}, got {given}, "
                "a folder without it"
            )
        return path


def _content(path: Path) -> dict[str, Any]:
    """Options of a file.

    Raises:
        WrongFileError: it is no YAML, no mapping, or has a key twice.
    """
    try:
        text = path.read_text()
        content, repeated = yaml.safe_load(text), repeated_keys(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise WrongFileError(f"{path}{line}: must be YAML, got: {error.problem}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise WrongFileError(f"{path}: must be YAML, got: {error}") from error
    if repeated:
        raise WrongFileError("\nerror: ".join(f"{path}, {line}" for line in repeated))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise WrongFileError(
            f"{path}: must be options such as `name: value`, got {type(content).__name__}"
        )
    return content


def options_in(file: Path, config_type: type[Config]) -> Config:
    """The configuration dataclass of a YAML file of options.

    Raises:
        ValueError: the file cannot be read, or an option is unknown or out of range.
    """
    read = OptionParser(exit_on_error=False)
    read.add_config(file.name)
    read.add_class_arguments(config_type)
    try:
        options = read.instantiate(read.parse_args([f"--config={file}"]))
    except jsonargparse.ArgumentError as error:
        raise ValueError(f"{file}: {error}") from error
    return config_type(**{f.name: options[f.name] for f in fields(config_type)})  # type: ignore[arg-type]
