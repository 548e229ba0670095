"""Every request whose end is in doubt is refused or read as one; nothing hides behind it."""

from tests.journeys.world import World
from tests.security.raw import spoken
from tests.security.smuggling import CORPUS, HIDDEN


def test_a_request_hidden_behind_another_is_never_heard(front: World) -> None:
    """A proxy that saw one request where we see two would give somebody's answer to somebody else."""
    front.product()
    assert spoken(front.web.url, HIDDEN + HIDDEN) == [201, 201], "two in the open are two: else nothing below says anything"
    before = front.snapshot()
    heard = {name: spoken(front.web.url, said) for name, said in CORPUS.items()}
    refused = {400, 414, 431, 501}
    # What is no HTTP at all may be answered by hanging up.
    assert {name: statuses for name, statuses in heard.items() if len(statuses) > 1 or set(statuses) - refused} == {}
    assert front.snapshot() == before
