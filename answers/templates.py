"""Templates of answers: texts with placeholders, by intent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from lineage.repeated_keys import repeated_keys

OF_ENTRY = frozenset({"entry", "title"})
"""Placeholders that the best entry fills"""
OF_PRODUCTS = frozenset({"product", "products", "price"})
"""Placeholders that the found products fill"""
OF_QUESTION = frozenset({"question", "intent"})
PLACEHOLDERS = OF_ENTRY | OF_PRODUCTS | OF_QUESTION
KEYS = ("default", "no_answer", "intents")


@dataclass(frozen=True, kw_only=True)
class Templates:
    """What is said, with placeholders such as `{entry}`."""

    default: str = "{entry}"
    """Answer to a question whose intent has no template."""
    no_answer: str = ""
    """What is said where nothing is sure enough; may have `{question}` and `{intent}` alone."""
    intents: Mapping[str, str] = field(default_factory=dict)
    """Answer by intent."""

    def __post_init__(self) -> None:
        if not placeholders("default", self.default) & OF_ENTRY:
            raise ValueError(
                f"default must show {_listed(OF_ENTRY)} or both, got {self.default!r}; it is said "
                "where an entry is sure enough"
            )
        for intent, text in self.intents.items():
            placeholders(f"intents[{intent!r}]", text)
            if not text.strip():
                raise ValueError(
                    f"intents[{intent!r}] must not be blank, for it would be said as an answer; "
                    "leave it out to say the default"
                )
        if uses := placeholders("no_answer", self.no_answer) - OF_QUESTION:
            raise ValueError(
                f"no_answer must have placeholders of {_listed(OF_QUESTION)} alone, got "
                f"{_listed(uses)}; nothing was found that could fill it"
            )

    @classmethod
    def read(cls, path: Path) -> "Templates":
        """Read a YAML file with `default`, `no_answer` and `intents`, all optional.

        Raises:
            ValueError: the file is no such YAML, or a placeholder is unknown; names file, key and
                what is allowed.
            OSError: the file cannot be read.
        """
        text = path.read_text(encoding="utf-8")
        try:
            content, repeated = yaml.safe_load(text), repeated_keys(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{path} must be YAML: {error}") from error
        try:
            if repeated:
                raise ValueError(repeated[0])
            return cls(**_checked({} if content is None else content))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _checked(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or (unknown := [key for key in content if key not in KEYS]):
        got = unknown[0] if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"templates must have the keys {', '.join(KEYS)} alone, got {got}")
    intents = content.get("intents", {})
    if not isinstance(intents, dict):
        raise ValueError(f"intents must be a mapping of intent to text, got {intents!r}")
    if odd := [key for key in intents if key is None or isinstance(key, bool)]:
        raise ValueError(
            f"intents must have labels as keys, got {odd[0]!r}; YAML reads yes, no, on, off and "
            "null as such, so put the label in quotes"
        )
    texts = {name: content[name] for name in KEYS[:2] if name in content}
    for name, text in (*texts.items(), *((f"intents[{key!r}]", intents[key]) for key in intents)):
        if not isinstance(text, str):
            raise ValueError(f"{name} must be a text, got {text!r}; put it in quotes")
    return texts | {"intents": {str(key): text for key, text in intents.items()}}


def placeholders(name: str, template: str) -> frozenset[str]:
    """Names of a template's placeholders.

    Args:
        name: What the template is called in messages.
        template: The text.

    Raises:
        ValueError: braces do not match, or a placeholder is none of `PLACEHOLDERS`.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(
            f"{name} must have matching braces, got {template!r} ({error}); write {{{{ for a brace"
        ) from error
    for _, found, form, conversion in parts:
        if found is not None and (found not in PLACEHOLDERS or form or conversion):
            whole = found + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ValueError(
                f"placeholders of {name} must be some of {_listed(PLACEHOLDERS)}, got {{{whole}}}"
            )
    return frozenset(found for _, found, _, _ in parts if found is not None)


def filled(template: str, values: Mapping[str, str]) -> str | None:
    """The template with its placeholders filled in; None if one has no value, or an empty one.

    Args:
        template: A text whose placeholders are known ones.
        values: Values by placeholder.
    """
    if not all(values.get(name) for name in placeholders("template", template)):
        return None
    return template.format_map(values)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))
