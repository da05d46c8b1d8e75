"""Where customers may be led back to."""

import pytest

from orion.billing.sessions.return_url import (
    SESSION_ID,
    ReturnUrlRefused,
    check_return_url,
    with_session,
)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/thanks",
        "https://shop.example",
        "https://shop.example:8443/a/b?c=d&e=%20#/done",
        "https://xn--bcher-kva.example/",
        "https://shop.example/@me",
        "https://SHOP.example/",
    ],
)
def test_a_public_https_address_is_taken_as_it_is(url: str) -> None:
    assert check_return_url(url, "success_url") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/",
        "HTTPS://shop.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "//shop.example/",
        "/thanks",
        "https:shop.example",
        "https:///shop.example",
        "https://user@shop.example/",
        "https://user:secret@shop.example/",
        "https://shop.example\\@evil.example/",
        "https://shop.example\t.evil.example/",
        " https://shop.example/",
        "https://shop.example/\n",
        "https://shop.example/ä",
        "https://shop.example/<script>",
        'https://shop.example/"',
        "https://shop.example/{session_id}",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://0x7f.1/",
        "https://shop/",
        "https://shop.example./",
        "https://-shop.example/",
        "https://shop.example:0/",
        "https://shop.example:65536/",
        "https://shop.example:x/",
        "https://[shop.example/",
        "https://shop.example/" + "a" * 2048,
        "",
    ],
)
def test_what_leads_elsewhere_or_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ReturnUrlRefused) as refusal:
        check_return_url(url, "cancel_url")
    assert refusal.value.fields["field"] == "cancel_url"


def test_a_session_names_itself_behind_the_host_only() -> None:
    url = f"https://shop.example/thanks?session={SESSION_ID}"
    checked = check_return_url(url, "success_url", may_name_session=True)
    assert with_session(checked, "cs_1") == "https://shop.example/thanks?session=cs_1"
    for hidden in (f"https://{SESSION_ID}.example/", f"https://{SESSION_ID}@shop.example/"):
        with pytest.raises(ReturnUrlRefused):
            check_return_url(hidden, "success_url", may_name_session=True)


@pytest.mark.parametrize("braces", ["{other}", "{session_id", "{{session_id}}"])
def test_no_other_braces_are_taken(braces: str) -> None:
    with pytest.raises(ReturnUrlRefused):
        check_return_url(f"https://shop.example/{braces}", "success_url", may_name_session=True)
