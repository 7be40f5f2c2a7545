"""The ml-assets command: what the UI can do, from a terminal.

A command reads its arguments, calls the rooms below and shows what happened; nothing is decided here.
"""

from ml_assets.cli.app import app

__all__ = ["app"]
