"""What fake engines reply to `Profile` and `Answer`."""

from shortlist_client.api.classification import Label
from shortlist_client.api.profile import (
    Interest,
    Preference,
    PreferredValue,
    Profile,
    TypicalItem,
)
from shortlist_client.api.reply import FaqEntry, FoundProduct, Reply

PROFILE = Profile(
    sentence="Mostly film (100%); likely next: Sci-Fi (61%).",
    interests=[
        Interest(
            weight=1.0,
            newest_time=None,
            age=0,
            size=1,
            words=("film",),
            typical_items=[TypicalItem(item_id="50", title="Star Wars [1977]")],
        )
    ],
    preferences=[
        Preference(
            attribute="genre",
            values=[PreferredValue(value="Sci-Fi", probability=0.61, share=1.0)],
            learnt=False,
            several=True,
        )
    ],
    history_length=1,
)

REPLY = Reply(
    answered=True,
    text="Été [wash] at 30°.",
    entry=FaqEntry(entry_id="e1", title="Washing", text="At 30°.", probability=0.875),
    threshold=0.5,
    intent=Label(label="care", probability=0.75),
    products=(FoundProduct(item_id="i1", title="Mug", price="2.5", score=1.5),),
)
