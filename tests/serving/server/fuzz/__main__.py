"""`python -m tests.serving.server.fuzz`: attack a server on the wire, or play a failure again."""

import argparse
import json
import sys
from pathlib import Path

from tests.serving.server.fuzz.attack import Bounds, Levels, after, attack
from tests.serving.server.fuzz.attacked import new_server
from tests.serving.server.fuzz.wire import Session


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.serving.server.fuzz", description=__doc__
    )
    parser.add_argument("--requests", type=int, default=100_000, help="how many to send")
    parser.add_argument("--seed", type=int, default=1, help="decides every byte")
    parser.add_argument("--first", type=int, default=0, help="number of the first batch")
    parser.add_argument("--tls", action="store_true", help="speak TLS")
    parser.add_argument("--replay", type=Path, help="script of a failure, which it prints")
    options = parser.parse_args()
    if options.replay is not None:
        sys.exit(replay(options.replay, tls=options.tls))
    try:
        report = attack(
            options.requests, seed=options.seed, tls=options.tls, first=options.first, shown=True
        )
    except AssertionError as failure:
        sys.exit(str(failure))
    sys.stdout.write(f"{report}\n")


def replay(script, *, tls):
    """What is wrong with a server after a script; None if it is well."""
    played = [
        Session("replayed", tuple(map(bytes.fromhex, writes)))
        for writes in json.loads(script.read_text())
    ]
    with new_server(tls=tls) as server:
        return after(played, server, Levels(server), Bounds()) or None


if __name__ == "__main__":
    main()
