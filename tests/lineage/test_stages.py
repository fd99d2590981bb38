"""The graph of the stages agrees with the code, the Makefile and the README."""

import re

import pytest

from lineage.manifest import read_manifest
from lineage.stages import CASCADE, NOT_SERVED, RETRIEVAL, STAGES, TRIAL, with_inputs


def test_a_stage_needs_only_stages_that_are_made_before_it():
    made = set()
    for stage in STAGES.values():
        assert set(stage.needs) <= made, stage.path
        made.add(stage.path)


def test_with_inputs_adds_direct_and_indirect_inputs():
    assert with_inputs("data") == ("data",)
    assert TRIAL == ("data", "trial/towers", "trial/index")
    assert RETRIEVAL == ("data", "trial/towers", "trial/index", "towers", "index")
    assert set(CASCADE) == {*with_inputs("index"), *with_inputs("ranker")}


def test_a_server_reads_only_the_manifests_of_the_trial():
    assert {"trial/towers", "trial/index", "trial/shortlists"} == NOT_SERVED


@pytest.mark.parametrize("path", STAGES)
def test_a_stage_that_ran_has_its_main_files_and_its_inputs(release, path):
    manifest = read_manifest(release / path, path)

    assert set(STAGES[path].writes) <= set(manifest.files)
    assert tuple(manifest.inputs) == STAGES[path].needs


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_the_makefile_target_of_a_stage_runs_its_module(pytestconfig, stage):
    makefile = (pytestconfig.rootpath / "Makefile").read_text()

    recipe = re.search(rf"^{stage.target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)

    assert recipe is not None
    assert re.search(rf"-m {re.escape(stage.module)} ", recipe[1])


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
