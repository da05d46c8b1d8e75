"""The buckets of the audit log and of the ledger book: versioned and locked, so that a segment once
written stays as it is.
"""

from aws_cdk import Aws, CfnDeletionPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.cloud.names import Stage, logical

# docs/decisions/0012: governance, so that a wrongly configured stage can still be taken down by
# whoever holds s3:BypassGovernanceRetention; no role of the product does.
LOCK_MODE = "GOVERNANCE"
AUDIT_LOCK_DAYS = 400
# Ten years, the longest that books of account are kept by law in the states we know of.
LEDGER_BOOK_LOCK_DAYS = 3_653


class LockedBucket(Construct):
    """`bucket` takes objects only over TLS, keeps every version and never goes with its stack.

    Nothing expires there: it has no lifecycle rule. `purpose` is the part of its name that tells
    it from others, such as `ledger-book`.
    """

    def __init__(self, scope: Construct, stage: Stage, purpose: str, lock_days: int) -> None:
        super().__init__(scope, logical(purpose))
        name = f"orion-{stage.name}-{purpose}-{Aws.ACCOUNT_ID}-{Aws.REGION}"
        self.bucket = s3.CfnBucket(
            self,
            "Bucket",
            bucket_name=name,
            object_lock_enabled=True,
            object_lock_configuration=s3.CfnBucket.ObjectLockConfigurationProperty(
                object_lock_enabled="Enabled",
                rule=s3.CfnBucket.ObjectLockRuleProperty(
                    default_retention=s3.CfnBucket.DefaultRetentionProperty(
                        mode=LOCK_MODE, days=lock_days
                    )
                ),
            ),
            versioning_configuration=s3.CfnBucket.VersioningConfigurationProperty(status="Enabled"),
            bucket_encryption=s3.CfnBucket.BucketEncryptionProperty(
                server_side_encryption_configuration=[
                    s3.CfnBucket.ServerSideEncryptionRuleProperty(
                        server_side_encryption_by_default=(
                            s3.CfnBucket.ServerSideEncryptionByDefaultProperty(
                                sse_algorithm="AES256"
                            )
                        )
                    )
                ]
            ),
            public_access_block_configuration=s3.CfnBucket.PublicAccessBlockConfigurationProperty(
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
            ),
            ownership_controls=s3.CfnBucket.OwnershipControlsProperty(
                rules=[
                    s3.CfnBucket.OwnershipControlsRuleProperty(
                        object_ownership="BucketOwnerEnforced"
                    )
                ]
            ),
        )
        # A first deployment that fails must not leave a bucket that stops the next one.
        self.bucket.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN_EXCEPT_ON_CREATE
        self.bucket.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        s3.CfnBucketPolicy(
            self,
            "Policy",
            bucket=self.bucket.ref,
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": [self.bucket.attr_arn, f"{self.bucket.attr_arn}/*"],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            },
        )
