"""The service over HTTP."""

from tests.service import api as api
from tests.service import shared_api as shared_api
