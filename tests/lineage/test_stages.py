"""The graph of the stages agrees with what the stages write."""

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


def test_a_server_reads_only_the_manifests_of_the_trial_and_of_backbones_beside_it():
    assert {
        "backbone",
        "distilled",
        "trial/towers",
        "trial/index",
        "trial/shortlists",
    } == NOT_SERVED


@pytest.mark.parametrize("path", STAGES)
def test_a_stage_that_ran_has_its_main_files_and_its_inputs(release, path):
    manifest = read_manifest(release / path, path)

    assert set(STAGES[path].writes) <= set(manifest.files)
    assert tuple(manifest.inputs) == STAGES[path].needs
