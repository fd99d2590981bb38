"""`python -m benchmarks.demo`: serve a finished release and print recommendations over gRPC."""

import argparse
import logging
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from dataset.arrays import TEST, Dataset, load_dataset
from dataset.config import NOTES
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import read_manifest
from lineage.stages import DATA, RANKER
from serving.cli.tables.answers import answer_table, history_table
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

logger = logging.getLogger("benchmarks.demo")
START_SECONDS = 120
SHOWN = 3
RECOMMENDED = 8


def main() -> None:
    """Start the server as an operator would, ask it for a few users' items, and stop it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--artifacts", type=Path, required=True, help="folder of a release")
    parser.add_argument("--config", type=Path, required=True, help="YAML file of the server")
    parser.add_argument("--users", type=int, default=SHOWN, help="number of users to show")
    arguments = parser.parse_args()
    configure_logging()
    with reported_errors():
        show(arguments.artifacts, arguments.config, arguments.users)


def show(release: Path, config: Path, users: int) -> None:
    """Start a server, ask it for some users' recommendations, and print the answers."""
    data = load_dataset(release / DATA)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "serving", "serve", "--artifacts", str(release)]
    server = subprocess.Popen([*command, "--config", str(config), "--server.port", str(port)])
    try:
        with RecommenderClient(f"127.0.0.1:{port}") as client:
            client.wait_until_ready(START_SECONDS)
            for user in np.random.default_rng(1).permutation(data.users)[:users].tolist():
                _print(client, data, user)
            if not data.users:
                _print_without_users(client, data)
        for note in read_manifest(release / RANKER, RANKER).facts[NOTES]:
            Console().print(note, "")
    finally:
        server.send_signal(signal.SIGTERM)
        logger.info("server stopped with status %d", server.wait(START_SECONDS))


def _print(client: RecommenderClient, data: Dataset, user: int) -> None:
    """Print one user's history and recommendations."""
    user_id = data.user_ids[user]
    titles = [data.titles[int(row)] for row in data.history(user, before=TEST + 1)]
    answer = client.recommend(Shopper(user_id=user_id), Wishes(limit=RECOMMENDED))
    console = Console()
    console.print(history_table(titles, of=f"user {user_id}"))
    console.print(answer_table(answer, title=f"recommended to user {user_id}"), "")


def _print_without_users(client: RecommenderClient, data: Dataset) -> None:
    """Print what a shop without interactions can answer: a search, and neighbours of an item."""
    row = int(np.random.default_rng(1).integers(len(data.item_ids)))
    title, wishes = data.titles[row], Wishes(limit=RECOMMENDED)
    console = Console()
    found = client.recommend(Shopper(search=title), wishes)
    console.print(answer_table(found, title=f"found for {title!r}"), "")
    similar = client.similar(data.item_ids[row], wishes)
    console.print(answer_table(similar, title=f"similar to {title!r}"), "")


if __name__ == "__main__":
    main()
