"""Plain text of a shop's field: without HTML, with its entities decoded."""

import html
import re
from html.entities import html5

ROUNDS = 4
"""Most levels of escaping that are undone: `&amp;lt;p&amp;gt;` has three"""
_BLOCK = (
    "address|article|aside|blockquote|body|br|caption|center|col|colgroup|dd|details|div|dl|dt|"
    "fieldset|figcaption|figure|footer|form|h[1-6]|head|header|hr|html|iframe|img|input|label|li|"
    "link|main|meta|nav|ol|option|p|pre|section|select|summary|table|tbody|td|textarea|tfoot|th|"
    "thead|title|tr|ul|video"
)
_INLINE = (
    "a|abbr|b|bdi|bdo|big|button|cite|code|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|"
    "strike|strong|sub|sup|tt|u|wbr"
)
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|noscript|template)\b[^<>]*>.*?(?:</\1\s*>|\Z)|<!doctype[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK})(?:[\s/][^<>]*)?>", re.IGNORECASE)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE})(?:[\s/][^<>]*)?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_MARKS = re.compile("[<&\0]")


def plain_text(text: str) -> str:
    """A text without tags, scripts, styles, comments and NUL, with its HTML entities decoded.

    Only names of HTML elements are tags, so that `a < b` and `vector<int>` stay. Escaped HTML is
    treated like HTML. The plain text of a plain text is itself, up to `ROUNDS` levels of escaping.
    Takes time in proportion to the length.
    """
    if not _MARKS.search(text):
        return text
    text = text.replace("\0", "")
    for _ in range(ROUNDS):
        before = text
        text = _ENTITY.sub(_decoded, _without_tags(text))
        if text == before:
            break
    return text


def _without_tags(text: str) -> str:
    stripped = _UNSEEN.sub(" ", text)
    stripped = _INLINE_TAG.sub("", _BLOCK_TAG.sub(" ", stripped))
    return text if stripped == text else " ".join(stripped.split())


def _decoded(match: re.Match[str]) -> str:
    name = match[1]
    if name.startswith("#"):
        return html.unescape(match[0]).replace("\0", "")
    return html5.get(f"{name};", match[0])
