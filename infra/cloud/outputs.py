"""Names of the outputs of the function table's stacks and of the lanes' APIs."""

# A lane's API id, from which whoever has no own host name yet forms its URL.
API_OUTPUT = "{lane}ApiId"
STAGE_OUTPUT = "ApiStage"
SOCKETS_OUTPUT = "SocketApiId"
# A machine's, as infra/cloud/function_stack.py forms it.
WALLET_GROUP_OUTPUT = "WalletGroupArn"
WALLET_BATCH_OUTPUT = "WalletBatchArn"
RECONCILIATION_OUTPUT = "ReconciliationArn"
AUDIT_BUCKET_OUTPUT = "AuditBucketName"
LEDGER_BOOK_BUCKET_OUTPUT = "LedgerBookBucketName"
