"""The whole stack, once a session, and one shop on it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from demos.first_light.browser import chromium
from demos.first_light.merchant import Api
from demos.first_light.receiver import Receiver
from infra.local import Stack, stack_down, stack_up
from infra.local.deployed import standard_url
from tests.e2e.merchant_browser import merchant_with_all_scopes
from tests.e2e.scene import Shop, open_shop


@pytest.fixture(scope="session")
def running_stack() -> Iterator[Stack]:
    """Engines, deployed functions, pollers and agents, in a folder of their own.

    With ORION_TEST_KEEP=1 its folder stays for looking at the logs. ORION_TEST_STACK names the
    folder of a stack that runs already, to try one test again and again.
    """
    running = os.environ.get("ORION_TEST_STACK")
    if running:
        yield Stack(Path(running))
        return
    # Not pytest's own folder: the database servers run as another user, who must reach theirs.
    folder = Path(tempfile.mkdtemp(prefix="orion-e2e-"))
    folder.chmod(0o711)
    try:
        yield stack_up(folder)
    finally:
        stack_down(folder)
        if os.environ.get("ORION_TEST_KEEP") != "1":
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file: Playwright runs once at a time in a thread."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def merchant_api(running_stack: Stack) -> Api:
    """A merchant of a file's own, whose key has every scope."""
    return merchant_with_all_scopes(standard_url(running_stack))


@pytest.fixture(scope="session")
def shop(running_stack: Stack) -> Iterator[Shop]:
    """A merchant who is ready to be paid."""
    receiver = Receiver()
    try:
        yield open_shop(running_stack, receiver)
    finally:
        receiver.close()
