"""What the public API takes and gives, described once: requests are read by these descriptions, and
the OpenAPI document is written from them (docs/api.md, "Adding a route").
"""
