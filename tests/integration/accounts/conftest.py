"""The service over HTTP, against a sandbox in which users take their consent back."""

from tests.service import api as api
from tests.service import numbers as numbers
from tests.service import sandbox as sandbox
from tests.service import service as service
