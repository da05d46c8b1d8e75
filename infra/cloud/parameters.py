"""SSM parameters that others write and this stack reads when it is deployed."""

from aws_cdk import Aws, CfnCondition, CfnParameter, Fn, Stack

from infra.cloud.names import Stage, logical


class Parameters:
    """Template parameters of type SSM value, made once each; their defaults are the parameters'
    names.
    """

    def __init__(self, stack: Stack, stage: Stage) -> None:
        self._stack = stack
        self._stage = stage
        self._made: dict[str, CfnParameter] = {}
        self._in_vpc: CfnCondition | None = None

    def value(self, path: str) -> str:
        """The value of `/orion/<stage>/<path>` as CloudFormation reads it when it deploys."""
        if path not in self._made:
            self._made[path] = CfnParameter(
                self._stack,
                "Ssm" + logical(path),
                type="AWS::SSM::Parameter::Value<String>",
                default=self._stage.parameter(path),
            )
        return self._made[path].value_as_string

    @property
    def in_vpc(self) -> CfnCondition:
        """True unless `network/vpc-id` is the word `none`: decided by CloudFormation, per
        deployment.
        """
        if self._in_vpc is None:
            outside = Fn.condition_equals(self.value("network/vpc-id"), "none")
            self._in_vpc = CfnCondition(self._stack, "InVpc", expression=Fn.condition_not(outside))
        return self._in_vpc

    def path_arns(self) -> list[str]:
        """All of the stage's parameters, which a function reads in one call by path."""
        account = f"arn:{Aws.PARTITION}:ssm:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        base = f"{account}:parameter/orion/{self._stage.name}"
        return [base, f"{base}/*"]
