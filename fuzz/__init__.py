"""Fuzzing: one target a parser, a mutator that knows messages and text, and a runner (see fuzz/run.py)."""
