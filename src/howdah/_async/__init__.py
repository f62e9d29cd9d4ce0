# The sync twin of this file is generated from it by tools/unasync.py.
"""The public shell: connections and cursors that wait."""
