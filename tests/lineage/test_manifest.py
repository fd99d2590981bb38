import json
import os
import signal
import subprocess
import sys

import pytest

from lineage.manifest import (
    CorruptArtifactError,
    Manifest,
    MismatchedArtifactError,
    MissingArtifactError,
    OtherFormatError,
    checksum,
    is_up_to_date,
    read_manifest,
    require_inputs,
    require_newest_format,
    verify_files,
    writing,
)
from lineage.stages import STAGES

CONFIG = {"budget": 3, "fields": ("a", "b")}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shop" / "data"


def write(folder, content="first", config=CONFIG, inputs=None):
    with writing(folder, stage="data", config=config, inputs=inputs or {}) as (partial, facts):
        (partial / "sub").mkdir()
        (partial / "sub" / "rows.txt").write_text(content)
        facts["rows"] = 1
    return read_manifest(folder, "data")


def test_a_manifest_lists_the_files_and_facts_of_its_stage(folder):
    manifest = write(folder)

    assert manifest.files == {"sub/rows.txt": checksum(folder / "sub" / "rows.txt")}
    assert manifest.facts == {"rows": 1}
    verify_files(folder, manifest)


def test_writing_leaves_no_temporary_folder(folder):
    write(folder)
    write(folder, "second")

    assert [path.name for path in folder.parent.iterdir()] == ["data"]
    assert (folder / "sub" / "rows.txt").read_text() == "second"


def test_the_fingerprint_changes_with_files_configuration_and_inputs_alone(folder):
    first = write(folder).fingerprint

    assert write(folder).fingerprint == first
    assert write(folder, "second").fingerprint != first
    assert write(folder, config={"budget": 4}).fingerprint != first
    assert write(folder, inputs={"raw": "1"}).fingerprint != first


def test_a_stage_is_up_to_date_only_for_its_own_configuration_and_inputs(folder):
    def up_to_date(config=CONFIG, inputs=None):
        return is_up_to_date(folder, stage="data", config=config, inputs=inputs or {})

    assert not up_to_date()
    write(folder)
    assert up_to_date()
    assert not up_to_date({"budget": 4})
    assert not up_to_date(inputs={"raw": "1"})


def test_a_missing_stage_is_refused_with_the_command_that_makes_it(folder):
    with pytest.raises(MissingArtifactError, match="make data DATASET=path/to/shop"):
        read_manifest(folder, "data")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "data"}', '{"surprise": 1}'])
def test_an_unreadable_manifest_is_refused(folder, text):
    write(folder)
    (folder / "manifest.json").write_text(text)

    with pytest.raises(CorruptArtifactError):
        read_manifest(folder, "data")


def change(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_manifest_of_another_stage_is_refused(folder):
    write(folder)
    change(folder, stage="towers")

    with pytest.raises(CorruptArtifactError, match=r"'data', got 'towers'.*make data DATASET=path"):
        read_manifest(folder, "data")


NEWEST = STAGES["data"].format
OLDEST = STAGES["data"].reads_from
READS = str(NEWEST) if OLDEST == NEWEST else f"{OLDEST} to {NEWEST}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": OLDEST - 1}, f"is older: it has format {OLDEST - 1}, .* reads {READS}"),
        ({"format": NEWEST + 1}, f"is newer .* it has format {NEWEST + 1}, .* reads {READS}"),
        ({"format": NEWEST + 1, "field": 3}, "is newer"),
    ],
)
def test_a_manifest_of_another_format_is_not_called_damaged(folder, changes, message):
    write(folder)
    change(folder, **changes)

    with pytest.raises(OtherFormatError, match=f"{message}.*`make data DATASET=path/to/shop`"):
        read_manifest(folder, "data")


def test_a_ranker_of_the_previous_format_is_read_but_not_up_to_date(tmp_path):
    folder, newest = tmp_path / "shop" / "ranker", STAGES["ranker"].format
    with writing(folder, stage="ranker", config={}, inputs={}):
        pass
    assert is_up_to_date(folder, stage="ranker", config={}, inputs={})
    require_newest_format(folder, read_manifest(folder, "ranker"), "ranker")

    change(folder, format=newest - 1)

    assert read_manifest(folder, "ranker").format == newest - 1
    assert not is_up_to_date(folder, stage="ranker", config={}, inputs={})
    with pytest.raises(OtherFormatError, match=r"older: .*`make ranker DATASET=shop`"):
        require_newest_format(folder, read_manifest(folder, "ranker"), "ranker")


def test_a_flipped_bit_is_refused(folder):
    manifest = write(folder)
    path = folder / "sub" / "rows.txt"
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)

    with pytest.raises(CorruptArtifactError, match=r"rows\.txt is changed .* `make data"):
        verify_files(folder, manifest)


def test_a_missing_file_is_refused(folder):
    manifest = write(folder)
    (folder / "sub" / "rows.txt").unlink()

    with pytest.raises(CorruptArtifactError, match=r"rows\.txt is missing .* `make data"):
        verify_files(folder, manifest)


def test_a_stage_made_from_other_inputs_is_refused_by_name_and_command(folder):
    data = write(folder)
    towers = Manifest(stage="towers", config={}, inputs={"data": data.fingerprint}, files={})
    require_inputs(folder.parent / "towers", towers, {"data": data})

    changed = write(folder, "second")

    with pytest.raises(MismatchedArtifactError, match=r"'towers' .* `make towers DATASET=shop`"):
        require_inputs(folder.parent / "towers", towers, {"data": changed})


def test_an_exception_while_writing_leaves_the_old_stage(folder):
    before = write(folder)

    def fail_midway():
        with writing(folder, stage="data", config={}, inputs={}) as (partial, _):
            (partial / "rows.txt").write_text("half")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()

    assert read_manifest(folder, "data") == before
    verify_files(folder, before)


def test_a_killed_writer_leaves_no_stage_and_does_not_block_the_next_writer(folder):
    script = (
        "import os, pathlib, signal, sys\n"
        "from lineage.manifest import writing\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with writing(folder, stage='data', config={}, inputs={}) as (partial, _):\n"
        "    (partial / 'rows.txt').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.returncode == -signal.SIGKILL
    with pytest.raises(MissingArtifactError):
        read_manifest(folder, "data")
    assert set(write(folder).files) == {"sub/rows.txt"}
