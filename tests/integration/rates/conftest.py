"""Callers of the service."""

from tests.service import become as become
