"""Keeps what a system predicted, so that an interrupted benchmark goes on with the next system."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from lineage.whole_files import replacing

logger = logging.getLogger(__name__)
Arrays = Mapping[str, NDArray[Any]]
SECONDS = "seconds"
"""Name of the array that holds the wall time of learning and predicting"""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Predictions of finished systems in a folder, a file each."""

    folder: Path
    made_from: Mapping[str, Any]
    """What all of them depend on: checksums of the data, options."""

    def of(self, name: str, identity: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
        """The arrays of a system, from its file if it was made from the same, else made now.

        Args:
            name: Name of the system and of what it learnt from; becomes the file's.
            identity: What its predictions depend on beside `made_from`.
            make: Learns and predicts.
        """
        whole = json.dumps([self.made_from, identity], sort_keys=True)
        key = hashlib.sha256(whole.encode()).hexdigest()[:12]
        path = self.folder / f"{name.replace(' ', '-')}-{key}.safetensors"
        if path.is_file():
            logger.info("%s is finished: %s", name, path)
            return load_file(path)
        logger.info("%s …", name)
        started = time.monotonic()
        made = dict(make())
        made.setdefault(SECONDS, np.array(round(time.monotonic() - started, 1)))
        with replacing(path) as partial:
            save_file({one: np.asarray(values, order="C") for one, values in made.items()}, partial)
        return load_file(path)


def versions(*packages: str) -> dict[str, str]:
    """Version of each package that is installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
