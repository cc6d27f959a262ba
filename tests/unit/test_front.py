"""The route of a request is found without asking each: it is the one that Starlette would find."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.applications import Starlette
from starlette.routing import Match, Route

from service.app import create_app
from service.front import _Routes

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def app() -> Starlette:
    return create_app(Mock())


def _paths(app: Starlette) -> list[str]:
    """Of each route one path, and of each path some that are a little different."""
    found = set()
    for route in app.routes:
        assert isinstance(route, Route)
        for value in ("a", "parameters", "checkpoint", "3f0c1d5e-7a42-4b7e-9c11-5d3a8e6f2b90"):
            path = re.sub(r"{[a-z_]+}", value, re.sub(r"{[a-z_]+:path}", "000/x001", route.path))
            found |= {path, f"{path}/", f"{path}/more", path.rpartition("/")[0], path.replace("/api/", "/else/")}
    return sorted(found)


def test_it_is_the_first_that_takes_path_and_method(app: Starlette) -> None:
    routes, found = _Routes(app.routes), 0
    for path in _paths(app):
        for method in METHODS:
            scope: dict[str, Any] = {"type": "http", "path": path, "method": method, "root_path": ""}
            wanted = next((route for route in app.routes if route.matches(dict(scope))[0] is Match.FULL), None)
            route = routes.find(scope)
            found += route is not None
            if route is None:
                # Left to Starlette, which finds it, if there is one: short paths alone.
                assert wanted is None or path.count("/") < 2, path
            else:
                assert (route, scope["path_params"]) == (wanted, route.matches(dict(scope))[1]["path_params"])
    assert found > len(app.routes)


def test_paths_that_clients_make_up_are_not_kept(app: Starlette) -> None:
    routes = _Routes(app.routes)
    for number in range(1000):
        for path in (f"/api/{number}", f"/api/audit/log/tile/{'x/' * number}"):
            routes.find({"type": "http", "path": path, "method": "GET", "root_path": ""})
    assert len(routes._by_shape) < 20
