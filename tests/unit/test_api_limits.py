"""Limits that the description and the domain both have are the same."""

from orion.billing import creation, invoice, merchant_settings, service
from orion.runtime.api_routes import invoices
from orion.runtime.api_schema import paging


def test_the_limits_that_are_written_twice_are_the_same() -> None:
    assert invoices.ASSETS_MAX == creation.MAX_OPTIONS
    assert invoices.DEPOSITS_MAX == invoice.SHOWN
    assert invoices.EXPIRES_IN_S_MAX == merchant_settings.EXPIRES_IN_S_MAX
    assert (paging.PAGE_MAX, paging.PAGE_DEFAULT) == (service.PAGE_MAX, service.PAGE_DEFAULT)
