"""The service over HTTP, in this process."""

from tests.service import api as api
