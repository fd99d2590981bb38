"""Kinds of attribute that items can be filtered by; importable without anything else."""

from typing import Literal

Kind = Literal["keyword", "number", "boolean", "time"]
