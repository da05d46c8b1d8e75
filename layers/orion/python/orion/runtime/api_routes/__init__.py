"""The routes of the public API with the descriptions of what they take and give, a file a theme.
`orion.runtime.routes` puts them together (docs/api.md, "Adding a route").
"""
