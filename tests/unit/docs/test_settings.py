"""docs/settings.md lists every setting with its default, and no other."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from service.settings import PREFIX, Settings, SettingsError, read_settings
from tests.unit.docs.markdown import DOCS, rows, sections

SECTIONS = sections(DOCS / "settings.md")
LISTED = {row[0].strip("`"): row for section in SECTIONS.values() for row in rows(section)}
FIELDS = {field.name.upper(): field for field in msgspec.structs.fields(Settings)}


def in_words(default: Any) -> str:
    """A default as the document writes it: the text that would set it."""
    if default is None:
        return "none"
    if default in ("", ()):
        return "empty"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{','.join(f'{each:g}' for each in default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_every_setting_is_listed_and_no_other() -> None:
    assert list(LISTED) == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_is_listed_with_its_default_and_its_meaning(name: str) -> None:
    _, default, meaning = LISTED[name]
    field = FIELDS[name]
    made_at_start = isinstance(field.default, type(msgspec.NODEFAULT)) and name == "DATA_DIR"
    assert default == ("see below" if made_at_start else in_words(_default(field)))
    assert meaning


@pytest.mark.parametrize("name", FIELDS)
def test_a_listed_default_can_be_set_as_it_is_written(name: str) -> None:
    written = LISTED[name][1].strip("`")
    if written in ("none", "empty", "see below"):
        written = ""
    settings = read_settings({PREFIX + name: written})
    if name != "DATA_DIR":
        assert getattr(settings, name.lower()) == _default(FIELDS[name])


def test_an_unknown_setting_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="REPORT_BUILDER_PROT is not a setting"):
        read_settings({"REPORT_BUILDER_PROT": "8080"})


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default
