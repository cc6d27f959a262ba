"""The service, its parts, and a log that can be read."""

from __future__ import annotations

from tests.integration.accounts.test_canary import lines as lines
from tests.service import numbers as numbers
from tests.service import sandbox as sandbox
