"""The whole stack, once a session, and one shop on it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demos.first_light.receiver import Receiver
from infra.local import Stack, stack_down, stack_up
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


@pytest.fixture(scope="session")
def shop(running_stack: Stack) -> Iterator[Shop]:
    """A merchant who is ready to be paid."""
    receiver = Receiver()
    try:
        yield open_shop(running_stack, receiver)
    finally:
        receiver.close()
