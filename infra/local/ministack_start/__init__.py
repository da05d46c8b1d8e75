"""How the AWS engine starts: its own program, with the corrections of this folder.

The folder is run by the engine's own Python, so nothing in it imports this project.
"""
