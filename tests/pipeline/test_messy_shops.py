import re

import pytest
import yaml

from dataset.arrays import load_dataset
from dataset.config import DataConfig
from dataset.prepare.build import build
from dataset.prepare.sources import open_source
from dataset.prepare.validation import InputError
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Shopper, Wishes
from tests.pipeline.messy_shops import BUILT, REFUSED, REMEDIED
from tests.pipeline.run import every_stage
from tests.pipeline.shops import write


@pytest.mark.parametrize("name", list(BUILT))
def test_the_data_stage_builds_a_messy_shop(name, tmp_path):
    build(DataConfig(), open_source(str(write(tmp_path / "shop", *BUILT[name]))), tmp_path / "data")

    data = load_dataset(tmp_path / "data")
    assert len(data.item_ids)
    assert data.users


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_shop_that_cannot_be_read_is_refused_with_a_remedy(name, tmp_path):
    tables, remedy = REFUSED[name]
    folder = write(tmp_path / "shop", *tables)

    with pytest.raises(InputError, match=remedy):
        build(DataConfig(), open_source(str(folder)), tmp_path / "data")


@pytest.mark.parametrize("name", list(REMEDIED))
def test_the_options_that_a_refusal_gives_let_the_shop_be_built(name, tmp_path):
    source = str(write(tmp_path / "shop", *REMEDIED[name]))
    with pytest.raises(InputError) as refusal:
        build(DataConfig(), open_source(source), tmp_path / "data")
    given = re.findall(r"`(\w+: [^`]+)`", str(refusal.value))
    offered = given[0 if name == "repeated items" else -1].replace("WEIGHT", "1")
    options = yaml.safe_load(offered)

    config = DataConfig(**options)
    build(config, open_source(source, config=config), tmp_path / "data")

    assert load_dataset(tmp_path / "data").users


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BUILT))
def test_every_stage_builds_a_messy_shop_that_answers(name, tmp_path, tiny_bert):
    root = every_stage(write(tmp_path / "shop", *BUILT[name]), tmp_path / "artifacts", tiny_bert)

    engine = Engine.load(root, EngineConfig())
    engine.warm_up()
    for shopper in (Shopper(), Shopper(search="red mug")):
        assert len(engine.recommend(shopper, Wishes(limit=3)).items) == 3
