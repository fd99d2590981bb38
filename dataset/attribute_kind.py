"""Kinds of item attributes that filters know; imports nothing of the repository."""

from typing import Literal

Kind = Literal["keyword", "number", "boolean", "time"]
