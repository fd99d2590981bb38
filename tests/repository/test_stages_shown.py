"""The Makefile and the README match the graph of the stages."""

import re
import subprocess

from lineage.stages import EVALUATED, STAGES


def test_the_makefile_target_of_a_stage_runs_its_module(pytestconfig):
    targets = [*dict.fromkeys(stage.target for stage in STAGES.values())]

    run = _modules(pytestconfig.rootpath, *targets)

    assert {stage.module for stage in STAGES.values()} <= set(run)


def test_the_pipeline_makes_every_stage_in_order_then_the_report(pytestconfig):
    run = _modules(pytestconfig.rootpath, "pipeline")

    evaluated = [stage.module for stage in EVALUATED.values()]
    assert [*run] == ["dataset.prepare.download", "lineage.in_turn", *evaluated, "benchmarks"]


def _modules(checkout, *targets):
    """The modules that `make` would run for some targets, in order."""
    made = subprocess.run(
        ["make", "--dry-run", *targets], cwd=checkout, capture_output=True, text=True, check=True
    )
    return re.findall(r"(?<=-m )[\w.]+|(?<= \+ )[\w.]+|(?<=in_turn )[\w.]+", made.stdout)


def test_the_readme_lists_the_stages(pytestconfig):
    readme = (pytestconfig.rootpath / "README.md").read_text()
    lines = ["| stage | what it does | made by | needs | main files |", "|---|---|---|---|---|"]
    for stage in STAGES.values():
        needs = ", ".join(f"`{path}`" for path in stage.needs) or "raw data"
        files = ", ".join(f"`{name}`" for name in stage.writes)
        lines.append(
            f"| `{stage.path}` | {stage.about} | `make {stage.target}` | {needs} | {files} |"
        )

    shown = re.search(r"<!-- stages -->\n(.*)\n<!-- /stages -->", readme, re.DOTALL)

    assert shown is not None
    assert shown[1] == "\n".join(lines)
