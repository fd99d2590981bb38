"""The client's `answer`, and the command that prints it, against a server with a fake engine."""

from dataclasses import replace

import pytest

from serving.__main__ import main
from serving.api.request import Method
from shortlist_client.api.answer import Degraded
from shortlist_client.api.request import Wishes
from tests.fake_replies import REPLY

NOTHING = replace(REPLY, answered=False, text="", intent=None, products=())


@pytest.mark.parametrize("reply", [REPLY, NOTHING])
def test_a_reply_arrives_as_the_engine_made_it(client, fake, reply):
    fake.reply = reply
    fake.answer = replace(fake.answer, degraded=Degraded.DEADLINE)

    told = client.answer("How?", Wishes(limit=1, request_id="r-1"))

    assert {name: getattr(told, name) for name in vars(reply)} == vars(reply)
    assert (told.request_id, told.versions) == ("r-1", fake.versions)
    assert told.degraded is Degraded.DEADLINE
    (request,) = fake.requests
    assert (request.method, request.texts) == (Method.ANSWER, ("How?",))
    assert request.wishes == Wishes(limit=1, request_id="r-1")


def test_a_question_of_a_wrong_type_is_refused_before_anything_is_sent(client, fake):
    with pytest.raises(TypeError, match="question"):
        client.answer(5)

    assert fake.requests == []


def test_the_command_prints_what_is_said_and_why(server, fake, capsys):
    main(["answer", "--target", server.address, "How?"])
    first = capsys.readouterr().out
    fake.reply = NOTHING
    main(["answer", "--target", server.address, "How?"])

    for expected in ("> How?", "Été [wash] at 30°.", "87.5%  Washing (e1)", "care", "Mug (2.5)"):
        assert expected in first
    assert "no answer: –" in capsys.readouterr().out
