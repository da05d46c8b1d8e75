"""MiniStack in the place of AWS: KMS, Lambda, API Gateway, Step Functions and the rest on one port.

Started with a clean environment, because its Lambda workers inherit the launcher's. State (keys,
secrets, parameters, functions) is saved when it ends in good order and loaded at the next start, so
that what the databases hold encrypted stays readable.
"""

import http.client
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, overload

from infra.local.engine import Command, Engine, NotReady, tool_path
from infra.local.layout import LOOPBACK

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "BIND_HOST": LOOPBACK,
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        # Listeners on ports of their own that nothing here uses.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
    }
)
_START = Path(__file__).with_name("ministack_start")
_READY_PATH = "/_ministack/health"


class MiniStack(Engine):
    """The AWS engine. `authorize` makes it enforce identity policies and key policies; the CDK's
    deployment needs it without.
    """

    name: ClassVar[str] = "ministack"
    ports: ClassVar[tuple[str, ...]] = ("ministack",)
    region: ClassVar[str] = "eu-west-1"
    account_id: ClassVar[str] = "000000000000"
    authorize: bool = False

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """What AWS clients and the CDK need in their environment to speak with this engine only."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            # Nobody's real profile may come between.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @overload
    def client(self, service: Literal["ssm"]) -> "SSMClient": ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    def client(self, service: Literal["ssm", "secretsmanager"]) -> object:
        """A boto3 client of this engine, whatever this process's environment says of AWS."""
        import boto3
        from botocore.config import Config

        environment = self.environment()
        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.region,
        )
        config = Config(
            max_pool_connections=16,
            connect_timeout=5,
            read_timeout=60,
            retries={"total_max_attempts": 3},
        )
        return session.client(service, endpoint_url=self.url, config=config)

    def prepare(self) -> None:
        # Unpacked functions of earlier workers: the engine leaves them behind.
        shutil.rmtree(self.data / "tmp", ignore_errors=True)
        for folder in (self.data, *(self.data / name for name in ("home", "tmp", "state", "s3"))):
            folder.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> Command:
        environment = {
            **_SETTINGS,
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": LOOPBACK,
            "MINISTACK_REGION": self.region,
            "MINISTACK_ACCOUNT_ID": self.account_id,
            "STATE_DIR": str(self.data / "state"),
            "S3_DATA_DIR": str(self.data / "s3"),
            "HOME": str(self.data / "home"),
            "TMPDIR": str(self.data / "tmp"),
            "AUTH": "true" if self.authorize else "false",
        }
        argv = (tool_path("ministack-python"), str(_START))
        return Command(argv, cwd=self.data, env=environment)

    def check(self) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=1)
        try:
            connection.request("GET", _READY_PATH)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as exc:
            raise NotReady(str(exc)) from exc
        finally:
            connection.close()
        if status != http.client.OK:
            raise NotReady(f"HTTP {status}")
