"""What the API says of links and reports is what the domain holds to."""

from orion.billing import creation, merchant_settings
from orion.billing.payment_links import model as links_model
from orion.billing.sessions import model as sessions_model
from orion.billing.sessions import return_url
from orion.billing.statements import model as statements_model
from orion.ledger.statement import Order
from orion.runtime.api_routes import links, reports
from orion.runtime.api_schema.kinds import Choice, Labels, Member, Object, Text, Whole


def kind_of(described: Object, name: str) -> object:
    (member,) = [one for one in described.members if one.name == name]
    assert isinstance(member, Member)
    return member.kind


def test_limits_are_written_down_as_they_are() -> None:
    assert links.TITLE_MAX_LENGTH == links_model.TITLE_MAX_LENGTH
    assert links.USE_LIMIT_MAX == links_model.USE_LIMIT_MAX
    assert (reports.LINES_MAX, reports.LINES_DEFAULT) == (
        statements_model.LINES_MAX,
        statements_model.LINES_DEFAULT,
    )
    assert kind_of(links._SESSION_ASKED, "success_url") == Text(return_url.URL_MAX_LENGTH)
    most = merchant_settings.EXPIRES_IN_S_MAX
    assert kind_of(links._LINK_ASKED, "expires_in_s") == Whole(1, most)
    labels = Labels(creation.METADATA_MAX, creation.METADATA_NAME_MAX, creation.METADATA_TEXT_MAX)
    assert kind_of(links._LINK_ASKED, "metadata") == labels


def test_words_are_written_down_as_they_are() -> None:
    assert set(links.LINK_STATUSES) == set(links_model.LinkStatus)
    assert set(links.SESSION_STATUSES) == set(sessions_model.SessionStatus)
    assert tuple(reports.ACCOUNTS) == statements_model.ACCOUNTS
    assert kind_of(reports._STATEMENT, "order") == Choice(reports._ORDERS)
    assert set(reports._ORDERS) == set(Order)
