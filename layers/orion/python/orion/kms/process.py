"""Seals the process that opens seeds: no core file, no other process of the same user reading its
memory.
"""

import ctypes
import logging
import resource

from orion.kms.errors import ProcessNotSealed

# linux/prctl.h
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
# At DEBUG these write whole responses of KMS, plain data keys included.
_TALKATIVE = ("botocore", "boto3", "urllib3", "aws_encryption_sdk")


def seal() -> None:
    """Make this process non-dumpable (prctl(2): also ptrace and /proc/PID/mem need privileges
    then).

    Raises ProcessNotSealed when the kernel does not confirm it: such a process must not go on.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise ProcessNotSealed("the kernel keeps this process dumpable", errno=ctypes.get_errno())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
