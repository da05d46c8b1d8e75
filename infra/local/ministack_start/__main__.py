"""Start the engine."""

import os
from importlib import import_module

# By the names that they have where this folder itself is the program.
import_module("unpacking").correct()
if os.environ["AUTH"] == "true":
    import_module("policies").correct()
import_module("ministack.app").main()
