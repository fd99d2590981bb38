"""All of a classifier but its backbones, and its files; importable without Lightning."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from classifier.kernel import Kernel
from classifier.lexical import Lexical
from classifier.targets import Labels, Numbers, Target, output_slices
from dataset.item_text import Field, text_of_columns
from lineage.manifest import read_manifest
from lineage.stages import CLASSIFIER

HEADS, OPTIONS = "heads.safetensors", "classifier.json"
States = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """All of a classifier but its backbones: targets, heads and how texts are rendered."""

    targets: Sequence[Target]
    weights: Sequence[NDArray[np.float32]]
    """(classes, hidden) of each output; a hierarchy has an output for each level. With several
    backbones, `hidden` is that of all."""
    biases: Sequence[NDArray[np.float32]]
    """(classes,) of each output."""
    temperatures: Sequence[float]
    """Divides the logits of each output, so that probabilities are calibrated."""
    text_columns: tuple[str, ...]
    """Columns that a text is rendered from, in their order."""
    token_budget: int
    """Most words and punctuation marks of a text."""
    max_tokens: int
    """Most word pieces of a text, including the special tokens."""
    kernels: Mapping[int, Kernel] = field(default_factory=dict)
    """Kernels by number of the output; each replaces the linear head of its output."""
    lexicals: Mapping[int, Lexical] = field(default_factory=dict)
    """Words that numbers are also predicted from, by output; the mean of both counts."""

    def outputs(self, target: Target) -> range:
        """Numbers of a target's outputs."""
        slices = output_slices(self.targets)
        return slices[[one.name for one in self.targets].index(target.name)]

    def logits(self, states: States, output: int) -> States:
        """(texts, classes): one output, given the states (texts, hidden) of unit length."""
        if output in self.kernels:
            return self.kernels[output](states)[:, None]
        scale = np.float32(np.sqrt(states.shape[1]))
        logits = (scale * states) @ self.weights[output].T + self.biases[output]
        return np.asarray(logits, np.float32)

    def numbers(self, states: States, texts: Sequence[str], output: int) -> NDArray[np.float64]:
        """(texts,): numbers on the learnt scale, given texts and their states."""
        found = self.logits(states, output)[:, 0].astype(np.float64)
        if output in self.lexicals:
            return (found + self.lexicals[output](texts)) / 2
        return found

    def text_of(self, fields: Mapping[str, Field]) -> str:
        """The text of an item, rendered from its fields as in training."""
        return text_of_columns(fields, self.text_columns, self.token_budget)


def save_parts(folder: Path, parts: Parts) -> None:
    """Write the parts into a stage's folder."""
    tensors = {f"weight.{place}": values for place, values in enumerate(parts.weights)}
    tensors |= {f"bias.{place}": values for place, values in enumerate(parts.biases)}
    for place, kernel in parts.kernels.items():
        tensors[f"landmarks.{place}"] = kernel.landmarks
        tensors[f"kernel.{place}"] = kernel.weights
    for place, lexical in parts.lexicals.items():
        tensors[f"rarity.{place}"] = lexical.rarity
        tensors[f"words.{place}"] = lexical.weights
    save_file(
        {name: np.ascontiguousarray(values) for name, values in tensors.items()}, folder / HEADS
    )
    options = {
        "targets": [_described(target) for target in parts.targets],
        "temperatures": [float(value) for value in parts.temperatures],
        "text_columns": list(parts.text_columns),
        "token_budget": parts.token_budget,
        "max_tokens": parts.max_tokens,
        "kernels": {
            place: {"mean": kernel.mean, "sharpness": kernel.sharpness}
            for place, kernel in parts.kernels.items()
        },
        "lexicals": {place: lexical.mean for place, lexical in parts.lexicals.items()},
    }
    (folder / OPTIONS).write_text(json.dumps(options, ensure_ascii=False), encoding="utf-8")


def load_targets(folder: Path) -> list[Target]:
    """What a classifier predicts, without its weights.

    Raises:
        ArtifactError: the folder holds no classifier of this version.
    """
    read_manifest(folder, CLASSIFIER)
    options = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    return [_target(described) for described in options["targets"]]


def load_parts(folder: Path) -> Parts:
    """What `save_parts` wrote."""
    options = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    tensors, outputs = load_file(folder / HEADS), range(len(options["temperatures"]))
    return Parts(
        targets=[_target(described) for described in options["targets"]],
        weights=[tensors[f"weight.{place}"] for place in outputs],
        biases=[tensors[f"bias.{place}"] for place in outputs],
        temperatures=options["temperatures"],
        text_columns=tuple(options["text_columns"]),
        token_budget=options["token_budget"],
        max_tokens=options["max_tokens"],
        kernels={
            int(place): Kernel(
                landmarks=tensors[f"landmarks.{place}"], weights=tensors[f"kernel.{place}"], **given
            )
            for place, given in options["kernels"].items()
        },
        lexicals={
            int(place): Lexical(
                rarity=tensors[f"rarity.{place}"], weights=tensors[f"words.{place}"], mean=mean
            )
            for place, mean in options["lexicals"].items()
        },
    )


def _described(target: Target) -> dict[str, Any]:
    if isinstance(target, Numbers):
        return {"numbers": asdict(target)}
    plain = replace(target, parents=())
    return {"labels": asdict(plain) | {"parents": [place.tolist() for place in target.parents]}}


def _target(described: Mapping[str, Any]) -> Target:
    if "numbers" in described:
        options = described["numbers"]
        return Numbers(**options | {"outputs": tuple(options["outputs"])})
    options = described["labels"]
    return Labels(
        name=options["name"],
        levels=tuple(tuple(labels) for labels in options["levels"]),
        parents=tuple(np.array(places, np.int64) for places in options["parents"]),
        separator=options["separator"],
    )
