"""The CDK stacks: one a file. Stacks meet through SSM parameters, never through exports."""
