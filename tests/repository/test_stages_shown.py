"""The Makefile and the README match the graph of the stages."""

import re

import pytest

from lineage.stages import EVALUATED, STAGES


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_the_makefile_target_of_a_stage_runs_its_module(pytestconfig, stage):
    makefile = (pytestconfig.rootpath / "Makefile").read_text()

    recipe = re.search(rf"^{stage.target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)

    assert recipe is not None
    assert re.search(rf"-m {re.escape(stage.module)} ", recipe[1])


def test_the_pipeline_makes_every_stage_in_order_then_the_report(pytestconfig):
    makefile = (pytestconfig.rootpath / "Makefile").read_text()
    targets = [*dict.fromkeys(stage.target for stage in EVALUATED.values()), "bench"]

    loop = re.search(r"^pipeline:.*\n\t@for stage in (.+); do", makefile, re.MULTILINE)
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)

    assert loop is not None
    assert loop[1].split() == targets
    assert phony is not None
    assert set(targets) <= set(phony[1].split())


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
