"""Saves and loads a decoder with its semantic ids; importable without Lightning."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from backbone.device import best_device
from generative.config import GenerativeConfig
from generative.decoder import empty_decoder
from generative.generator import Generator
from generative.trie import Trie
from index.generated import Generated
from lineage.arrays import read_array
from lineage.manifest import MANIFEST, read_manifest
from lineage.stages import GENERATIVE

WEIGHTS, CODES = "decoder.safetensors", "codes.npy"
WEIGHT = "generated weight"
"""Key of the stage's fact: weight in the merge that it chose or was given."""


def save_generator(folder: Path, generator: Generator) -> None:
    """Write a decoder (fp32) and the semantic ids into a stage's folder."""
    weights = {name: part.contiguous() for name, part in generator.decoder.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    np.save(folder / CODES, generator.codes.cpu().numpy().astype(np.int32))


def load_generator(root: Path) -> Generator:
    """Load the generator of a dataset's finished stage, on the best device.

    Raises:
        ArtifactError: the stage is missing or cannot be read.
    """
    folder = root / GENERATIVE
    config = GenerativeConfig(**read_manifest(folder, GENERATIVE).config)
    codes = np.asarray(read_array(folder / CODES))
    decoder = empty_decoder((codes.max(axis=0) + 1).tolist(), config)
    decoder.load_state_dict(load_file(folder / WEIGHTS))
    decoder.eval().requires_grad_(requires_grad=False).to(best_device())
    return Generator(
        decoder=decoder,
        codes=torch.from_numpy(codes.astype(np.int64)).to(best_device()),
        trie=Trie.of(codes),
    )


def load_generated(root: Path) -> Generated | None:
    """The recall source of a dataset's stages or of a release; None where it is off.

    Raises:
        ArtifactError: the stage is there, but cannot be read.
    """
    folder = root / GENERATIVE
    if not (folder / MANIFEST).is_file():
        return None
    weight = float(read_manifest(folder, GENERATIVE).facts[WEIGHT])
    return Generated(generate=load_generator(root), weight=weight) if weight else None
