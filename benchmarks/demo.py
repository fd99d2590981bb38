"""`python -m benchmarks.demo`: serve a finished release, ask it over gRPC, print what it says."""

import argparse
import logging
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from dataset.arrays import Dataset, load_dataset
from lineage.cli import configure_logging, reported_errors
from serving.client import RecommenderClient
from serving.server import free_port
from serving.table import answer_table

logger = logging.getLogger("benchmarks.demo")
START_SECONDS = 120
SHOWN = 3


def main() -> None:
    """Start the server as an operator would, ask it for a few users, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, required=True, help="folder of a release")
    parser.add_argument("--config", type=Path, required=True, help="YAML file of the server")
    parser.add_argument("--users", type=int, default=SHOWN, help="how many users to ask for")
    arguments = parser.parse_args()
    configure_logging()
    with reported_errors():
        show(arguments.artifacts, arguments.config, arguments.users)


def show(release: Path, config: Path, users: int) -> None:
    """Ask a server of its own for some users and print the answers."""
    data = load_dataset(release / "data")
    port = free_port()
    command = [sys.executable, "-m", "serving", "serve", "--artifacts", str(release)]
    server = subprocess.Popen([*command, "--config", str(config), "--server.port", str(port)])
    try:
        with RecommenderClient(f"127.0.0.1:{port}") as client:
            client.wait_until_ready(START_SECONDS)
            for user in np.random.default_rng(1).permutation(data.users)[:users].tolist():
                _print(client, data, user)
    finally:
        server.send_signal(signal.SIGTERM)
        logger.info("server stopped with status %d", server.wait(START_SECONDS))
