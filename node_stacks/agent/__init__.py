"""The node agent: follows one node by its pushes and publishes its blocks to Kafka.

It runs on the node's own host, speaks with the node over an IPC socket or loopback, and with
everybody else only through Kafka. Start it with `python -m node_stacks.agent --node
node_stacks/<chain>/node.toml`.
"""
