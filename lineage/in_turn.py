"""`python -m lineage.in_turn STAGE OPTIONS… + STAGE OPTIONS… …`: run stages one after another.

Each runs in a process of its own, as with `python -m STAGE OPTIONS…`. The first runs while torch
and the other slow libraries are imported; the others are forked from the process that has imported
them.
"""

import argparse
import multiprocessing
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess

NEXT = "+"
"""Argument between two stages"""
IMPORTED = (
    "torch",
    "pytorch_lightning",
    "torchmetrics",
    "transformers.models.bert.modeling_bert",
    "peft",
    "scipy.sparse",
    "polars",
    "faiss",
)
"""Slow libraries that stages import"""


def main() -> None:
    """Run the stages of the command line; the first that fails ends it, with its exit status."""
    parser = argparse.ArgumentParser(prog="python -m lineage.in_turn", description=__doc__)
    parser.add_argument(
        "stages", nargs=argparse.REMAINDER, help=f"module and options of each, with {NEXT} between"
    )
    sys.exit(run_in_turn(split(parser.parse_args().stages), IMPORTED))


def run_in_turn(stages: Sequence[Sequence[str]], imported: Sequence[str]) -> int:
    """Run stages until one fails.

    Args:
        stages: Module and options of each.
        imported: Modules that all but the first find imported.

    Returns:
        Exit status of the last that ran; negative for the number of the signal that ended it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(imported))
    first, *others = stages
    if others:
        forkserver.ensure_running()
    status = _waited_for(subprocess.Popen([sys.executable, "-m", *first]))
    for stage in others:
        if status:
            break
        process = context.Process(target=_run, args=(list(stage),))
        process.start()
        status = _waited_for(process)
    return status


def _waited_for(process: subprocess.Popen[bytes] | BaseProcess) -> int:
    """The exit status of a process, which is terminated if this one is."""

    def pass_on(number: int, _: object) -> None:
        if number == signal.SIGTERM:  # a terminal sends SIGINT to both
            process.terminate()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    if isinstance(process, BaseProcess):
        process.join()
        return process.exitcode or 0
    return process.wait()


def _run(stage: list[str]) -> None:
    """Run a module as `python -m` does."""
    sys.argv[:] = stage
    runpy.run_module(stage[0], run_name="__main__", alter_sys=True)


def split(arguments: Sequence[str]) -> list[list[str]]:
    """The arguments of each stage."""
    stages: list[list[str]] = [[]]
    for argument in arguments:
        if argument == NEXT:
            stages.append([])
        else:
            stages[-1].append(argument)
    return stages


if __name__ == "__main__":
    main()
