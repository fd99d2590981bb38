import pytest

from dataset.arrays import save_dataset
from events.open_store import open_store


@pytest.fixture
def root(tmp_path, shop):
    """A folder of unpublished stages that holds data alone."""
    (tmp_path / "data").mkdir()
    save_dataset(tmp_path / "data", shop)
    return tmp_path


@pytest.fixture
def store(root):
    """The event store in the folder."""
    store = open_store(str(root / "events.sqlite"))
    yield store
    store.close()
