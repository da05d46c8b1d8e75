"""What runs the product: the CDK app, the local stack, migrations, set-up. Nothing in the product
imports it.
"""
