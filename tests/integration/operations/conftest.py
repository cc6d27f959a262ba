"""The service over HTTP."""

from tests.service import numbers as numbers
from tests.service import sandbox as sandbox
from tests.service import service as service
