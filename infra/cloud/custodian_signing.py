"""Code signing for the custodians: a function takes no code that the signing profile did not sign.

A stack of its own, because the local AWS engine has no code-signing configurations; the custodians
know it by the parameter `custodian/code-signing-arn`, which says `none` where there is none.
"""

from aws_cdk import CfnDeletionPolicy, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_signer as signer
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.cloud.names import Stage

# AWS Signer's platform for Lambda (Signer, "Signing profiles").
PLATFORM = "AWSLambda-SHA384-ECDSA"
VALID_MONTHS = 135  # Signer's longest, so that a function unchanged for years can be redeployed.


class CustodianSigningStack(Stack):
    """Signing profile and configuration; deployed once into each custodian's account."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "custodian-signing", stack_name=stage.stack("custodian-signing"))
        profile = signer.CfnSigningProfile(
            self,
            "Profile",
            # Signer allows letters, digits and underscores only.
            profile_name=stage.stack("custodian").replace("-", "_"),
            platform_id=PLATFORM,
            signature_validity_period=signer.CfnSigningProfile.SignatureValidityPeriodProperty(
                type="MONTHS", value=VALID_MONTHS
            ),
        )
        profile.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN
        profile.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        config = lambda_.CfnCodeSigningConfig(
            self,
            "Config",
            description=f"orion {stage.name}: custodians run signed code only",
            allowed_publishers=lambda_.CfnCodeSigningConfig.AllowedPublishersProperty(
                signing_profile_version_arns=[profile.attr_profile_version_arn]
            ),
            code_signing_policies=lambda_.CfnCodeSigningConfig.CodeSigningPoliciesProperty(
                untrusted_artifact_on_deployment="Enforce"
            ),
        )
        ssm.CfnParameter(
            self,
            "ConfigArn",
            name=stage.parameter("custodian/code-signing-arn"),
            type="String",
            value=config.attr_code_signing_config_arn,
        )
