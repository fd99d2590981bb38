import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.plain_text import plain_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Red kettle", "Red kettle"),
        ("<p>A <b>red</b> thing &amp; more.</p><script>alert(1)</script>", "A red thing & more."),
        ("<ul><li>one</li><li>two</li></ul>", "one two"),
        ("line<br/>break<BR>two", "line break two"),
        ("<style>p { color: red }</style>Lamp", "Lamp"),
        ("Lamp<script>never closed", "Lamp"),
        ("Lamp<!-- a\nremark -->s", "Lamp s"),
        ('<a href="x">Tom &amp; Jerry</a>', "Tom & Jerry"),
        ("&lt;p&gt;escaped&lt;/p&gt;", "escaped"),
        ("&amp;amp; twice", "& twice"),
        ("5 &lt; 6 &euro;", "5 < 6 €"),
        ("caf&#233; &#x2713; &nbsp;", "café ✓ \u00a0"),
        ("AT&T, R&D, a=1&reg=2 &unknown;", "AT&T, R&D, a=1&reg=2 &unknown;"),
        ("I <3 you, a < b > c, vector<int>", "I <3 you, a < b > c, vector<int>"),
        ("NUL\0 inside &#0;", "NUL inside \ufffd"),
        ("", ""),
    ],
)
def test_tags_go_and_entities_are_decoded(text, expected):
    assert plain_text(text) == expected


PARTS = [*"ab <>&;/#1", "p", "br", "script", "amp", "lt", "gt"]


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_the_plain_text_of_a_plain_text_is_itself(text):
    once = plain_text(text)

    assert plain_text(once) == once or once.count("&") + once.count("<") > 3


@pytest.mark.parametrize("part", ["<script>", "<p <p ", "&amp;", "<!--", "&lt;", "</script ", "<"])
def test_hostile_texts_take_no_longer_than_others(part):
    started = time.perf_counter()

    plain_text(part * ((64 << 10) // len(part)))

    assert time.perf_counter() - started < 1
