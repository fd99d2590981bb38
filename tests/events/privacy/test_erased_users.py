import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.event import GRACE
from events.privacy.erased_users import ErasedUsers
from events.privacy.key_file import KeyFile, add_key
from events.privacy.user_names import digest_of
from lineage.manifest import CorruptArtifactError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ERASED"


def test_an_erased_user_is_known_to_every_reader_at_once(path):
    reader = ErasedUsers(path)
    assert reader.until("jane") is None

    ErasedUsers(path).add({digest_of("jane"): 100})

    assert reader.until("jane") == ErasedUsers(path).until("jane") == 100 + GRACE
    assert reader.until("joan") is None
    assert reader.version == 1


def test_the_file_holds_no_id(path):
    ErasedUsers(path).add({digest_of("jane@example.com"): 100})

    assert b"jane" not in path.read_bytes()


def test_the_last_erasure_of_a_user_counts_and_the_file_grows_only_by_new_ones(path):
    erased = ErasedUsers(path)
    erased.add({digest_of("jane"): 100})
    size = path.stat().st_size

    erased.add({digest_of("jane"): 100})
    erased.add({digest_of("jane"): 90})
    assert path.stat().st_size == size
    erased.add({digest_of("jane"): 200})

    assert ErasedUsers(path).until("jane") == 200 + GRACE
    assert path.stat().st_size > size


def test_a_lost_file_makes_no_one_known_again_and_is_written_anew(path):
    erased = ErasedUsers(path)
    erased.add({digest_of("jane"): 100})
    path.unlink()
    assert erased.until("jane") == 100 + GRACE

    erased.add(erased.digests)

    assert ErasedUsers(path).until("jane") == 100 + GRACE


def test_a_damaged_file_is_refused_at_the_start_and_changes_nothing_later(path, caplog):
    erased = ErasedUsers(path)
    erased.add({digest_of("jane"): 100, digest_of("joan"): 200})
    content = bytearray(path.read_bytes())
    content[30] ^= 255
    path.write_bytes(content)

    with pytest.raises(CorruptArtifactError, match="ERASED is damaged"):
        ErasedUsers(path)
    assert erased.until("jane") == 100 + GRACE
    assert "erased users known before stay erased" in caplog.text


def test_many_writers_lose_no_user(path):
    def add(n):
        ErasedUsers(path).add({digest_of(f"u{n}"): n})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))

    assert set(ErasedUsers(path).digests) == {digest_of(f"u{n}") for n in range(40)}


KILLED = """
import sys
from pathlib import Path
from events.privacy.erased_users import ErasedUsers
erased = ErasedUsers(Path(sys.argv[1]))
for n in range(10**6):
    erased.add({f"d{n}": n})
    print(n, flush=True)
"""


def test_a_killed_writer_loses_no_user_that_it_acknowledged(path):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        acknowledged = [int(writer.stdout.readline()) for _ in range(30)]
        writer.kill()

    assert {f"d{n}" for n in acknowledged} <= set(ErasedUsers(path).digests)
    ErasedUsers(path).add({"after": 1})


def test_keyed_users_are_found_under_every_name(path, tmp_path):
    add_key(tmp_path / "users.key")
    keys = KeyFile(tmp_path / "users.key")
    erased = ErasedUsers(path, keys)
    erased.add({digest_of("early"): 1, digest_of(keys.names.current("jane")): 100})
    add_key(keys.path)

    assert erased.until("jane") == 100 + GRACE
    assert erased.until("early") == 1 + GRACE
    assert erased.prolong(keys.names) == 1
    assert ErasedUsers(path, keys).until("jane") == 100 + GRACE
    assert ErasedUsers(path, keys).until("early") == 1 + GRACE
