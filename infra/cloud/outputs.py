"""Names of the serverless stack's outputs."""

# A lane's API id, from which whoever has no own host name yet forms its URL.
API_OUTPUT = "{lane}ApiId"
STAGE_OUTPUT = "ApiStage"
SOCKETS_OUTPUT = "SocketApiId"
WALLET_GROUP_OUTPUT = "WalletGroupArn"
WALLET_BATCH_OUTPUT = "WalletBatchArn"
AUDIT_BUCKET_OUTPUT = "AuditBucketName"
LEDGER_BOOK_BUCKET_OUTPUT = "LedgerBookBucketName"
RECONCILIATION_OUTPUT = "ReconciliationArn"
