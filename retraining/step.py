"""`python -m retraining.step carry` and `compare`: the steps of a night that are no stages."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from lineage.cli import configure_logging, reported_errors
from lineage.whole_files import replacing


def main() -> None:
    """Carry a release over to newer data, or compare new stages with it and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m retraining.step", description=__doc__)
    parser.add_argument("step", choices=("carry", "compare"))
    parser.add_argument("--root", type=Path, required=True, help="folder of the new stages")
    parser.add_argument("--release", type=Path, required=True, help="folder of the live release")
    parser.add_argument("--output", type=Path, help="JSON file of the comparison")
    parser.add_argument("--users", type=int, default=2_000, help="most moments to compare on")
    parser.add_argument("--warm", action="store_true", help="the new towers went on from the live")
    options = parser.parse_args()
    if options.step == "compare" and options.output is None:
        parser.error("compare needs --output")
    configure_logging()
    with reported_errors():
        if options.step == "carry":
            from retraining.carry import carry

            carry(options.release, options.root)
            return
        from retraining.compare import compare

        found = compare(options.root, options.release, users=options.users, warm=options.warm)
        with replacing(options.output) as partial:
            partial.write_text(json.dumps(asdict(found), indent=1))


if __name__ == "__main__":
    main()
