"""Lines of a reply to a question."""

from rich.text import Text

from shortlist_client.api.reply import FoundProduct, Reply


def reply_lines(question: str, reply: Reply) -> Text:
    """The question, what is said, and what that rests on."""
    said = reply.text or "–"
    lines = [said if reply.answered else f"no answer: {said}"]
    entry = reply.entry
    lines.append(f"  entry    {entry.probability:6.1%}  {entry.title} ({entry.entry_id})")
    if reply.intent is not None:
        lines.append(f"  intent   {reply.intent.probability:6.1%}  {reply.intent.label}")
    if reply.products:
        lines.append(f"  products {', '.join(map(_product, reply.products))}")
    return Text("\n").join([Text(f"> {question}", style="bold"), *map(Text, lines), Text()])


def _product(product: FoundProduct) -> str:
    return f"{product.title} ({product.price})" if product.price else product.title
