"""Sessions that the panel did not give out: none of them opens a page, and none makes one fail."""

import string
from collections.abc import Callable

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer

from tests.admin.visitors import Visitor, contents

Visit = Callable[[str], Visitor]


def cookie(visitor: Visitor) -> str:
    """Return the session's cookie."""
    found = visitor.client.get_cookie("orderapp_session", path="/admin")
    assert found
    return found.value


def signer(app: Flask, key: str) -> URLSafeTimedSerializer:
    """Return what signs sessions as Flask does, with this key."""
    other = Flask("other")
    other.secret_key = key
    found = SecureCookieSessionInterface().get_signing_serializer(other)
    assert found
    assert app.secret_key
    return found


def opens(app: Flask, forged: str) -> bool:
    """Tell whether this cookie opens the panel; it must not make a page fail."""
    thief = Visitor(app)
    thief.client.set_cookie("orderapp_session", forged, path="/admin")
    answer = thief.get("/admin/audit/")
    assert answer.status_code in {200, 302}, answer.text
    return answer.status_code == 200


def test_a_true_cookie_opens_the_panel(app: Flask, visit: Visit) -> None:
    """Else nothing below says anything."""
    assert opens(app, cookie(visit("superuser")))


def test_a_cookie_signed_with_another_key_opens_nothing(app: Flask, visit: Visit) -> None:
    """Also with the keys that people use while they try things, and with none."""
    true = signer(app, str(app.secret_key)).loads(cookie(visit("superuser")))
    for key in ("dev", "secret", "change-me", "0" * 64, f"{app.secret_key}x", str(app.secret_key)[:-1]):
        assert not opens(app, str(signer(app, key).dumps(true))), key
    unsigned = cookie(visit("superuser")).rpartition(".")[0]
    assert not any(opens(app, forged) for forged in (unsigned, f"{unsigned}.", f"{unsigned}.none", f"{unsigned}.AAAA"))


def test_a_cookie_with_a_changed_letter_opens_nothing(app: Flask, visit: Visit) -> None:
    """Wherever it is changed: what it says, when it was signed, the signature."""
    true = cookie(visit("superuser"))
    for place, letter in enumerate(true[:-1]):  # of the last one two bits carry nothing
        other = next(one for one in string.ascii_letters if one != letter)
        assert not opens(app, f"{true[:place]}{other}{true[place + 1 :]}"), place


def test_the_words_of_one_user_under_the_signature_of_another_open_nothing(app: Flask, visit: Visit) -> None:
    """Neither way round, nor with the other's time."""
    high, low = cookie(visit("superuser")).split("."), cookie(visit("viewer")).split(".")
    assert len(high) == len(low)
    for mixed in ([*high[:-1], low[-1]], [*low[:-1], high[-1]], [high[0], *low[1:]], [*high[:-2], *low[-2:]]):
        assert mixed in (high, low) or not opens(app, ".".join(mixed))


@pytest.mark.parametrize("end", ["no id", "an id that nobody has", "another version", "no moment of login"])
def test_a_true_signature_under_what_is_no_session_opens_nothing(app: Flask, visit: Visit, end: str) -> None:
    """As an older version of this service could have signed it, or a leaked key."""
    mine = signer(app, str(app.secret_key))
    said = mine.loads(cookie(visit("superuser")))
    user_id, _, version = said["_user_id"].partition(":")
    if end == "no moment of login":
        del said["since"]
    else:
        nobodys, old = f"9{user_id}:{version}", f"{user_id}:9"
        said["_user_id"] = {"no id": "1' OR 1=1 --:0", "an id that nobody has": nobodys, "another version": old}[end]
    assert not opens(app, str(mine.dumps(said)))


def test_a_forged_session_changes_nothing(app: Flask, visit: Visit) -> None:
    """Its forms have no token of a session."""
    true, before = cookie(visit("superuser")), contents()
    thief = Visitor(app)
    thief.client.set_cookie("orderapp_session", f"{true[:-5]}AAAAA", path="/admin")
    form = {"name": "Lamp", "price": "1.00", "stock": "1"}
    assert thief.post("/admin/products/new/", form).status_code == 302
    assert contents() == before
