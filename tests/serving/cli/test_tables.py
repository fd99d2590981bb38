from dataclasses import replace

from rich.console import Console

from serving.cli.tables.answers import answer_table, history_table
from shortlist_client.api.answer import Basis, Degraded, Reason, TextReason


def text(renderable, width=120):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def row(table, word):
    (line,) = [line for line in table.splitlines() if word in line]
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_a_row_has_position_title_id_and_the_scores_of_all_stages(fake):
    cells = row(text(answer_table(fake.answer, title="recommended")), "Star Wars")

    assert cells == [
        "1",
        "Star Wars [1977]",
        "50",
        "2.500",
        "3",
        "0.750",
        "0.250",
        "2.500",
        "0.500",
    ]


def test_an_absent_score_is_a_dash(fake):
    cells = row(text(answer_table(fake.answer, title="")), "Été")

    assert cells[3:] == ["0.125", "–", "–", "–", "–", "–"]


def test_reasons_list_the_helpful_items_of_the_history(fake):
    reasons = tuple(
        Reason(item_id=item_id, contribution=value)
        for item_id, value in (("181", 1.5), ("172", 0.251), ("7", 0.1), ("11", -3.0))
    )
    first, second = fake.answer.items
    explained = replace(fake.answer, items=[replace(first, reasons=reasons), second])

    table = text(answer_table(explained, title=""), width=160)

    assert row(table, "Star Wars")[-1] == "181 +1.50, 172 +0.25"
    assert row(table, "Été")[-1] == ""
    assert "because of" in table
    assert "because of" not in text(answer_table(fake.answer, title=""))


def test_text_reasons_list_the_helpful_fields(fake):
    fields = (("title", 0.25), ("brand", 0.125), ("note", 0.1), ("category", -0.5))
    reasons = tuple(TextReason(field=name, contribution=value) for name, value in fields)
    first, second = fake.answer.items
    explained = replace(fake.answer, items=[replace(first, text_reasons=reasons), second])

    table = text(answer_table(explained, title=""), width=160)

    assert row(table, "Star Wars")[-1] == "title +0.25, brand +0.12"
    assert row(table, "Été")[-1] == ""
    assert "for its" not in text(answer_table(fake.answer, title=""))


def test_a_degraded_answer_is_marked_below_the_table(fake):
    answer = replace(fake.answer, degraded=Degraded.REASONS)

    assert "degraded: reasons" in text(answer_table(answer, title=""))
    assert "degraded" not in text(answer_table(fake.answer, title=""))


def test_basis_times_and_unknown_ids_are_below_the_table(fake):
    answer = replace(fake.answer, basis=Basis.POPULARITY, unknown_user=True)

    table = text(answer_table(answer, title="recommended"))

    assert "basis: popularity" in table
    assert "ms: user_tower 1.5 · index 0.2 · ranker 20.0 · total 22.0" in table
    assert "unknown user" in table
    assert "unknown items, skipped: gone" in table


def test_without_unknown_ids_the_table_has_no_note_about_them(fake):
    assert "know" not in text(answer_table(replace(fake.answer, unknown_item_ids=()), title=""))


def test_brackets_in_titles_are_not_markup(fake):
    titled = replace(fake.answer.items[0], title="[red]Alien[/oops]")

    assert "[red]Alien[/oops]" in text(answer_table(replace(fake.answer, items=[titled]), title=""))
    assert "[red]Alien[/oops]" in text(history_table(["[red]Alien[/oops]"], of="[/b]"))


def test_a_long_title_is_wrapped_and_not_cut(fake):
    titled = replace(fake.answer.items[0], title="long " * 40 + "end")

    table = text(answer_table(replace(fake.answer, items=[titled]), title=""), width=80)

    assert table.count("long") == 40
    assert "end" in table


def test_an_answer_without_items_has_its_notes(fake):
    assert "basis: history" in text(answer_table(replace(fake.answer, items=[]), title=""))


def test_a_history_shows_the_newest_items_and_counts_the_older_ones():
    table = text(history_table(["one", "two", "three", "four"], of="user 7", shown=2))

    assert "history of user 7, newest first" in table
    assert table.index("four") < table.index("three") < table.index("and 2 older")
    assert "two" not in table
