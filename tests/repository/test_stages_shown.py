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


def test_every_stage_that_reads_texts_is_told_the_backbone(pytestconfig):
    shown = _shown(pytestconfig.rootpath, "pipeline", "BACKBONE=some/where")

    told = re.findall(r"([\w.]+) --config [^+]*--backbone 'some/where'", shown)
    assert told == ["towers.trial", "towers", "ranker"]


def test_a_folder_with_spaces_is_a_log_of_searches(pytestconfig, tmp_path):
    folder = tmp_path / "my faq"
    folder.mkdir()
    (folder / "queries.csv").touch()
    (folder / "labels.csv").touch()

    measured, answered = (
        _shown(pytestconfig.rootpath, target, f"DATASET={folder}")
        for target in ("bench-language", "answers")
    )

    assert "-m dataset --" in measured
    assert "towers.trial --config 'configs/search/towers.yaml'" in answered


def test_a_table_without_a_column_of_text_is_left_to_the_command(pytestconfig, tmp_path):
    (tmp_path / "messages.csv").touch()

    run = _modules(pytestconfig.rootpath, "distil", f"DATASET={tmp_path / 'messages.csv'}")

    assert run[-1] == "pretraining.distil"
    assert "dataset" not in run


def _modules(checkout, *targets):
    """The modules that `make` would run for some targets, in order."""
    return re.findall(
        r"(?<=-m )[\w.]+|(?<= \+ )[\w.]+|(?<=in_turn )[\w.]+", _shown(checkout, *targets)
    )


def _shown(checkout, *targets):
    """The commands that `make` would run for some targets."""
    made = subprocess.run(
        ["make", "--dry-run", *targets], cwd=checkout, capture_output=True, text=True, check=True
    )
    return made.stdout


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
